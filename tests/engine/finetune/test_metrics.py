"""Metrics against values that others have computed, and by hand."""

from __future__ import annotations

import pytest

from engine.finetune.metrics import best_f1, is_exact, normalized, of_answers, of_classes, of_tags, of_text, spans, worst
from engine.finetune.run import Mistake


def test_classes_are_counted_as_in_the_documentation_of_scikit_learn() -> None:
    """The examples of its functions: macro F1 of (0, 1, 2) with zero division, and Matthews' correlation of two classes."""
    metrics = of_classes([0, 1, 2, 0, 1, 2], [0, 2, 1, 0, 0, 1], ("a", "b", "c"), 1.0)
    assert metrics.main == "f1"
    assert metrics.value("f1") == pytest.approx(0.26666, abs=1e-4)
    assert metrics.value("precision") == pytest.approx(0.22222, abs=1e-4)
    assert metrics.value("recall") == pytest.approx(0.33333, abs=1e-4)
    assert metrics.confusion == ((2, 0, 0), (1, 0, 1), (0, 2, 0))
    assert [each.support for each in metrics.per_label] == [2, 2, 2]

    two = of_classes([1, 1, 1, 0], [1, 0, 1, 1], ("no", "yes"), 0.5)
    assert two.main == "matthews"
    assert two.value("matthews") == pytest.approx(-0.33333, abs=1e-4)
    assert two.value("accuracy") == 0.5


def test_a_class_that_never_occurs_does_not_lower_the_averages() -> None:
    assert of_classes([0, 1], [0, 1], ("a", "b", "never"), 0.1).value("f1") == 1.0


@pytest.mark.parametrize(("tags", "expected"), [
    (["B-PER", "I-PER", "O", "B-LOC"], {("PER", 0, 2), ("LOC", 3, 4)}),
    (["I-PER", "I-PER", "I-LOC", "O"], {("PER", 0, 2), ("LOC", 2, 3)}),             # IOB1, as CoNLL-2003 is written
    (["B-PER", "B-PER"], {("PER", 0, 1), ("PER", 1, 2)}),
    (["B-PER", "I-LOC"], {("PER", 0, 1), ("LOC", 1, 2)}),
    (["S-PER", "B-LOC", "E-LOC", "O"], {("PER", 0, 1), ("LOC", 1, 3)}),             # IOBES
    (["O", "O"], set()),
    (["NOUN", "NOUN", "VERB"], {("NOUN", 0, 1), ("NOUN", 1, 2), ("VERB", 2, 3)}),
])
def test_entities_are_spans_with_a_type(tags: list[str], expected: set[tuple[str, int, int]]) -> None:
    assert spans(tags) == expected


def test_an_entity_counts_if_its_borders_and_its_type_are_right() -> None:
    """The example of the package seqeval: precision, recall and F1 are one half."""
    expected = [["O", "O", "O", "B-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
    predicted = [["O", "O", "B-MISC", "I-MISC", "I-MISC", "I-MISC", "O"], ["B-PER", "I-PER", "O"]]
    metrics = of_tags(expected, predicted, 0.3)
    assert [metrics.value(name) for name in ("precision", "recall", "f1")] == [0.5, 0.5, 0.5]
    assert metrics.value("accuracy") == 0.8
    assert [(each.label, each.f1) for each in metrics.per_label] == [("MISC", 0.0), ("PER", 1.0)]


def test_answers_are_compared_without_articles_case_and_punctuation() -> None:
    assert normalized("The  Cat, a-sat!") == ["cat", "asat"]
    assert is_exact(["Denver Broncos", "the Broncos"], "broncos.")
    assert best_f1(["Denver Broncos won it", "Broncos"], "Denver Broncos") == pytest.approx(2 / 3)      # P 2/2, R 2/4; the other: 2/3 too
    assert best_f1([], "") == 1.0
    assert best_f1([], "something") == 0.0
    metrics = of_answers([["Paris"], []], ["paris", "Rome"], 0.1)
    assert (metrics.value("exact_match"), metrics.value("f1"), metrics.examples) == (0.5, 0.5, 2)


def test_perplexity_is_the_exponential_of_the_loss() -> None:
    assert of_text(0.0, 3).value("perplexity") == 1.0
    assert of_text(2.0, 3).value("perplexity") == pytest.approx(7.38906, abs=1e-4)
    assert (of_text(1e6, 3).value("perplexity") or 0) < 1e19        # that can be stored


def test_the_worst_mistakes_come_first_and_are_bounded() -> None:
    found = worst([Mistake(row, "", "a", "b", 0.9, row / 100) for row in range(100)])
    assert [each.row for each in found[:2]] == [99, 98]
    assert len(found) == 50
