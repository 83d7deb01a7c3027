"""Pieces: their places are exact, nothing is lost, and none is longer than the embedder reads."""

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.documents.files import Mark
from engine.knowledge.pieces import MIN_PIECE_TOKENS, cut, estimated_tokens, marks_of
from engine.knowledge.sentences import sentences
from engine.storage.knowledge_records import Place

PARTS = ("word", "kelime.", "End!", "今天很好。", "汉字" * 9, "Dr.", "x" * 300, "\n", "\n\n", "  ", "\u00a0", "3.5", "e.g. this",
         "“Quoted?”")
TEXTS = st.lists(st.sampled_from(PARTS), max_size=200).flatmap(
    lambda parts: st.sampled_from(("", " ")).map(lambda space: space.join(parts)))


def split(text: str) -> list[str]:
    return [text[begin:end].strip() for begin, end in sentences(text, 0, len(text))]


@pytest.mark.parametrize(("text", "found"), [
    ("Prof. Dr. Ayşe geldi. 19. yüzyılda M.Ö. 5. yılda oldu. Sonra gitti! Tamam mı? Evet.",
     ["Prof. Dr. Ayşe geldi.", "19. yüzyılda M.Ö. 5. yılda oldu.", "Sonra gitti!", "Tamam mı?", "Evet."]),
    ("III. Selim, İst. vb. yerlerde. Bkz. ek.", ["III. Selim, İst. vb. yerlerde.", "Bkz. ek."]),
    ("今天很好。我们去公园！“真的吗？”他说；好。", ["今天很好。", "我们去公园！", "“真的吗？”", "他说；", "好。"]),
    ('It is 3.5 m, e.g. this one. He said "Go." Then left... J. Smith came (late.) Now', [
        "It is 3.5 m, e.g. this one.", 'He said "Go."', "Then left...", "J. Smith came (late.)", "Now"]),
    ("a line\nanother one", ["a line", "another one"]), ("", []), (" \n ", [""])])
def test_sentences_end_as_they_are_written(text: str, found: list[str]) -> None:
    assert split(text) == found


@pytest.mark.parametrize("text", ["." * 200_000 + "x", "\n" * 200_000 + "x", '."' * 100_000 + "x"], ids=["stops", "lines", "quotes"])
def test_a_long_run_of_marks_is_read_once(text: str) -> None:
    """Read anew from each of its characters, it would take longer than a test may."""
    assert [text[begin:end].strip() for begin, end in sentences(text, 0, len(text))][-1].endswith("x")


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.data(), st.sampled_from((16, 40, 256)))
@example("x" * 5000, None, 16)
@example("汉" * 3000, None, 16)
def test_pieces_are_exact_complete_and_short(text: str, data: st.DataObject | None, most: int) -> None:
    begins = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=5))) if data else []
    marks = [Mark(begin, page=number, heading=f"heading {number}") for number, begin in enumerate(begins, 1)]
    places, covered = cut(text, marks, estimated_tokens, most), set[int]()
    for place in places:
        piece = text[place.begin:place.end]
        assert piece
        assert piece == piece.strip()
        assert estimated_tokens([piece])[0] + (estimated_tokens([place.heading])[0] if place.heading else 0) <= most
        before = [mark for mark in marks if mark.begin <= place.begin] or [Mark(0)]
        assert place.heading in {before[-1].heading, *(mark.heading for mark in marks if mark.begin == before[-1].begin)}
        covered.update(range(place.begin, place.end))
    assert [at for at, char in enumerate(text) if not char.isspace() and at not in covered] == []
    assert list(places) == sorted(places, key=lambda place: (place.begin, place.end))
    assert sum(place.end - place.begin for place in places) <= 1.5 * len(text) + 100     # what is repeated is little


def test_a_piece_ends_with_its_section_and_sections_that_are_short_are_joined() -> None:
    long = "Some words of a section. " * 5
    text = f"{long}{long}a\nb\n{long}"
    marks = [Mark(0, page=1), Mark(len(long), page=2), Mark(2 * len(long), row=1), Mark(2 * len(long) + 2, row=2),
             Mark(2 * len(long) + 4, row=3)]
    places = cut(text, marks)
    assert [(place.page, place.row) for place in places] == [(1, 0), (2, 0), (0, 1)]
    assert text[places[2].begin:places[2].end].startswith("a\nb\nSome")
    assert estimated_tokens([long])[0] >= MIN_PIECE_TOKENS


def test_pieces_end_after_paragraphs_and_overlap_within_a_section() -> None:
    sentence = "This sentence has a number of words in it, and it ends here. "
    text = f"{sentence * 6}\n\n{sentence * 8}"
    first, second = cut(text, (), estimated_tokens, 128)[:2]
    assert first == Place(0, len(sentence * 6) - 1)
    assert second.begin < first.end or text[second.begin:].startswith("This")
    running = cut(sentence * 60, (), estimated_tokens, 256)
    assert len(running) > 3
    assert all(after.begin < before.end for before, after in pairwise(running))


def test_a_document_can_be_cut_anew_for_a_shorter_window() -> None:
    text = "# A\n" + "One sentence of some length here. " * 40 + "\n# B\n" + "Another of them follows it. " * 40
    marks = (Mark(0, heading="A"), Mark(text.index("# B"), heading="B"))
    again = cut(text, marks_of(cut(text, marks)), estimated_tokens, 40)
    assert {text[place.begin] for place in again if place.heading == "B"} <= {"#", "A"}
    assert max(estimated_tokens([text[place.begin:place.end] for place in again])) <= 40
    assert [place.heading for place in again] == sorted(place.heading for place in again)
