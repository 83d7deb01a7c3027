"""How well collections are searched: recall@5 and nDCG@10 by words, by meaning and by both; and semantic_search of sentence-transformers.

    python -m benchmarks.retrieval --embedder FOLDER_OR_NAME [--set FOLDER]

Without --set it is the made set beside this file: texts in English, Turkish and Chinese with questions that each have one answer, half
of them in other words than the text, and questions that no text answers. --set: a folder with cran.all.1400, cran.qry and cranqrel
(the Cranfield collection: https://ir.dcs.gla.ac.uk/resources/test_collections/cran), or with corpus.jsonl, queries.jsonl and
qrels/test.tsv in the layout of BEIR. Every text is one piece.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import tempfile
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from engine import Settings
from engine.embedding import Embedders
from engine.knowledge import Searcher
from engine.knowledge.vectors import fill_vectors
from engine.storage.database import Database
from engine.storage.knowledge import KnowledgeStore
from engine.storage.knowledge_records import Place, SearchMode

MODES: tuple[SearchMode, ...] = ("text", "vectors", "hybrid")
OWNER, DEPTH = "benchmark", 10


@dataclass
class RetrievalSet:
    """`texts` by name; `relevant`: for each question the texts that answer it, with a grade from 1 on; empty for one without an answer."""

    name: str
    texts: dict[str, str] = field(default_factory=dict)
    questions: dict[str, str] = field(default_factory=dict)
    relevant: dict[str, dict[str, int]] = field(default_factory=dict)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--embedder", default=Settings().embedder)
    parser.add_argument("--set", type=Path)
    asked = parser.parse_args()
    sets = made() if asked.set is None else [cranfield(asked.set) if (asked.set / "cran.qry").is_file() else beir(asked.set)]
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(embedder=asked.embedder)
        for each in sets:
            database = Database(Path(folder) / each.name)
            embedders = Embedders(settings, database)
            measure(each, database, embedders)
            embedders.close()


def measure(given: RetrievalSet, database: Database, embedders: Embedders) -> None:
    print(f"\n{given.name}: {len(given.texts):,} texts, {len(given.questions):,} questions, {embedders.info().name}")
    begun = time.monotonic()
    collection, names = index(given, database, embedders)
    print(f"indexed in {time.monotonic() - begun:.1f} s")
    searcher = Searcher(database, embedders)
    answered = [name for name in given.questions if given.relevant.get(name)]
    for mode in MODES:
        found, likely = {}, {}
        begun = time.monotonic()
        for name, question in given.questions.items():
            result = searcher.search(OWNER, [collection], question, DEPTH, mode)
            found[name] = [names[hit.document] for hit in result.hits]
            likely[name] = [names[hit.document] for hit in result.likely]
        seconds = (time.monotonic() - begun) / len(given.questions)
        line = scores(given, {name: found[name] for name in answered})
        kept = scores(given, {name: likely[name] for name in answered})
        print(f"{mode:8} {line}  {1000 * seconds:.1f} ms a question  (likely hits only: {kept})")
        if unanswered := [name for name in given.questions if name not in answered]:
            nothing = sum(not likely[name] for name in unanswered)
            print(f"         of {len(unanswered)} questions without an answer, {nothing} find nothing likely")
    theirs(given, embedders, answered, database, collection)


def index(given: RetrievalSet, database: Database, embedders: Embedders) -> tuple[str, dict[str, str]]:
    """The collection's id, and the names of the set's texts by those of the documents."""
    store = KnowledgeStore(database)
    collection = store.create(OWNER, given.name).id
    for name, text in given.texts.items():
        document = store.add_document(OWNER, collection, name, "")
        store.write_pieces(OWNER, document.id, text, [Place(0, len(text))])
        store.set_state(OWNER, document.id, "ready")
    for _ in fill_vectors(store, embedders, OWNER, collection, threading.Event()):
        pass
    return collection, {name: name for name in given.texts}


def theirs(given: RetrievalSet, embedders: Embedders, answered: list[str], database: Database, collection: str) -> None:
    """sentence-transformers' own search over vectors of its own model, and how far its similarities are from ours."""
    from sentence_transformers import SentenceTransformer, util

    files = embedders._find(embedders.name)
    assert files is not None
    model = SentenceTransformer(str(files.folder), device="cpu", prompts=dict(files.prompts), local_files_only=True)
    model.max_seq_length = files.window_tokens
    names = list(given.texts)
    texts = model.encode_document(list(given.texts.values()), normalize_embeddings=True, convert_to_tensor=True)
    questions = model.encode_query([given.questions[name] for name in answered], normalize_embeddings=True, convert_to_tensor=True)
    hits = util.semantic_search(questions, texts, top_k=DEPTH)
    found = {name: [names[int(hit["corpus_id"])] for hit in each] for name, each in zip(answered, hits, strict=True)}
    searcher, apart = Searcher(database, embedders), []
    for name, each in zip(answered, hits, strict=True):
        result = searcher.search(OWNER, [collection], given.questions[name], DEPTH, "vectors")
        ours = {hit.document: hit.vector_score for hit in result.hits}
        apart += [abs(score - float(hit["score"])) for hit in each if (score := ours.get(names[int(hit["corpus_id"])])) is not None]
    print(f"theirs   {scores(given, found)}  semantic_search; similarities differ from ours by at most {max(apart):.1e}")


