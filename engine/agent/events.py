"""What the agent says while it works: small frozen values, in the order in which things happen.

    StepStarted . Thinking* . Writing* . CodeWritten . Running . Stdout* . StepError? . FileProduced* . StepEnded
    ... the next step, and at last Final (it has an answer) or Stopped (it has not, and says why)

Waiting comes whenever nothing else happens for a tenth of a second, so that a listener can be stopped at any time.
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
    "stopped": "Stopped, as asked.",
    "approval": "The program waits for your approval.",
    "failed": "The program failed.",
    "repair_limit": "The program still fails after all repairs that were allowed.",
    "repeated_program": "The model wrote the same program again, so trying on would change nothing.",
    "repeated_error": "The repaired program fails with the same error, so trying on would change nothing.",
    "cut_off": "The reply broke off before its program was complete. Ask for something shorter, or allow more tokens.",
    "empty_reply": "The model replied with nothing. Ask in other words, or load a larger model.",
    "window": "Program and error are too long for this model's context window. Load a model with a larger one.",
    "no_sandbox": "No sandbox can be used on this machine, so the program was not run.",
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One program and how its run went. `error` is "" after a clean run; `has_run` is false while it waits for approval."""

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
    """A new call of the model, or a run of a program that a person gave. Steps are counted from 1 in every task."""

    step: int


@dataclass(frozen=True, slots=True)
class Thinking:
    """A piece of the model's reasoning. It is never read as code."""

    text: str


@dataclass(frozen=True, slots=True)
class Writing:
    """A piece of the reply as it comes: prose and program, fences included."""

    text: str


@dataclass(frozen=True, slots=True)
class CodeWritten:
    """The whole program of a reply."""

    code: str


@dataclass(frozen=True, slots=True)
class Running:
    step: int


@dataclass(frozen=True, slots=True)
class Stdout:
    """A piece of what the program prints, while it runs."""

    text: str


@dataclass(frozen=True, slots=True)
class StepError:
    """The traceback, cut to the program's own frames. `killed`: the sandbox ended the program at a limit."""

    text: str
    killed: bool = False


@dataclass(frozen=True, slots=True)
class FileProduced:
    """`path` is inside the sandbox's work folder and lives as long as that; `size` in bytes."""

    name: str
    path: str
    size: int


@dataclass(frozen=True, slots=True)
class StepEnded:
    """`seconds` of model and program together; `tokens` that the model wrote in `calls` calls."""

    step: int
    seconds: float
    tokens: int
    calls: int = 1


@dataclass(frozen=True, slots=True)
class Final:
    """The answer. `prose` is the model's own words; `code` and `stdout` are of the clean run, or empty."""

    prose: str
    reason: FinalReason
    code: str = ""
    stdout: str = ""

    @property
    def text(self) -> str:
        """The model's words and what the program printed."""
        return joined(self.prose, block(self.stdout))

    @property
    def full_text(self) -> str:
        """The same with the program, for readers who see nothing else of the run."""
        return joined(self.prose, block(self.code, "python"), block(self.stdout))


@dataclass(frozen=True, slots=True)
class Stopped:
    """No answer. `best` is the last clean run, or the attempt that got furthest; None if no program was written.

    `prose` holds what was written of a reply that has no complete program, `detail` a more exact sentence than the reason's.
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
    """A fenced block around any text, also one that has fences in it; nothing around nothing."""
    if not text.strip():
        return ""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text.strip(chr(10))}\n{fence}"
