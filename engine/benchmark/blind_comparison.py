"""Blind comparison: one prompt to two models, one after the other, then a vote; votes give each model an Elo rating."""

from __future__ import annotations

import random
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import InvalidRequest
from ..messages import GenerationOptions, Message, TextDelta
from ..models.quantization import Quantization
from ..models.spec import LoadOptions, ModelSpec
from ..storage.votes import Vote
from .exclusive import ExclusiveUse
from .measure.control import Control, MeasurementStep
from .measure.loading import load_model

if TYPE_CHECKING:
    from ..runtime.engine import Engine

START, STEP, SCALE = 1000.0, 32.0, 400.0        # first rating; the most that one vote changes; the difference that means tenfold odds


@dataclass(frozen=True, slots=True)
class Contender:
    model: str
    quantization: Quantization = Quantization.NONE

    @property
    def spec(self) -> ModelSpec:
        return ModelSpec(self.model, quantization=self.quantization)

    @property
    def label(self) -> str:
        """Return the name for which votes are counted."""
        return f"{self.spec.name}, {self.quantization}"


@dataclass(frozen=True, slots=True)
class ComparisonSide:
    """`label` must stay hidden until the vote."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class BlindComparison:
    """Two replies in random order."""

    prompt: str
    left: ComparisonSide
    right: ComparisonSide


@dataclass(frozen=True, slots=True)
class Rating:
    label: str
    elo: float
    votes: int
    wins: int


def run_blind_comparison(engine: Engine, prompt: str, contenders: tuple[Contender, Contender], options: GenerationOptions,
                         control: Control) -> BlindComparison:
    """Raises JobStopped, InvalidRequest, and what `Engine.load` and `Engine.chat` raise. The previous model is loaded again."""
    if contenders[0] == contenders[1]:
        raise InvalidRequest("contenders", contenders[0].label, "two different ones")
    drawn = random.SystemRandom().sample(contenders, 2)
    with ExclusiveUse(engine, control, "two models are being compared") as own:
        left, right = (_answer(engine, prompt, contender, options, number, own) for number, contender in enumerate(drawn, 1))
    return BlindComparison(prompt, left, right)


def _answer(engine: Engine, prompt: str, contender: Contender, options: GenerationOptions, number: int, control: Control) -> ComparisonSide:
    control.step(MeasurementStep("chat", number, 2))      # does not reveal the model
    load_model(engine, contender.spec, LoadOptions(), Control(stop=control.stop, reservation=control.reservation))
    events = engine.chat([Message("user", prompt)], options, spec=contender.spec, reservation=control.reservation)
    pieces: list[str] = []
    with closing(events):     
        for event in events:
            control.check()
            if isinstance(event, TextDelta):
                pieces.append(event.text)
    return ComparisonSide(contender.label, "".join(pieces))


def ratings(votes: Iterable[Vote]) -> tuple[Rating, ...]:
    """Elo ratings, updated vote by vote, best first: R += 32 (score - 1 / (1 + 10^((R_other - R) / 400))) (Elo 1978)."""
    elo: dict[str, float] = {}
    counts: dict[str, list[int]] = {}
    for vote in votes:
        first, second = elo.setdefault(vote.first, START), elo.setdefault(vote.second, START)
        change = STEP * (vote.score - expected(first, second))
        elo[vote.first], elo[vote.second] = first + change, second - change
        for label, is_win in ((vote.first, vote.score == 1), (vote.second, vote.score == 0)):
            count = counts.setdefault(label, [0, 0])
            count[0] += 1
            count[1] += is_win
    return tuple(sorted((Rating(label, value, *counts[label]) for label, value in elo.items()), key=lambda each: -each.elo))


def expected(own: float, other: float) -> float:
    """The expected score of a rating against another."""
    return float(1 / (1 + 10 ** ((other - own) / SCALE)))


def checked(first: str, second: str, score: float) -> Vote:
    """Return the vote. Raises InvalidRequest."""
    if score not in (0, 0.5, 1):
        raise InvalidRequest("score", score, "1, 0.5 or 0")
    if first == second or not first or not second:
        raise InvalidRequest("vote", first, "between two different models")
    return Vote(first, second, float(score))
