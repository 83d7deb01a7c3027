"""The lane of ZeroGPU, which lends a GPU for the time of one reply: tokens are generated in a process that is forked for it.

The page's process holds the weights and never computes with them. Text, options and limits stay there; only token ids are generated
in the forked process, by a single lane that is opened in it. That process may serve later replies too, or end after one; nothing that
it changes is seen outside.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ..background import StopSignal, in_thread
from ..compat.spaces import lend, refusal
from ..errors import EngineError, GenerationFailed, NoMeasuringOnZeroGpu, OutOfMemory
from ..messages import GenerationOptions, Waiting
from .adapters import require_adapter
from .base import Ended, Lane, LaneEvent, require_known
from .shape_masks import ShapedAnswer, Shapes
from .single import SingleGenerator
from .thought_limit import ThoughtLimit

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# How long a reply takes is guessed carefully, since ZeroGPU ends a process that takes longer. A shorter time is lent sooner.
START_S = 10                        # the fork, and opening the lane
MOVED_BYTES_PER_S = 2e9             # weights on their way to the GPU
READ_BYTES_PER_S = 5e11             # weights while tokens are generated one by one
MIN_TOKEN_S = 0.04                  # of a model so small that Python takes longer than its weights
PROMPT_TOKENS_PER_S = 2000
MAX_LENT_S = 120                    # more would be lent later, or not at all: it counts against the visitor's quota before it is used
MARGIN_S = 3                        # a reply ends this long before its time is over


class GpuQuotaUsed(GenerationFailed):
    def __init__(self, when: str = "later") -> None:
        EngineError.__init__(
            self, f"The GPU time that ZeroGPU gives you is used up. Try again {when}, or sign in with Hugging Face for more.")


class GpuQuotaUsedUntil(GpuQuotaUsed):
    """`wait`: until the quota is renewed, as hours:minutes:seconds."""

    def __init__(self, wait: str) -> None:
        super().__init__(f"in {wait}")
        self.wait = wait


class GpuNotFree(GenerationFailed):
    def __init__(self) -> None:
        EngineError.__init__(self, "ZeroGPU had no free GPU. Try again in a minute.")


class GpuRefused(GenerationFailed):
    """`detail`: what ZeroGPU says, in English."""

    def __init__(self, detail: str) -> None:
        EngineError.__init__(self, f"The reply was cut off. ZeroGPU says: {detail}. Send the message again.")
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Failed:
    """An error of the forked process, in a form that can be pickled."""

    kind: type[GenerationFailed]
    text: str

    def error(self) -> GenerationFailed:
        error = self.kind.__new__(self.kind)
        error.args = (self.text,)
        return error


class LentGenerator:
    """`decode`: ids to text, special tokens included, for limits of thoughts. `shapes`: of answers. The rest as SingleGenerator."""

    lane: Lane = "single"

    def __init__(self, model: PreTrainedModel, window_tokens: int, end_ids: frozenset[int], pad_id: int, can_slice: bool,
                 decode: Callable[[list[int]], str], shapes: Shapes) -> None:
        self.window_tokens = window_tokens
        self._model, self._decode, self._shapes = model, decode, shapes
        self._single = (window_tokens, end_ids, pad_id, can_slice)
        self._vocabulary = int(model.get_input_embeddings().num_embeddings)
        self._weight_bytes = int(model.get_memory_footprint())
        self._lane: SingleGenerator | None = None       # in a forked process only
        self._lock = threading.Lock()
        self._stops: set[StopSignal] = set()
        self._generate_lent = lend(self.generate, self.seconds)

    @property
    def running(self) -> int:
        return len(self._stops)

    @property
    def waiting(self) -> int:
        return 0        # the platform keeps the queue

    @property
    def cache_use(self) -> tuple[int, int]:
        return 0, 0

    def stream(self, prompt_ids: list[int], options: GenerationOptions, visitor: str = "",
               thoughts: ThoughtLimit | None = None, answer: ShapedAnswer | None = None) -> Generator[LaneEvent, None, None]:
        require_known(prompt_ids, self._vocabulary)
        require_adapter(options.adapter, None)
        started, stop = time.monotonic(), StopSignal()
        with self._lock:
            self._stops.add(stop)
        try:
            with closing(in_thread(lambda: self._generate_lent(prompt_ids, options, thoughts, answer), stop)) as events:
                for event in events:
                    if isinstance(event, Failed):
                        raise event.error()
                    yield Waiting(0, time.monotonic() - started) if event is None else event
                    if isinstance(event, Ended):
                        return
            yield Ended("stopped")
        except Exception as error:
            raise typed(error) from error
        finally:
            with self._lock:
                self._stops.discard(stop)

    def seconds(self, prompt_ids: list[int], options: GenerationOptions, thoughts: ThoughtLimit | None,
                answer: ShapedAnswer | None = None) -> int:
        """Return for how long a GPU is needed. Its parameters are those of `generate`, as the package requires."""
        token_s = max(MIN_TOKEN_S, self._weight_bytes / READ_BYTES_PER_S)
        needed = START_S + self._weight_bytes / MOVED_BYTES_PER_S + len(prompt_ids) / PROMPT_TOKENS_PER_S + token_s * options.max_new_tokens
        return min(MAX_LENT_S, round(needed))

    def generate(self, prompt_ids: list[int], options: GenerationOptions, thoughts: ThoughtLimit | None,
                 answer: ShapedAnswer | None = None) -> Generator[LaneEvent | Failed, None, None]:
        """Generate in this process, which is a forked one."""
        ends_at = time.monotonic() + self.seconds(prompt_ids, options, thoughts, answer) - MARGIN_S
        if thoughts is not None:
            thoughts.decode_with(self._decode)
        try:
            lane = self._opened()
            if answer is not None:
                answer.compile(self._shapes)
            with closing(lane.stream(prompt_ids, options, thoughts=thoughts, answer=answer)) as events:
                for event in events:
                    yield event
                    if time.monotonic() > ends_at and not isinstance(event, Ended):
                        yield Ended("length", lacks_shape=answer is not None)       # the reply can be continued
                        return
        except GenerationFailed as error:
            yield Failed(type(error), str(error))
        except torch.OutOfMemoryError:
            yield Failed(OutOfMemory, str(OutOfMemory("The GPU")))
        except Exception as error:      # only the name of another error's class would reach the page's process
            yield Failed(GenerationFailed, str(GenerationFailed(f"{type(error).__name__}: {str(error)[:300]}.")))

    def _opened(self) -> SingleGenerator:
        if self._lane is None:
            torch.set_num_threads(1)        # OpenMP's threads do not survive a fork, and waiting for them would never end
            self._model.to("cuda" if torch.cuda.is_available() else "cpu")
            self._shapes.forked()
            self._lane = SingleGenerator(self._model, *self._single)
        return self._lane

    def begin_closing(self) -> None:
        with self._lock:
            stops = list(self._stops)
        for stop in stops:
            stop.set()

    def close(self) -> None:
        self.begin_closing()

    def paused(self) -> AbstractContextManager[None]:
        raise NoMeasuringOnZeroGpu


def place(model: PreTrainedModel) -> None:
    """Tell ZeroGPU which weights a lent GPU needs, so that it keeps them ready.

    It takes what is moved to "cuda" before the page is launched, in the thread that imported its package.
    """
    if torch.cuda.is_available():       # its package says so also where no GPU is
        model.to("cuda")


def typed(error: Exception) -> Exception:
    """Return an error of ZeroGPU as one of ours."""
    refused = refusal(error)
    if refused is None:
        return error
    if refused.kind == "quota":
        return GpuQuotaUsedUntil(refused.wait) if refused.wait else GpuQuotaUsed()
    return GpuNotFree() if refused.kind == "busy" else GpuRefused(refused.detail.strip().rstrip("."))
