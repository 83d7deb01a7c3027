import re

from engine.models.catalog import catalog
from scripts.models_page import MACHINES, PAGE, main, page


def test_the_page_is_what_the_catalog_says() -> None:
    assert PAGE.read_text("utf-8") == page(), "run python -m scripts.models_page"
    assert main(["--check"]) == 0


def test_every_machine_has_its_five_models() -> None:
    sections = page().split("\n## ")[1:-1]
    assert [section.split("\n")[0] for section in sections] == [
        f"{'GPU' if kind == 'cuda' else 'CPU'} with {size} GB" for kind, sizes in MACHINES for size in sizes]
    for section in sections:
        assert len(re.findall(r"^\| \[", section, re.MULTILINE)) == 5
        assert "in Turkish" in section


def test_every_model_of_the_catalog_is_listed() -> None:
    facts = page().split("## Catalog")[1]
    assert all(f"https://huggingface.co/{entry.repo})" in facts for entry in catalog())
