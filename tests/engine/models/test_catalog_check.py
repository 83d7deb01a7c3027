"""`python -m engine.models.catalog check`, against a stand-in for the hub with real files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine import Hub, Settings
from engine.models.catalog import parse_catalog
from engine.models.catalog.__main__ import CATALOG, main
from engine.models.catalog.check import compare, corrected
from engine.models.catalog.edit import shape_line
from tests import hub_folders, hub_standin
from tests.hub_standin import Fault, Repo, StandIn

PARAMETERS = 4 * 64 + 64 + 512 * 64
ENTRY = """["me/{name}"]
about = {{name = "Model", parameters = {parameters}, released = "2026-01", licence = "{licence}", gated = {gated}, current = true}}
use = {{context = 512, chat_template = {template}, good_for = ["chat"], languages = ["en"]}}
{sizes}

"""
SHAPE = """shape = {linear_weights = 32_768, other_weights = 320, layers = 2, kv_heads = 2, head_dim = 16, hidden_size = 64, \
vocab_size = 400, table_weights = 256, largest_matrix = 32_768, intermediate_size = 11_008, cache_values = 128}"""


def entry(name: str = "right", *, parameters: int = PARAMETERS, licence: str = "apache-2.0", gated: str = "false", template: str = "true",
          sizes: str = SHAPE) -> str:
    return ENTRY.format(name=name, parameters=parameters, licence=licence, gated=gated, template=template, sizes=sizes)


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandIn]:
    folder = hub_folders.model(tmp_path / "tiny")
    (folder / "chat_template.jinja").write_text("{{ messages }}")
    with hub_standin.online(), hub_standin.running({
            "me/right": folder, "me/free": Repo(folder, licence="mit"), "me/closed": Repo(folder, gated="auto"),
            "me/old": Repo(folder, moved_to="me/right")}) as running:
        yield running


@pytest.fixture
def hub(stand_in: StandIn, settings: Settings, tmp_path: Path) -> Hub:
    return Hub(replace(settings, cache_dir=tmp_path / "cache"), stand_in.address, timeout_s=1)


def differing(text: str, hub: Hub) -> dict[tuple[str, str], str]:
    return {(each.repo, each.name): each.hub for each in compare(text, hub, Settings().hf_token).differences}


def test_a_right_entry_has_no_difference(hub: Hub) -> None:
    assert differing(entry(), hub) == {}


def test_wrong_facts_are_found_and_corrected(hub: Hub) -> None:
    text = entry("free", gated="true", template="false") + entry()
    found = compare(text, hub, Settings().hf_token)
    assert {(each.name, each.ours, each.hub) for each in found.differences} == {
        ("licence", '"apache-2.0"', '"mit"'), ("gated", "true", "false"), ("chat_template", "false", "true")}
    assert differing(corrected(text, found.differences), hub) == {}


@pytest.mark.parametrize("sizes", [
    SHAPE.replace("layers = 2", "layers = 3"), SHAPE.replace("cache_values = 128", "cache_values = 64"), "",
    'config = {model_type = "llama"}\n' + SHAPE.replace("head_dim = 16", "head_dim = 32"),
    "architecture = {layers = 2, hidden_size = 64, intermediate_size = 256, heads = 4, kv_heads = 4, head_dim = 16, vocab_size = 400, "
    "tied_embeddings = true}"], ids=["layers", "cache", "unknown", "config", "architecture"])
def test_wrong_sizes_are_replaced_by_those_of_the_files(sizes: str, hub: Hub) -> None:
    text = entry("free", licence="mit", sizes=sizes) + entry()
    found = compare(text, hub, Settings().hf_token).differences
    assert [each.repo for each in found] == ["me/free"]
    right, other = parse_catalog(corrected(text, found))
    assert other.shape is not None
    assert right.shape == other.shape
    assert (right.config, right.parameters) == ({}, PARAMETERS)
    assert found[0].hub_shape is not None
    assert shape_line(found[0].hub_shape) in corrected(text, found)


@pytest.mark.parametrize(("parameters", "differs"), [(PARAMETERS, False), (int(PARAMETERS / 1.2), False), (int(PARAMETERS / 1.3), True),
                                                     (PARAMETERS + 100, True)])
def test_the_hub_may_hold_encoders_beside_the_language_model(parameters: int, differs: bool, hub: Hub) -> None:
    assert (("me/right", "parameters") in differing(entry(parameters=parameters), hub)) is differs


def test_of_a_gated_model_only_what_the_hub_shows_is_compared(hub: Hub) -> None:
    assert differing(entry("closed", template="false"), hub) == {("me/closed", "gated"): "true"}


def test_a_new_name_is_reported_and_left_to_a_person(hub: Hub) -> None:
    text = entry("old")
    found = compare(text, hub, Settings().hf_token).differences
    assert [(each.name, each.hub) for each in found] == [("repo", '"me/right"')]
    assert corrected(text, found) == text


def test_a_model_that_the_hub_does_not_have_does_not_end_the_check(hub: Hub) -> None:
    found = compare(entry() + entry("gone") + entry("free"), hub, Settings().hf_token)
    assert (found.checked, list(found.unread)) == (2, ["me/gone"])
    assert [each.repo for each in found.differences] == ["me/free"]


def test_the_command_prints_what_differs_and_writes_the_corrected_file(
        hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    catalog, out = tmp_path / "catalog.toml", tmp_path / "new.toml"
    catalog.write_text("# A comment.\n\n" + entry() + entry("free"))
    assert main(["check", "--out", str(out)], hub=hub, catalog=catalog) == 1
    assert 'me/free: licence is "apache-2.0" in the catalog and "mit" on the hub' in capsys.readouterr().out
    assert out.read_text() == catalog.read_text().replace('"apache-2.0"', '"mit"', 2).replace('"mit"', '"apache-2.0"', 1)
    assert main(["check"], hub=hub, catalog=out) == 0
    assert main(["check", "me/right"], hub=hub, catalog=catalog) == 0


def test_nothing_is_written_without_a_hub(hub: Hub, stand_in: StandIn, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stand_in.faults.append(Fault("*", 500))
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(entry("free"))
    assert main(["check"], hub=hub, catalog=catalog) == 2
    assert catalog.read_text() == entry("free")
    assert "error:" in capsys.readouterr().err


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "nobody/nothing"]) == 2
    assert "nobody/nothing" in capsys.readouterr().err


def test_measuring_again_changes_nothing(tmp_path: Path) -> None:
    catalog = tmp_path / "catalog.toml"
    catalog.write_text(CATALOG.read_text("utf-8"), "utf-8")
    assert main(["measure"], catalog=catalog) == 0
    assert catalog.read_text("utf-8") == CATALOG.read_text("utf-8")
