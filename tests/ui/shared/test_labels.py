"""Titles of measurements in the visitor's language."""

import pytest

from engine import ModelSpec, Quantization
from engine.benchmark import Subject
from ui.shared.labels import subject_text

NF4 = Subject.of(ModelSpec(quantization=Quantization.NF4), context_tokens=2048)
SWEEP = Subject(("Built-in guide", "none, nf4: text"), (Quantization.NONE, Quantization.NF4), (0, 2048), ("pp512", "tg128"))


@pytest.mark.parametrize(("subject", "language", "expected"), [
    (NF4, "en", "Built-in guide, NF4, 2,048 tokens"), (NF4, "tr", "Built-in guide, NF4, 2.048 token"),
    (NF4, "zh", "Built-in guide, NF4, 2,048 个 token"),
    (SWEEP, "en", "Built-in guide, none, nf4: text x not quantized, NF4 x 0, 2,048 tokens, pp512 tg128"),
    (SWEEP, "tr", "Built-in guide, none, nf4: text x nicemlenmemiş, NF4 x 0, 2.048 token, pp512 tg128"),
    (Subject.of(ModelSpec(), tasks=("text", "arc_easy")), "tr", "Built-in guide: metin, arc_easy")])
def test_a_title_follows_the_language_and_leaves_names_alone(subject: Subject, language: str, expected: str) -> None:
    assert subject_text(subject, language) == expected