def scores(given: RetrievalSet, found: dict[str, list[str]]) -> str:
    recall, gain = [], []
    for name, texts in found.items():
        grades = given.relevant[name]
        recall.append(len(set(texts[:5]) & set(grades)) / len(grades))
        gain.append(discounted([grades.get(text, 0) for text in texts[:10]]) / discounted(sorted(grades.values(), reverse=True)[:10]))
    return f"recall@5 {np.mean(recall):.3f}  nDCG@10 {np.mean(gain):.3f}"


def discounted(grades: list[int]) -> float:
    """Discounted cumulative gain (Järvelin and Kekäläinen 2002), with the grades as gains, as trec_eval computes it."""
    return sum(grade / math.log2(rank + 1) for rank, grade in enumerate(grades, 1))


def made() -> list[RetrievalSet]:
    """One set for each language; every text of the three is in each, so that the others are in the way."""
    lines = [json.loads(line) for line in Path(__file__).with_suffix(".jsonl").read_text("utf-8").splitlines()]
    texts = {f"{line['language']}-{number}": line["text"] for number, line in enumerate(lines) if "text" in line}
    found: dict[str, RetrievalSet] = {language: RetrievalSet(language, texts) for language in ("en", "tr", "zh")}
    for number, line in enumerate(lines):
        of = found[line["language"]]
        for question in line["questions"]:
            name = str(len(of.questions))
            of.questions[name] = question
            of.relevant[name] = {f"{line['language']}-{number}": 1} if "text" in line else {}
    return list(found.values())


def cranfield(folder: Path) -> RetrievalSet:
    """Questions are numbered by their order, as the judgements count them; grades that mean no answer (-1, 5) are left out."""
    found = RetrievalSet("cranfield", relevant=defaultdict(dict))
    for record in re.split(r"^\.I ", (folder / "cran.all.1400").read_text("latin-1"), flags=re.MULTILINE)[1:]:
        title, text = re.search(r"\.T\n(.*?)\.A", record, re.DOTALL), re.search(r"\.W\n(.*)", record, re.DOTALL)
        whole = " ".join(f"{title[1] if title else ''} {text[1] if text else ''}".split())
        if whole:
            found.texts[record.split()[0]] = whole
    for number, record in enumerate(re.split(r"^\.I ", (folder / "cran.qry").read_text("latin-1"), flags=re.MULTILINE)[1:], 1):
        found.questions[str(number)] = " ".join(record.partition(".W\n")[2].split())
    for line in (folder / "cranqrel").read_text("latin-1").splitlines():
        question, text, grade = line.split()[:3]
        if 1 <= int(grade) <= 4 and text in found.texts:
            found.relevant[question][text] = 5 - int(grade)     # 1 is a complete answer, 4 the least that is one
    return found


def beir(folder: Path) -> RetrievalSet:
    found = RetrievalSet(folder.name, relevant=defaultdict(dict))
    for line in (folder / "corpus.jsonl").read_text("utf-8").splitlines():
        each = json.loads(line)
        found.texts[each["_id"]] = f"{each.get('title', '')} {each['text']}".strip()
    questions = {each["_id"]: each["text"] for each in map(json.loads, (folder / "queries.jsonl").read_text("utf-8").splitlines())}
    for line in (folder / "qrels" / "test.tsv").read_text("utf-8").splitlines()[1:]:
        question, text, grade = line.split("\t")
        if int(grade) > 0:
            found.relevant[question][text] = int(grade)
            found.questions[question] = questions[question]
    return found


if __name__ == "__main__":
    main()
