"""The loaded model, ready to generate: weights, tokenizer, chat context and lanes. An engine has at most one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from transformers import GenerationConfig

from ..compat.transformers import attention_kernel
from ..errors import ChatTemplateFailed, GenerationFailed, InvalidRequest, LoadError, NoModelLoaded, OutOfMemory
from ..generation.base import Lane, LaneEvent
from ..generation.batched import BatchedGenerator, batched_obstacle
from ..generation.context import ChatContext
from ..generation.reply import ReplyRequest, stream_reply
from ..generation.single import SingleGenerator
from ..hardware import BYTES_PER_VALUE, Hardware
from ..messages import GenerationOptions, Message, PromptView, StreamEvent
from ..models.author_defaults import default_options, end_ids, first_ids
from ..models.loaded import Candidate, LoadedModel
from ..models.loader import collect, drop_frames, load
from ..models.memory import kv_cache_bytes
from ..models.saved import SavedModel, save
from ..models.spec import LoadEvent, LoadOptions, ModelSpec, Report
from ..plain_text import valid_text
from ..settings import Settings

if TYPE_CHECKING:
    from transformers import PreTrainedModel

WARM_UP_TOKENS = 2


class ActiveModel:
    """Created by `load`, freed by `release`. Users of the model hold a lease (admission.py), which keeps it in memory."""

    def __init__(self, loaded: LoadedModel, settings: Settings) -> None:
        self.candidate = loaded.candidate
        self.spec: ModelSpec = loaded.candidate.spec
        self._loaded: LoadedModel | None = loaded
        self.settings = settings
        self.window_tokens = loaded.candidate.budget.window_tokens
        self.weight_bytes = loaded.weight_bytes
        self.context = ChatContext(loaded.tokenizer, self.window_tokens)
        self.first_ids = first_ids(loaded.tokenizer)
        self.default_options = default_options(loaded.model)
        turn_end = self.context.turn_end_id()
        self._end_ids = end_ids(loaded.model, loaded.tokenizer) | ({turn_end} if turn_end is not None else frozenset())
        self._obstacle = batched_obstacle(loaded.model)
        self._lanes_lock = threading.Lock()
        self._batched: BatchedGenerator | None = None
        loaded.model.generation_config = GenerationConfig()     # the author's settings are read above; the rest must not apply
        pad_id = loaded.tokenizer.pad_token_id
        self._single = SingleGenerator(loaded.model, self.window_tokens, self._end_ids, pad_id if pad_id is not None else 0)
        self._start_batched(loaded.model)

    @classmethod
    def load(cls, candidate: Candidate, hardware: Hardware, settings: Settings, report: Report) -> ActiveModel:
        """Load the weights, start the lanes and generate a short reply as a test. Raises LoadError; nothing stays in memory then."""
        loaded: LoadedModel | None = load(candidate, hardware, report)
        active_model: ActiveModel | None = None
        try:
            assert loaded is not None
            report(LoadEvent("warm-up", note="Warming up"))
            active_model = cls(loaded, settings)
            active_model._warm_up()
        except Exception as error:
            if active_model is not None:
                active_model.stop_lanes()
                active_model.release()
            loaded = active_model = None
            drop_frames(error)
            collect()
            if isinstance(error, LoadError):
                raise
            raise LoadError(candidate.spec.model, f"its first reply failed: {str(error)[:300]}",
                            "Load it without quantization, or choose another model.") from error
        return active_model

    @property
    def loaded(self) -> LoadedModel:
        """Weights and tokenizer. Raises NoModelLoaded after `release`."""
        if self._loaded is None:
            raise NoModelLoaded("It was unloaded meanwhile.")
        return self._loaded

    # --- lanes ---

    @property
    def default_lane(self) -> Lane:
        return "single" if self._obstacle else "batched"

    @property
    def lane_reason(self) -> str:
        if self._obstacle:
            return f"single lane, one reply at a time: {self._obstacle}"
        return "batched lane: replies are generated together and reuse the beginnings they have in common"

    @property
    def attention(self) -> str:
        """Name of the attention kernel, of transformers or our own."""
        return attention_kernel(self.loaded.model)

    def choose_lane(self, options: GenerationOptions) -> tuple[Lane, str]:
        """The lane for one reply, and the reason as a sentence."""
        if self._obstacle:
            return "single", self.lane_reason
        needs = [name for name, is_needed in (
            ("repetition penalty", options.repetition_penalty != 1), ("min-p", options.min_p > 0 and not options.is_greedy),
            ("a seed", options.seed is not None and not options.is_greedy)) if is_needed]
        if needs:
            return "single", f"single lane, one reply at a time: {' and '.join(needs)} cannot be batched"
        return "batched", self.lane_reason

    @property
    def options(self) -> LoadOptions:
        """The options with which the same load can be repeated."""
        return LoadOptions(self.settings.context_tokens, self.settings.concurrent_replies, self.settings.device)

    @property
    def is_broken(self) -> bool:
        return self._batched is not None and self._batched.failure is not None

    @property
    def notes(self) -> tuple[str, ...]:
        candidate = self.candidate
        quantized = (candidate.quantization_note,) if candidate.quantization_note else ()
        return (f"{candidate.dtype}: {candidate.dtype_reason}.", *quantized, f"{candidate.budget.reason}.")

    @property
    def held_bytes(self) -> int:
        """Weights and reserved cache."""
        shape, budget = self.candidate.shape, self.candidate.budget
        per_value = BYTES_PER_VALUE[self.candidate.dtype]
        return self.weight_bytes + (0 if self._obstacle else kv_cache_bytes(shape, budget.total_tokens, per_value))

    def _start_batched(self, model: PreTrainedModel) -> None:
        if self._obstacle is None:
            self._batched = BatchedGenerator(model, self.window_tokens, self.candidate.budget.total_tokens, self._end_ids,
                                             self.settings.concurrent_replies)
            self._single.other = self._batched

    def _give_up_batched(self, why: str) -> None:
        """Use only the single lane from now on."""
        if self._batched is not None:
            self._batched.close()
        self._batched = self._single.other = None
        self._obstacle = why

    def _revive(self) -> None:
        """Restart the batched lane after its thread ended with an error. The model itself is still usable."""
        with self._lanes_lock:
            if not self.is_broken or self._loaded is None or self._batched is None:
                return
            self._batched.close()
            failed: list[Exception] = []
            # In a daemon thread, so that the generation thread is one too.
            restart = threading.Thread(target=_keep_error, args=(self._start_batched, self.loaded.model, failed), daemon=True)
            restart.start()
            restart.join()
            if failed:
                self._give_up_batched(f"the batched lane could not be restarted ({str(failed[0])[:200]})")

    # --- replies ---

    def chat(self, messages: tuple[Message, ...], options: GenerationOptions,
             stop: threading.Event | None = None) -> Generator[StreamEvent, None, None]:
        if self.is_broken:
            self._revive()
        lane, reason = self.choose_lane(options)
        generator = self._batched if lane == "batched" and self._batched else self._single
        notes = (reason,) if lane != self.default_lane else ()
        return stream_reply(ReplyRequest(messages, options, notes, stop), self.context, generator, self.loaded.tokenizer)

    def stream_ids(self, prompt_ids: list[int], options: GenerationOptions) -> Generator[LaneEvent, None, None]:
        """Token ids in, token ids out, in the same lanes, without chat template or text. Raises InvalidRequest and GenerationFailed."""
        if self.is_broken:
            self._revive()
        if not 0 < len(prompt_ids) <= self.window_tokens - options.max_new_tokens:
            raise InvalidRequest("tokens", f"{len(prompt_ids):,} in the prompt and {options.max_new_tokens:,} to generate",
                                 f"at least one in the prompt, and together at most the {self.window_tokens:,} of the context window")
        lane, _ = self.choose_lane(options)
        generator = self._batched if lane == "batched" and self._batched else self._single
        return generator.stream(prompt_ids, options)

    @contextmanager
    def alone(self) -> Iterator[LoadedModel]:
        """Exclusive use of the model until the block ends, for work other than replies. Running replies are paused: keep it short."""
        with self._single.alone():
            yield self.loaded

    @property
    def vocabulary(self) -> tuple[int, frozenset[int]]:
        """The number of token ids that both tokenizer and model have, and the special ones among them."""
        tokenizer, table = self.loaded.tokenizer, self.loaded.model.get_input_embeddings()
        special = frozenset(tokenizer.all_special_ids) | frozenset(tokenizer.added_tokens_decoder) | self._end_ids
        return min(len(tokenizer), int(table.num_embeddings)), special

    def count_tokens(self, text: str) -> int:
        return len(self.encode(text))

    def encode(self, text: str) -> list[int]:
        """Token ids of the text alone, without template and special tokens. `first_ids` are those that the model expects before a text."""
        ids: list[int] = self.loaded.tokenizer(valid_text(text), add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def view_prompt(self, messages: tuple[Message, ...], options: GenerationOptions) -> PromptView:
        prompt = self.context.fit(messages, options.max_new_tokens)
        tokens = tuple(self.loaded.tokenizer.batch_decode([[token_id] for token_id in prompt.ids]))
        return PromptView(prompt.text, tokens, self.window_tokens, prompt.room, prompt.dropped_messages, prompt.dropped_tokens,
                          prompt.notes)

    def save_quantized(self) -> SavedModel:
        """Save the quantized weights. Raises InvalidRequest and DiskFull."""
        return save(self.loaded, self.settings)

    def _warm_up(self) -> None:
        """Generate a first reply; if the batched lane fails on this model, use the single lane."""
        greeting, options = (Message("user", "Hello"),), GenerationOptions(max_new_tokens=WARM_UP_TOKENS, temperature=0.0)
        try:
            for _ in self.chat(greeting, options):
                pass
        except OutOfMemory:
            raise
        except GenerationFailed as error:
            if self._batched is None or isinstance(error, ChatTemplateFailed):
                raise
            self._give_up_batched(f"the batched lane failed on this model ({str(error)[:200]})")
            for _ in self.chat(greeting, options):
                pass

    @property
    def waiting(self) -> int:
        single = self._single
        return max(0, single.running - 1) if single else 0

    def stop_lanes(self) -> None:
        """Stop the replies in both lanes. Each ends within a step."""
        lanes = [lane for lane in (self._single, self._batched) if lane is not None]
        for lane in lanes:
            lane.begin_closing()
        for lane in lanes:
            lane.close()

    def release(self) -> None:
        """Drop all references. The memory is free once the caller has dropped its own and collected garbage."""
        self._batched = None
        self._single = None     # type: ignore[assignment]
        self._loaded = None


def _keep_error(run: Callable[[PreTrainedModel], None], model: PreTrainedModel, failed: list[Exception]) -> None:
    try:
        run(model)
    except Exception as error:
        failed.append(error)
