import pytest

from engine import GenerationOptions
from engine.errors import InvalidRequest
from ui.chat.options_panel import read, values_of


def test_shown_options_are_read_back_unchanged() -> None:
    options = GenerationOptions(max_new_tokens=99, temperature=0.3, top_p=0.9, top_k=20, min_p=0.05, repetition_penalty=1.1,
                                stop=("END", "\t."), seed=7, reasoning_budget=400)
    assert read(values_of(options)) == options


def test_an_empty_seed_is_no_seed() -> None:
    assert read(values_of(GenerationOptions())).seed is None


@pytest.mark.parametrize(("place", "name"), [(-2, "seed"), (-1, "reasoning_budget")])
def test_a_text_that_is_not_a_number_is_named(place: int, name: str) -> None:
    values = values_of(GenerationOptions())
    values[place] = "luck"
    with pytest.raises(InvalidRequest, match=name):
        read(values)
