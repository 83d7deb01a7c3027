"""Local tasks: JSON Lines with questions and answers, scored on the loaded model.

    {"prompt": "2 + 2 =", "choices": ["3", "4"], "answer": 1}       multiple choice: the likeliest choice; answer: index or text
    {"prompt": "The capital of France?", "answer": "Paris"}         generation: the whole reply must be the answer
    {"text": "..."}                                                 perplexity
    {"prompt": "def f(n): ...", "entry_point": "f", "test": "..."}  HumanEval's format: programs, tested in a sandbox (coding.py)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import InvalidRequest
from ...messages import GenerationOptions, Message, TextDelta
from ...storage.formats import Value
from ..coding.problems import Problem, read_problem, run_problems
from ..measure.control import Control, MeasurementStep
from ..store.scores import Score, accuracy
from .likelihood import TextPlan, log_likelihood, scored, tokens_of
from .perplexity import perplexity_of

if TYPE_CHECKING:
    from ...runtime.active_model import ActiveModel
    from ...runtime.engine import Engine
    from ...runtime.serving_model import ServingModel

MAX_SAMPLES = 20_000
MAX_TASK_CHARS = 20_000_000
MAX_CHOICES = 26
DELIMITER = " "         # between a prompt and a choice, as in lm-eval
REPLY_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Choice:
    prompt: str
    choices: tuple[str, ...]
    answer: int


@dataclass(frozen=True, slots=True)
class TaskQuestion:
    prompt: str
    answer: str


@dataclass(frozen=True, slots=True)
class Passage:
    text: str


Sample = Choice | TaskQuestion | Passage | Problem


@dataclass(frozen=True, slots=True)
class QualityTask:
    """Samples of one kind."""

    name: str
    samples: tuple[Sample, ...]


def read_task(name: str, text: str) -> QualityTask:
    """A task from JSON Lines. Raises InvalidRequest, which names the line."""
    if len(text) > MAX_TASK_CHARS:
        raise InvalidRequest("the task", f"{len(text):,} characters", f"at most {MAX_TASK_CHARS:,} characters")
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if not 0 < len(lines) <= MAX_SAMPLES:
        raise InvalidRequest("the task", f"{len(lines):,} lines", f"1 to {MAX_SAMPLES:,} lines")
    samples = tuple(_sample(line, number) for number, line in lines)
    if len({type(sample) for sample in samples}) > 1:
        raise InvalidRequest("the task", "lines of several kinds", "lines of one kind: choices, answers, texts, or problems")
    return QualityTask(name, samples)


def _sample(line: str, number: int) -> Sample:
    try:
        value = Value(json.loads(line), f"line {number}")
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"line {number}", line[:60], "a JSON object") from error
    members = value.members()
    if "choices" in members:
        return _choice(value)
    if "entry_point" in members:
        return read_problem(value)
    if "prompt" in members:
        return TaskQuestion(_text(value.get("prompt")), _text(value.get("answer")))
    return Passage(_text(value.get("text")))


def _choice(value: Value) -> Choice:
    choices = tuple(_text(each) for each in value.get("choices").items("choice"))
    answer = value.get("answer")
    if not 2 <= len(choices) <= MAX_CHOICES:
        raise InvalidRequest(f"choices of {value.name}", len(choices), f"2 to {MAX_CHOICES}")
    index = choices.index(answer.value) if answer.value in choices else answer.value
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < len(choices):
        raise answer.wrong("the index of a choice, or its text")
    return Choice(_text(value.get("prompt")), choices, index)


def _text(value: Value) -> str:
    text = value.text()
    if not text.strip():
        raise value.wrong("some text")
    return text


def run_task(engine: Engine, task: QualityTask, control: Control | None = None, limit: int = MAX_SAMPLES) -> tuple[Score, ...]:
    """Scores of the loaded model on the first `limit` samples. Blocking.

    Raises JobStopped, NoModelLoaded, EngineBusy, NotOnThisMachine (choices and passages), InvalidRequest,
    GenerationFailed and SandboxUnavailable.
    """
    control = control or Control()
    samples = task.samples[:max(1, limit)]
    if isinstance(samples[0], Problem):
        with engine.serving() as model:
            return run_problems(engine, model, task.name, [each for each in samples if isinstance(each, Problem)], control)
    if isinstance(samples[0], TaskQuestion):
        with engine.serving() as model:
            return (_run_questions(engine, model, task.name, [each for each in samples if isinstance(each, TaskQuestion)], control),)
    with engine.using() as active_model:        # these need the probabilities of tokens
        if isinstance(samples[0], Choice):
            return _run_choices(active_model, task.name, [each for each in samples if isinstance(each, Choice)], control)
        return (_run_passages(active_model, task.name, [each for each in samples if isinstance(each, Passage)], control),)


def _run_choices(active_model: ActiveModel, name: str, samples: list[Choice], control: Control) -> tuple[Score, ...]:
    """acc: the choice with the largest log-likelihood; acc_norm: the same per character of the choice, as in lm-eval."""
    plain: list[bool] = []
    normed: list[bool] = []
    for number, sample in enumerate(samples):
        control.step(MeasurementStep("quality", number, len(samples)))
        sums = [log_likelihood(active_model, sample.prompt, DELIMITER + choice, control) for choice in sample.choices]
        per_char = [value / len(choice) for value, choice in zip(sums, sample.choices, strict=True)]
        plain.append(sums.index(max(sums)) == sample.answer)
        normed.append(per_char.index(max(per_char)) == sample.answer)
    return accuracy(name, "acc", plain), accuracy(name, "acc_norm", normed)


def _run_questions(engine: Engine, model: ServingModel, name: str, samples: list[TaskQuestion], control: Control) -> Score:
    """The reply of a chat, greedy, must equal the answer; spaces around both are ignored."""
    hits: list[bool] = []
    for number, sample in enumerate(samples):
        control.step(MeasurementStep("quality", number, len(samples)))
        reply = "".join(_reply(engine, model, sample.prompt, control))
        hits.append(reply.strip() == sample.answer.strip())
    return accuracy(name, "exact_match", hits)


def _reply(engine: Engine, model: ServingModel, prompt: str, control: Control) -> Iterator[str]:
    options = GenerationOptions(max_new_tokens=REPLY_TOKENS, temperature=0.0)
    events = engine.chat([Message("user", prompt)], options, spec=model.spec, reservation=control.reservation)
    with closing(events):     
        for event in events:
            control.check()
            if isinstance(event, TextDelta):
                yield event.text


def _run_passages(active_model: ActiveModel, name: str, samples: list[Passage], control: Control) -> Score:
    """Perplexity per token over all passages; each starts with an empty context."""
    plan = TextPlan(max_tokens=1_000_000)
    losses: list[float] = []
    for sample in samples:
        for chunk in scored(active_model, tokens_of(active_model, sample.text, plan.max_tokens), plan, control):
            losses += chunk.losses.tolist()
    return perplexity_of(losses, name)
