"""Times the nearest vectors of a query among many: numpy over a matrix in memory, as engine/knowledge does, beside sqlite-vec.

    OMP_NUM_THREADS=2 python -m benchmarks.vectors --pieces 100000 --dimensions 384

sqlite-vec is measured if it is installed (pip install sqlite-vec) and SQLite can load extensions: many builds of Python cannot, so
apsw (pip install apsw) is used in the place of sqlite3 where it is installed. The vectors are random and normalised.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

NEAREST, REPETITIONS = 50, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pieces", type=int, default=100_000)
    parser.add_argument("--dimensions", type=int, default=384)
    asked = parser.parse_args()
    vectors = np.random.default_rng(0).standard_normal((asked.pieces, asked.dimensions), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    query = vectors[0] + 0.1 * vectors[1]
    with tempfile.TemporaryDirectory() as folder:
        blobs(vectors, query, Path(folder) / "blobs.db")
        mapped(vectors, query, Path(folder) / "vectors.npy")
        sqlite_vec(vectors, query, Path(folder) / "vec.db")


def blobs(vectors: np.ndarray, query: np.ndarray, path: Path) -> None:
    """Vectors as blobs of a table, read into a matrix once, then numpy."""
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE vectors (piece INTEGER PRIMARY KEY, vector BLOB)")
    begun = time.perf_counter()
    connection.executemany("INSERT INTO vectors VALUES (?, ?)", rows(vectors))
    connection.commit()
    print(f"blobs in SQLite: written in {time.perf_counter() - begun:.1f} s, {path.stat().st_size / 2**20:.0f} MiB")

    def read() -> np.ndarray:
        found = b"".join(row[0] for row in connection.execute("SELECT vector FROM vectors ORDER BY piece"))
        return np.frombuffer(found, np.float32).reshape(-1, vectors.shape[1])

    print(f"  read into memory            {timed(read, 5)}")
    matrix = read()
    print(f"  query, matrix in memory     {timed(lambda: nearest(matrix, query))}")
    print(f"  query, read each time       {timed(lambda: nearest(read(), query), 5)}")


def mapped(vectors: np.ndarray, query: np.ndarray, path: Path) -> None:
    np.save(path, vectors)
    matrix = np.load(path, mmap_mode="r")
    print(f"numpy file, mapped\n  query                       {timed(lambda: nearest(matrix, query))}")


def sqlite_vec(vectors: np.ndarray, query: np.ndarray, path: Path) -> None:
    try:
        import sqlite_vec as extension

        connection = connect(path)
    except (ImportError, AttributeError) as error:
        print(f"sqlite-vec: not measured ({error})")
        return
    connection.enable_load_extension(True)
    connection.load_extension(extension.loadable_path())
    connection.execute(f"CREATE VIRTUAL TABLE vectors USING vec0 (piece INTEGER PRIMARY KEY, collection TEXT PARTITION KEY, "
                       f"vector float[{vectors.shape[1]}] distance_metric=cosine)")
    begun = time.perf_counter()
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO vectors VALUES (?, 'a', ?)", rows(vectors))
    connection.execute("COMMIT")
    print(f"sqlite-vec {extension.__version__}: written in {time.perf_counter() - begun:.1f} s, {path.stat().st_size / 2**20:.0f} MiB")

    def search() -> list[Any]:
        return list(connection.execute("SELECT piece, distance FROM vectors WHERE vector MATCH ? AND k = ? AND collection = 'a'",
                                       (query.tobytes(), NEAREST)))

    print(f"  query                       {timed(search)}")
    same = {row[0] for row in search()} == set(nearest(vectors, query).tolist())
    print(f"  finds the same {NEAREST} as numpy: {same}")


def connect(path: Path) -> Any:
    """A connection that can load extensions. Raises AttributeError or ImportError where none can."""
    connection = sqlite3.connect(path, isolation_level=None)
    if hasattr(connection, "enable_load_extension"):
        return connection
    import apsw

    return apsw.Connection(str(path))


def rows(vectors: np.ndarray) -> Iterable[tuple[int, bytes]]:
    return ((number, vector.tobytes()) for number, vector in enumerate(vectors))


def nearest(matrix: np.ndarray, query: np.ndarray) -> np.ndarray:
    scores = matrix @ query
    top = np.argpartition(-scores, NEAREST)[:NEAREST]
    return top[np.argsort(-scores[top], kind="stable")]


def timed(work: Callable[[], object], repetitions: int = REPETITIONS) -> str:
    """Time on the clock, and time of processors, which other programs of a busy machine do not lengthen."""
    work()
    clock, processors = [], []
    for _ in range(repetitions):
        begun, computed = time.perf_counter(), time.process_time()
        work()
        clock.append(time.perf_counter() - begun)
        processors.append(time.process_time() - computed)
    return f"median {1000 * statistics.median(clock):.1f} ms, of processors {1000 * statistics.median(processors):.1f} ms"


if __name__ == "__main__":
    main()
