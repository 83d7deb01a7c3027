"""The Models tab as HTML: its content, and that nothing written by others runs."""

import html
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from engine import ModelFit, Quantization, Released
from engine.hardware import Hardware
from engine.hub import HubFile, HubListing, HubModel, StoredModel
from engine.library import FoundModel, GgufFile, Machine, Remedy
from engine.models import Recommendation, SavedModel, Verdict
from engine.models.catalog import Reason, catalog, entry_of, recommend
from engine.models.estimate import estimate_shape
from engine.models.quantization import choices
from ui.models import actions, view
from ui.shared.html import disk_size
from ui.shared.language import LANGUAGES, text

GIB = 2**30
BAD = '<script>alert("1")</script>\'{x}'
CPU = Hardware("cpu", BAD, 1, "bfloat16", "", 64 * GIB, True)
ARM = replace(CPU, is_x86_64=False)
ENTRY = entry_of("Qwen/Qwen3-8B")
assert ENTRY is not None
SHAPE = ENTRY.shape
assert SHAPE is not None
LISTING = HubListing(
    repo="me/model", sha="a" * 40, revision="main", card=BAD, files=(HubFile(BAD, 5_000, True), HubFile("large", 3_200_000_000, True)),
    licence=BAD, licence_url="https://example.org", is_gated=True, gated_access=True, parameters=8_000_000_000, shape=SHAPE,
    architecture=BAD, has_chat_template=False, renamed_to=BAD)
FOUND = FoundModel("me/model", "hub", "a" * 40, SHAPE, LISTING, replace(ENTRY, note=BAD, languages=(BAD,)))
LISTED = HubModel(BAD, 1_234_567, 12, BAD, BAD, True, 8_000_000_000, ())
STORED = StoredModel("me/model", "a" * 40, 3_200_000_000, 1_750_000_000.0, 3, True, None)


def fit(free_gib: float = 20, hardware: Hardware = CPU) -> ModelFit:
    return estimate_shape(SHAPE, hardware, context_tokens=4096, visitors=2, free_bytes=int(free_gib * GIB), bandwidth=1e10)


def saved(folder: Path, model: str) -> SavedModel:
    folder.mkdir(exist_ok=True)
    (folder / "weights").write_bytes(bytes(2_000_000))
    return SavedModel(model, Quantization.NF4, "a" * 40, SHAPE, folder)


def every_page(folder: Path, language: str) -> dict[str, str]:
    """Everything that the tab can show, with hostile names wherever other people choose them."""
    hostile = Recommendation(replace(catalog()[0], repo=BAD, name=BAD), Quantization.NF4, fit().choices[3].fit, Reason.FOUR_BITS)
    remedies = [Remedy("quantize", "nf4"), Remedy("quantize", "none"), Remedy("context", "2048"), Remedy("sibling", BAD), Remedy("force"),
                Remedy("token"), Remedy("revision", BAD), Remedy("retry"), Remedy("disk")]
    released = Released(6 * GIB, 5 * GIB, 0.8)
    return {
        "machine": view.machine_html(Machine(BAD, "cpu", 64 * GIB, 20 * GIB, 1e10, choices(CPU)), language),
        "recommended": view.recommended_html([hostile, hostile], "chat", 1, BAD, language),
        "found": view.found_html([LISTED], True, "", language), "nothing": view.found_html([], False, "", language),
        "empty": view.nothing_chosen_html(language), "looking": view.loading_html(BAD, language),
        "model": view.model_html(replace(FOUND, spec_model=BAD), fit(), Quantization.NF4, True, language, released),
        "unknown": view.model_html(FoundModel(BAD, "catalog"), None, Quantization.NONE, False, language),
        "arm": view.model_html(FOUND, fit(hardware=ARM), Quantization.NONE, False, language),
        "problem": view.problem_html(BAD, remedies, language, f"https://example.org/{BAD}"),
        "disk": view.disk_html([replace(STORED, repo=BAD), replace(STORED, is_complete=False)], [saved(folder / "nf4", BAD)], "",
                                      may_delete=True, language=language),
        "no disk": view.disk_html([], [], "", may_delete=True, language=language)}


