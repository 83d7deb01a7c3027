"""Measures a model on the held-back examples: one pass over them without gradients, the same before, during and after training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional

from ..answers import best_answers
from ..encoded import IGNORED, Encoded
from ..examples import Answered, ClassifiedText, Example, TaggedWords
from ..job import TrainJob
from ..metrics import best_f1, is_exact, of_answers, of_classes, of_tags, of_text, shortened
from ..plan import HEADED
from ..run import Metrics, Mistake
from .batches import Collate, moved
from .losses import span_loss

Batch = dict[str, torch.Tensor]


class Measurement:
    """`measure()` for one run. `encoded`: of the examples; several rows of one example for long contexts."""

    def __init__(self, model: Any, job: TrainJob, examples: Sequence[Example], encoded: Sequence[Encoded], collate: Collate) -> None:
        self._model, self._job, self._examples, self._collate = model, job, examples, collate
        self.encoded = encoded
        self._order = sorted(range(len(encoded)), key=lambda at: -len(encoded[at].input_ids))     # the most memory first

    @property
    def main(self) -> str:
        match self._job.plan.task:
            case "text-classification":
                return "matthews" if len(self._job.labels) == 2 else "f1"
            case "question-answering" | "token-classification":
                return "f1"
        return "loss"

    def __call__(self, go_on: Callable[[], object] = lambda: None) -> Metrics:
        """`go_on`: called before each batch; what it raises ends the measurement."""
        self._go_on = go_on
        with _evaluating(self._model):
            match self._job.plan.task:
                case "text-classification":
                    return self._classes()
                case "token-classification":
                    return self._tags()
                case "question-answering":
                    return self._answers()
            return self._text()

    def _batches(self) -> Iterator[tuple[list[int], Any, Any]]:
        """Places of the rows, the model's output for them, and their labels; without those of texts, whose loss is in the output."""
        is_headed = self._job.plan.task in HEADED
        device, size = next(self._model.parameters()).device, self._job.micro_batch
        for begin in range(0, len(self._order), size):
            self._go_on()
            places = self._order[begin:begin + size]
            batch = moved(self._collate([self.encoded[at] for at in places]), device)
            labels = batch.pop("labels") if is_headed else None      # heads compute losses of their own (losses.py)
            yield places, self._model(**batch), labels

    def _classes(self) -> Metrics:
        labels, rows = self._job.labels, list(self._order)
        losses, guesses, chances = ([0.0] * len(rows), [0] * len(rows), [0.0] * len(rows))
        for places, output, expected in self._batches():
            logits = output.logits.float()
            loss = functional.cross_entropy(logits, expected, reduction="none")
            best, guess = logits.softmax(-1).max(-1)
            for at, *found in zip(places, loss.tolist(), guess.tolist(), best.tolist(), strict=True):
                losses[at], guesses[at], chances[at] = found
        expected_labels = [int(each.label or 0) for each in self.encoded]
        mistakes = [Mistake(example.row, shortened(f"{example.text} {example.second_text}".strip()), labels[example.label],
                            labels[guesses[at]], chances[at], losses[at])
                    for at, example in self._with(ClassifiedText) if guesses[at] != example.label]
        return of_classes(expected_labels, guesses, labels, sum(losses) / max(1, len(losses)), mistakes)

    def _tags(self) -> Metrics:
        labels = self._job.labels
        expected: dict[int, list[str]] = {}
        predicted: dict[int, list[str]] = {}
        mistakes, total, count = [], 0.0, 0
        for places, output, _ in self._batches():
            logits = output.logits.float()
            for at, scores in zip(places, logits, strict=True):
                row = self.encoded[at]
                marked = [place for place, label in enumerate(row.labels) if label != IGNORED]
                if not marked:
                    continue
                gold = torch.tensor([row.labels[place] for place in marked], device=logits.device)
                loss = functional.cross_entropy(scores[marked], gold, reduction="none")
                best, guess = scores[marked].softmax(-1).max(-1)
                expected[at], predicted[at] = ([labels[each] for each in ids.tolist()] for ids in (gold, guess))
                total, count = total + float(loss.sum()), count + len(marked)
                if expected[at] != predicted[at]:
                    mistakes.append(self._wrong_tags(at, expected[at], predicted[at], float(best.min()), float(loss.max())))
        order = sorted(expected)
        return of_tags([expected[at] for at in order], [predicted[at] for at in order], total / max(1, count), mistakes)

    def _wrong_tags(self, at: int, expected: list[str], predicted: list[str], chance: float, loss: float) -> Mistake:
        example = self._examples[self.encoded[at].example]
        assert isinstance(example, TaggedWords)
        words = [example.words[place] for place in self.encoded[at].words]
        wrong = [(word, gold, guess) for word, gold, guess in zip(words, expected, predicted, strict=True) if gold != guess]
        return Mistake(example.row, shortened(" ".join(example.words)), shortened(", ".join(f"{word} {gold}" for word, gold, _ in wrong)),
                       shortened(", ".join(f"{word} {guess}" for word, _, guess in wrong)), chance, loss)

    def _answers(self) -> Metrics:
        scores: list[tuple[list[float], list[float]]] = [([], [])] * len(self.encoded)
        total, count = 0.0, 0
        for places, output, labels in self._batches():
            total, count = total + float(span_loss(output, labels)) * len(places), count + len(places)
            for at, begins, ends in zip(places, output.start_logits.float().tolist(), output.end_logits.float().tolist(), strict=True):
                length = len(self.encoded[at].input_ids)
                scores[at] = begins[:length], ends[:length]
        answered = [example for _, example in self._with(Answered)]
        found = best_answers(answered, self.encoded, scores)
        right = [[text for text, _ in example.answers] for example in answered]
        mistakes = [Mistake(example.row, shortened(example.question), shortened(" / ".join(texts)), shortened(text), 0.0,
                            1 - best_f1(texts, text))
                    for example, text, texts in zip(answered, found, right, strict=True) if not is_exact(texts, text)]
        return of_answers(right, found, total / max(1, count), mistakes)

    def _text(self) -> Metrics:
        """Mean over all trained tokens, however they are batched."""
        total, count = 0.0, 0
        for places, output, _ in self._batches():
            tokens = sum(label != IGNORED for at in places for label in self.encoded[at].labels[1:])
            if tokens:
                total, count = total + float(output.loss) * tokens, count + tokens
        return of_text(total / max(1, count), len(self._examples))

    def _with(self, kind: type[Any]) -> Iterator[tuple[int, Any]]:
        return ((at, example) for at, example in enumerate(self._examples) if isinstance(example, kind))


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Without dropout and gradients; the caller's mode afterwards. Draws no random number, so training goes on as without it."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)
