"""Events of the agent, in the order in which they happen.

    StepStarted . Thinking* . Writing* . CodeWritten . Running . Stdout* . StepError? . FileProduced* . StepEnded
    ... the next step, and at the end Final (there is an answer) or Stopped (there is none, with the reason)

Waiting is sent after every tenth of a second without another event, so that a reader can be stopped at any time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..messages import Prefill, Waiting

FinalReason = Literal["answer", "clean_run"]        # a reply without a program; a program that ran without an error
StopReason = Literal[
    "stopped", "approval", "failed", "repair_limit", "repeated_program", "repeated_error", "cut_off", "empty_reply", "window",
    "no_sandbox"]
SENTENCES: dict[StopReason, str] = {
    "stopped": "Stopped.",
    "approval": "The program is waiting for your approval.",
    "failed": "The program failed.",
    "repair_limit": "The program still fails after all allowed repairs.",
    "repeated_program": "The model wrote the same program again, so another attempt would change nothing.",
    "repeated_error": "The repaired program fails with the same error, so another attempt would change nothing.",
    "cut_off": "The reply broke off before its program was complete. Ask for something shorter, or allow more tokens.",
    "empty_reply": "The model's reply was empty. Rephrase the task, or load a larger model.",
    "window": "The program and its error are too long for this model's context window. Load a model with a larger one.",
    "no_sandbox": "No sandbox works on this machine, so the program was not run.",
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One program and its run. `error` is "" after a clean run; `has_run` is false while it waits for approval."""

    code: str
    stdout: str = ""
    error: str = ""
    seconds: float = 0.0
    has_run: bool = True

    @property
    def is_clean(self) -> bool:
        return self.has_run and not self.error


@dataclass(frozen=True, slots=True)
class StepStarted:
    """A model call, or the run of a program that a person gave. Steps are numbered from 1 in every task."""

    step: int


@dataclass(frozen=True, slots=True)
class Thinking:
    """Part of the model's reasoning, in which no code is looked for."""

    text: str


@dataclass(frozen=True, slots=True)
class Writing:
    """Part of the reply as it is generated: prose and program, fences included."""

    text: str


@dataclass(frozen=True, slots=True)
class CodeWritten:
    """The complete program of a reply."""

    code: str


@dataclass(frozen=True, slots=True)
class Running:
    step: int


@dataclass(frozen=True, slots=True)
class Stdout:
    """Part of the program's output, while it runs."""

    text: str


@dataclass(frozen=True, slots=True)
class StepError:
    """The traceback, cut to the program's own frames. `killed`: the sandbox ended the program at a limit."""

    text: str
    killed: bool = False


@dataclass(frozen=True, slots=True)
class FileProduced:
    """`path` is in the sandbox's work folder and exists as long as that folder; `size` in bytes."""

    name: str
    path: str
    size: int


@dataclass(frozen=True, slots=True)
class StepEnded:
    """`seconds`: model and program together; `tokens`: generated in `calls` model calls."""

    step: int
    seconds: float
    tokens: int
    calls: int = 1


@dataclass(frozen=True, slots=True)
class Final:
    """The answer. `prose`: the model's explanation; `code` and `stdout`: of the clean run, or empty."""

    prose: str
    reason: FinalReason
    code: str = ""
    stdout: str = ""

    @property
    def text(self) -> str:
        """The explanation and the output."""
        return joined(self.prose, block(self.stdout))

    @property
    def full_text(self) -> str:
        """Explanation, program and output, for readers who see no other part of the run."""
        return joined(self.prose, block(self.code, "python"), block(self.stdout))


@dataclass(frozen=True, slots=True)
class Stopped:
    """No answer. `best`: the last clean run, or the attempt that got furthest; None if no program was written.

    `prose`: the text of a reply without a complete program. `detail`: a sentence that is more specific than the reason's.
    """

    reason: StopReason
    best: Attempt | None = None
    prose: str = ""
    detail: str = ""

    @property
    def sentence(self) -> str:
        return self.detail or SENTENCES[self.reason]

    @property
    def full_text(self) -> str:
        best = self.best or Attempt("")
        return joined(self.sentence, self.prose, block(best.code, "python"), block(best.stdout), block(best.error))


AgentEvent = (Waiting | Prefill | StepStarted | Thinking | Writing | CodeWritten | Running | Stdout | StepError | FileProduced
              | StepEnded | Final | Stopped)


def joined(*parts: str) -> str:
    return "\n\n".join(part.strip() for part in parts if part.strip())


def block(text: str, language: str = "") -> str:
    """The text as a fenced block, even if it contains fences itself; "" for empty text."""
    if not text.strip():
        return ""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text.strip(chr(10))}\n{fence}"