class Tags(HTMLParser):
    """Every tag with its attributes, and whether all were closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def of(self, name: str) -> list[str]:
        return [str(attributes[name]) for _, attributes in self.found if name in attributes]


@pytest.mark.parametrize("language", LANGUAGES)
def test_text_written_by_others_never_becomes_html(tmp_path: Path, language: str) -> None:
    for name, page in every_page(tmp_path, language).items():
        tags = Tags(page)
        assert tags.open == [], name
        assert "script" not in {tag for tag, _ in tags.found}, name
        assert {attribute for _, attributes in tags.found for attribute in attributes} <= {
            "type", "class", "data-do", "data-value", "data-confirm", "aria-label", "aria-current", "aria-pressed", "role", "href",
            "target", "rel", "scope", "colspan", "tabindex", "id"}, name


def test_every_button_has_an_action(tmp_path: Path) -> None:
    pages = every_page(tmp_path, "en")
    used = {name for page in pages.values() for name in Tags(page).of("data-do")}
    assert used <= actions.actions._actions.keys()
    assert {"choose", "all", "more", "recommended", "remedy", "delete", "delete-saved"} <= used


def test_every_button_of_a_remedy_is_understood(tmp_path: Path) -> None:
    source = Path(actions.__file__).read_text("utf-8")
    kinds = {value.split(" ")[0] for value in Tags(every_page(tmp_path, "en")["problem"]).of("data-value")}
    assert kinds <= set(re.findall(r'case "(\w+)":', source))


def test_a_value_is_unchanged_after_escaping(tmp_path: Path) -> None:
    pages = every_page(tmp_path, "en")
    assert BAD in Tags(pages["recommended"]).of("data-value")
    assert f"sibling {BAD}" in Tags(pages["problem"]).of("data-value")
    assert {BAD, f"nf4 {BAD}"} <= set(Tags(pages["disk"]).of("data-value"))


# --- verdicts ---

@pytest.mark.parametrize(("verdict", "kind", "words"), [
    (Verdict.FITS, "is-good", {"en": "Fits", "tr": "Sığar", "zh": "可运行"}),
    (Verdict.TIGHT, "is-tight", {"en": "Tight", "tr": "Sınırda", "zh": "勉强"}),
    (Verdict.TEXT_ONLY, "is-tight", {"en": "Text only", "tr": "Yalnızca metin", "zh": "仅文本"}),
    (Verdict.TOO_LARGE, "is-bad", {"en": "Too large", "tr": "Çok büyük", "zh": "太大"})])
def test_a_verdict_is_a_word_a_size_and_a_colour(verdict: Verdict, kind: str, words: dict[str, str]) -> None:
    for language, word in words.items():
        chip = view.verdict_chip(verdict, int(5.25 * GIB), language, Quantization.NF4)
        assert f'class="mc-verdict {kind}"' in chip
        size = "5,2 GiB" if language == "tr" else "5.2 GiB"
        assert f">{word} · {size} · NF4<" in chip


def test_each_quantization_has_its_row_and_the_chosen_one_is_marked() -> None:
    rows = view.model_html(FOUND, fit(), Quantization.NF4, False, "en").split("<tr")[2:]
    assert [re.search(r'scope="row">([^<]+)', row)[1] for row in rows] == ["not quantized", "INT8", "INT4", "NF4"]  # type: ignore[index]
    assert [row.startswith(' class="is-chosen"') for row in rows] == [False, False, False, True]
    assert [("is-good" in row, "GiB" in row, "tok/s" in row) for row in rows][3] == (True, True, True)


def test_an_unsupported_quantization_is_marked_in_its_row() -> None:
    rows = view.model_html(FOUND, fit(hardware=ARM), Quantization.NONE, False, "en").split("<tr")[2:]
    assert ["Not supported on this machine" in row for row in rows] == [False, True, True, True]


def test_a_model_too_large_for_any_context_has_none() -> None:
    page = view.model_html(FOUND, fit(1), Quantization.NONE, False, "en")
    assert page.count("Too large") == 4
    assert page.count("<td>–</td>") == 4


def test_a_model_of_unknown_shape_has_no_table() -> None:
    assert "<table" not in view.model_html(FoundModel("me/model", "catalog"), None, Quantization.NONE, False, "en")


def test_recommended_models_are_cards_with_verdicts() -> None:
    found = recommend(CPU, 20 * GIB, supported=list(Quantization))
    page = view.recommended_html(found, "chat", 8, found[1].entry.repo, "en")
    assert (page.count('class="mc-card"'), page.count('class="mc-verdict')) == (8, 8)
    assert page.index('aria-current="true"') > page.index(f'data-value="{found[1].entry.repo}"')
    assert f"Show all {len(found)}" in page


# --- one model ---

def test_a_model_is_described_by_its_facts() -> None:
    found = replace(FOUND, entry=ENTRY, listing=replace(LISTING, licence="mit"))
    page = view.model_html(found, fit(), Quantization.NONE, False, "en")
    for fact in ("8.2 B", "40,960-token context", "mit", "gated", "no chat template", "aaaaaaa", "2 files, 3.2 GB", "5 kB"):
        assert f">{fact}<" in page, fact


def test_a_folder_is_shown_by_its_name_and_its_path() -> None:
    page = view.model_html(FoundModel("/models/<b>/My model", "folder", shape=SHAPE), fit(), Quantization.NONE, False, "en")
    assert "<h2>My model</h2>" in page
    assert '<p class="mc-path">/models/&lt;b&gt;/My model</p>' in page
    assert "mc-path" not in view.model_html(FOUND, fit(), Quantization.NONE, False, "en")


def test_a_folder_has_no_page_on_the_hub() -> None:
    assert "href" not in view.model_html(FoundModel("/a/folder", "folder", shape=SHAPE), fit(), Quantization.NONE, False, "en")


@pytest.mark.parametrize("language", LANGUAGES)
def test_stored_weights_and_gguf_files_are_explained(language: str) -> None:
    assert SHAPE is not None
    kept = replace(SHAPE, file_bytes=5, stored_method="GPTQ", stored_codes="int4")
    page = view.model_html(replace(FOUND, shape=kept), estimate_shape(kept, CPU, context_tokens=512, visitors=1, free_bytes=GIB,
                                                                      bandwidth=1e10), Quantization.NONE, False, language)
    assert "GPTQ" in page
    assert html.escape(text(language, "models.as_stored", kind="INT4")) in page
    assert '<th scope="row">INT4</th>' not in page       # the same
    files = tuple(GgufFile(f"me/model/<b>{kind}.gguf", f"<b>{kind}.gguf", 10**9) for kind in ("Q4", "Q8"))
    expanded = replace(SHAPE, file_bytes=5, stored_method="GGUF", stored_dtype="gguf")
    found = replace(FOUND, spec_model=files[1].model, shape=expanded, gguf_files=files)
    page = view.model_html(found, None, Quantization.NONE, False, language)
    assert "<b>Q4" not in page
    assert re.findall('aria-pressed="(true|false)"', page) == ["false", "true"]
    assert html.escape(text(language, "models.stored.expanded", kind="GGUF")) in page


def test_the_loaded_model_is_marked() -> None:
    assert ">Loaded<" in view.model_html(FOUND, fit(), Quantization.NONE, True, "en")
    assert ">Loaded<" not in view.model_html(FOUND, fit(), Quantization.NONE, False, "en")


@pytest.mark.parametrize(("num_bytes", "words"), [
    (0, "0 kB"), (300, "1 kB"), (5_400, "5 kB"), (1_230_000, "1.2 MB"), (123_400_000, "123 MB"), (949_000_000, "949 MB"),
    (960_000_000, "1.0 GB"), (5_700_000_000, "5.7 GB")])
def test_sizes_on_disk_are_in_decimal_units(num_bytes: int, words: str) -> None:
    assert disk_size("en", num_bytes) == words


@pytest.mark.parametrize(("count", "words"), [
    (None, ""), (590_000, "0.6 M"), (2_200_000, "2.2 M"), (135_000_000, "135 M"), (960_000_000, "1.0 B"), (8_190_735_360, "8.2 B"),
    (700_000_000_000, "700 B")])
def test_parameters_are_rounded_as_in_model_names(count: int | None, words: str) -> None:
    assert view.parameters("en", count) == words


# --- problems ---

@pytest.mark.parametrize("language", LANGUAGES)
def test_a_problem_is_announced_with_its_remedies(tmp_path: Path, language: str) -> None:
    page = every_page(tmp_path, language)["problem"]
    assert 'role="alert"' in page
    assert [value.split(" ")[0] for value in Tags(page).of("data-value")] == [
        "quantize", "quantize", "context", "sibling", "force", "revision", "retry"]
    assert 'href="#mc-disk-title"' in page      # what is on disk is on the same page


def test_only_a_web_address_of_a_licence_becomes_a_link() -> None:
    assert 'href="https://example.org/licence"' in view.problem_html("Ask first.", (), "en", "https://example.org/licence")
    assert "href" not in view.problem_html("Ask first.", (), "en", "javascript:alert(1)")


def test_without_a_problem_nothing_is_shown() -> None:
    assert view.problem_html("", (), "en") == ""


# --- disk ---

def test_deleting_asks_first_and_names_the_model_and_its_size(tmp_path: Path) -> None:
    page = view.disk_html([STORED], [saved(tmp_path / "nf4", "me/other")], "", may_delete=True, language="en")
    assert Tags(page).of("data-confirm") == ["Delete me/model from disk? This frees 3.2 GB.",
                                             "Delete me/other NF4 from disk? This frees 2.0 MB."]
    assert "Downloaded models: 3.2 GB" in page
    assert "last used 2025-06-15" in page


@pytest.mark.parametrize(("loaded", "may_delete"), [("me/model", True), ("", False)], ids=["in use", "anonymous"])
def test_a_model_that_may_not_be_deleted_has_no_delete_button(tmp_path: Path, loaded: str, may_delete: bool) -> None:
    page = view.disk_html([STORED], [saved(tmp_path / "nf4", "me/model")], loaded, may_delete=may_delete, language="en")
    assert "data-confirm" not in page
    assert page.count('data-do="choose"') == 2


def test_an_unfinished_download_is_marked() -> None:
    assert "incomplete" in view.disk_html([replace(STORED, is_complete=False)], [], "", may_delete=True, language="en")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_recommended_model_says_why(language: str) -> None:
    found = [choice for hardware in (CPU, replace(CPU, kind="cuda")) for free in (5, 10, 14, 60)
             for choice in recommend(hardware, free * GIB, supported=list(Quantization))]
    assert {choice.reason for choice in found} == set(Reason)
    for choice in found:
        sentence = view.why(choice, language)
        assert "{" not in sentence
        assert sentence in html.unescape(view.recommended_html([choice], "chat", 1, "", language))


def test_the_chosen_use_is_marked() -> None:
    page = view.recommended_html([], "code", 8, "", "en")
    assert 'data-value="code" aria-pressed="true"' in page
    assert page.count('aria-pressed="true"') == 1
