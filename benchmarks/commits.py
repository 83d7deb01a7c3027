"""Compares this checkout with another one of this project, such as an older commit, in turns on the same machine.

    git worktree add /tmp/older COMMIT
    python -m benchmarks.commits /tmp/older [--model bench-models/110m] [--quantization none] [--rounds 2]

One user: tokens per second after the first token, median of three replies. Prompt: tokens per second until the first token. Eight users:
all new tokens over the whole time, prompts included. Token ids are random, replies are greedy and have a fixed length.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

PROMPT, NEW, USERS, TIMEOUT_S = 200, 64, 8, 300

MEASURE = """
import json, random, statistics, sys, tempfile, threading, time
from pathlib import Path
from engine import Engine, GenerationOptions, ModelSpec, Quantization, Settings
from engine.generation.base import NewTokens

model, quantization, prompt, new, users = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
engine = Engine(Settings(data_dir=Path(tempfile.mkdtemp()), context_tokens=2048, concurrent_replies=users))
list(engine.load(ModelSpec(model, quantization=Quantization(quantization))))
options = GenerationOptions(max_new_tokens=new, temperature=0.0, ignores_end=True)

def reply(seed):
    ids, first, started = random.Random(seed).choices(range(10, 2000), k=prompt), 0.0, time.perf_counter()
    with engine.using() as active_model:
        for event in active_model.stream_ids(ids, options):
            if isinstance(event, NewTokens):
                first = first or time.perf_counter() - started
    times.append((first, time.perf_counter() - started))

times = []
reply(0)
times.clear()
for seed in (1, 2, 3):
    reply(seed)
one = statistics.median((new - 1) / (whole - first) for first, whole in times)
read = statistics.median(prompt / first for first, _ in times)
times.clear()
threads = [threading.Thread(target=reply, args=(10 + number,)) for number in range(users)]
started = time.perf_counter()
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
eight = users * new / (time.perf_counter() - started)
print(json.dumps({"one user, tok/s": one, "prompt, tok/s": read, "eight users, tok/s": eight,
                  "slowest first token, s": max(first for first, _ in times)}), flush=True)
engine.close()
"""


def measure(tree: Path, model: str, quantization: str) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", "-c", MEASURE, model, quantization, *map(str, (PROMPT, NEW, USERS))]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    result: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("other", type=Path)
    parser.add_argument("--model", default="bench-models/110m")
    parser.add_argument("--quantization", default="none", help="of this checkout")
    parser.add_argument("--other-quantization", default=None, help="of the other one, if it differs")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    model = str(Path(options.model).resolve()) if Path(options.model).exists() else options.model
    theirs, ours = [], []
    for _ in range(options.rounds):
        theirs.append(measure(options.other, model, options.other_quantization or options.quantization))
        ours.append(measure(Path.cwd(), model, options.quantization))
    print("| | other | this | this / other |\n|---|---|---|---|")
    for name in ours[0]:
        before, now = (statistics.median(each[name] for each in found) for found in (theirs, ours))
        print(f"| {name} | {before:.2f} | {now:.2f} | {now / before:.2f} |")


if __name__ == "__main__":
    main()
