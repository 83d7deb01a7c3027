"""The loaded model, ready to generate: weights, tokenizer, chat context and lanes. An engine has at most one."""

from __future__ import annotations

import sys
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from transformers import GenerationConfig

from ..checkpoint.adapter import UnsupportedAdapter
from ..compat.transformers import attention_kernel
from ..errors import InvalidRequest, LoadError, NoModelLoaded
from ..generation.base import Lane, LaneEvent
from ..generation.context import ChatContext
from ..generation.lanes import LaneOptions, OpenLane, open_lane
from ..generation.lent import place
from ..generation.pictures import open_reader
from ..generation.reply import ReplyRequest, check_reply, stream_reply
from ..generation.shape_masks import Shapes
from ..hardware import BYTES_PER_VALUE, Hardware
from ..messages import Effort, GenerationOptions, Message, PromptView, StreamEvent, Thinking
from ..models.adapters import Adapter, require_matching
from ..models.author_defaults import default_options, end_ids, first_ids
from ..models.catalog import entry_of, for_effort
from ..models.loaded import Candidate, LoadedModel
from ..models.loader import collect, drop_frames, load
from ..models.memory import kv_cache_bytes
from ..models.model_class import vision_parts
from ..models.quantization import Quantization
from ..models.saved import SavedModel, save
from ..models.spec import LoadEvent, LoadOptions, ModelSpec, Report
from ..pictures import Picture
from ..plain_text import valid_text
from ..settings import Settings
from ..shapes import Shape
from .model_adapters import ModelAdapters
from .serving_model import Load

WARM_UP_TOKENS = 2
PICTURE_ROW = "[…]"      # how one of a picture's tokens is shown


class ActiveModel:
    """Created by `load`, freed by `release`. Users of the model hold a lease (admission.py), which keeps it in memory."""

    def __init__(self, loaded: LoadedModel, settings: Settings) -> None:
        self.candidate = loaded.candidate
        self._base = loaded.candidate.spec.base
        self._loaded: LoadedModel | None = loaded
        self.settings = settings
        self.window_tokens = loaded.candidate.budget.window_tokens
        self.weight_bytes = loaded.weight_bytes
        reader = open_reader(loaded.model, loaded.tokenizer, loaded.candidate.folder)
        reader = "that part was left out, because memory is short" if loaded.candidate.text_only else reader
        self.context = ChatContext(loaded.tokenizer, self.window_tokens)
        self.calls_tools = not self.context.tools.is_plain
        self.first_ids = first_ids(loaded.tokenizer)
        self._author_options = default_options(loaded.model)
        turn_end = self.context.turn_end_id()
        self._end_ids = end_ids(loaded.model, loaded.tokenizer) | ({turn_end} if turn_end is not None else frozenset())
        loaded.model.generation_config = GenerationConfig()     # the author's settings are read above; the rest must not apply
        self._shapes = Shapes(loaded.tokenizer, self._end_ids, loaded.model.get_input_embeddings().num_embeddings)
        pad_id = loaded.tokenizer.pad_token_id
        self._lane: OpenLane = open_lane(loaded.model, LaneOptions(
            self.window_tokens, loaded.candidate.budget.total_tokens, settings.concurrent_replies, self._end_ids,
            pad_id if pad_id is not None else 0, reader, self.context.decode if settings.is_zero_gpu else None, self._shapes))
        self.context.reader = self._lane.reader
        self.adapters = ModelAdapters(self._lane, self.context, loaded.tokenizer)
        unread = f"Pictures are not read: {self.context.reader}." if vision_parts(loaded.model) and not self.reads_pictures else ""
        self._pictures_note = loaded.candidate.text_only or unread

    @classmethod
    def load(cls, candidate: Candidate, hardware: Hardware, settings: Settings, report: Report) -> ActiveModel:
        """Load the weights, start the lanes and generate a short reply as a test. Raises LoadError; nothing stays in memory then."""
        loaded: LoadedModel | None = load(candidate, hardware, report)
        active_model: ActiveModel | None = None
        try:
            assert loaded is not None
            report(LoadEvent("warm-up", note="Warming up"))
            active_model = cls(loaded, settings)
            active_model._add_adapters(candidate.spec, candidate.adapters)
            if not settings.is_zero_gpu:        # no GPU is lent before the page is launched
                active_model._warm_up()
        except Exception as error:
            if active_model is not None:
                active_model.stop_lanes()
                active_model.release()
            loaded = active_model = None
            drop_frames(error)
            collect()
            if isinstance(error, (LoadError, InvalidRequest)):
                raise
            raise LoadError(candidate.spec.model, f"its first reply failed: {str(error)[:300]}",
                            "Load it without quantization, or choose another model.") from error
        return active_model

    @property
    def spec(self) -> ModelSpec:
        """With the adapter that replies use if they choose none."""
        return replace(self._base, adapter=self.adapters.default_source)

    @property
    def loaded(self) -> LoadedModel:
        """Weights and tokenizer. Raises NoModelLoaded after `release`."""
        if self._loaded is None:
            raise NoModelLoaded("It was unloaded meanwhile.")
        return self._loaded

    def place(self) -> None:
        """On ZeroGPU: say which weights a lent GPU needs. Before the page is launched, in the main thread."""
        place(self.loaded.model)

    # --- lanes ---

    @property
    def lane(self) -> Lane:
        return self._lane.generator.lane

    @property
    def lane_reason(self) -> str:
        return self._lane.reason

    @property
    def attention(self) -> str:
        """How attention is computed: over the paged cache, or by a kernel of transformers."""
        return "paged" if self.lane == "batched" else attention_kernel(self.loaded.model)

    @property
    def reads_pictures(self) -> bool:
        return not isinstance(self.context.reader, str)

    @property
    def thinking(self) -> Thinking:
        return self.context.thinking.offer

    def default_options(self, effort: Effort | None = None) -> GenerationOptions:
        """Those that the author recommends for this effort of thought."""
        return for_effort(self._author_options, entry_of(self.spec.model), effort, self.thinking)

    @property
    def quantization(self) -> Quantization:
        return self.candidate.held

    @property
    def stored(self) -> str:
        return self.candidate.shape.stored_method

    @property
    def dtype(self) -> str:
        return self.candidate.dtype

    def loads_again(self, hardware: Hardware) -> Load:
        """What loads this model again, without a reference to its weights."""
        candidate = replace(self.candidate, spec=self.spec, adapters=tuple(self.adapters.added.values()))
        return partial(ActiveModel.load, candidate, hardware, self.settings)

    @property
    def options(self) -> LoadOptions:
        """The options with which the same load can be repeated."""
        added = self.adapters.added
        return LoadOptions(self.settings.context_tokens, self.settings.concurrent_replies, self.settings.device,
                           adapters=tuple(each.source for each in added.values()), adapter_names=tuple(added))

    @property
    def notes(self) -> tuple[str, ...]:
        candidate = self.candidate
        return (f"{candidate.dtype}: {candidate.dtype_reason}.", *filter(None, (candidate.quantization_note, self._pictures_note)),
                f"{candidate.budget.reason}.", *self.adapters.left_out)

    @property
    def held_bytes(self) -> int:
        """Weights and reserved cache."""
        shape, budget = self.candidate.shape, self.candidate.budget
        per_value = BYTES_PER_VALUE[self.candidate.dtype]
        cache = 0 if self.lane == "single" else kv_cache_bytes(shape, budget.total_tokens, per_value)
        return self.weight_bytes + self.adapters.num_bytes + cache

    # --- replies ---

    def chat(self, messages: tuple[Message, ...], options: GenerationOptions,
             stop: threading.Event | None = None, visitor: str = "") -> Generator[StreamEvent, None, None]:
        return self._stream(ReplyRequest(messages, self.adapters.chosen(options), stop, visitor, self._shapes))

    def complete(self, prompt: str | Sequence[int], options: GenerationOptions,
                 stop: threading.Event | None = None, visitor: str = "") -> Generator[StreamEvent, None, None]:
        """Continue a text, or its token ids, without chat template. Control tokens in a text are control tokens."""
        ids = [*self.first_ids, *self.encode(prompt)] if isinstance(prompt, str) else list(prompt)
        return self._stream(ReplyRequest(ids, self.adapters.chosen(options), stop, visitor, self._shapes))

    def _stream(self, request: ReplyRequest) -> Generator[StreamEvent, None, None]:
        return stream_reply(request, self.adapters.context(request.options.adapter), self._lane.generator, self.loaded.tokenizer)

    def stream_ids(self, prompt_ids: list[int], options: GenerationOptions) -> Generator[LaneEvent, None, None]:
        """Token ids in, token ids out, in the same lane, without chat template or text. Raises InvalidRequest and GenerationFailed."""
        if not 0 < len(prompt_ids) <= self.window_tokens - options.max_new_tokens:
            raise InvalidRequest("tokens", f"{len(prompt_ids):,} in the prompt and {options.max_new_tokens:,} to generate",
                                 f"at least one in the prompt, and together at most the {self.window_tokens:,} of the context window")
        return self._lane.generator.stream(prompt_ids, self.adapters.chosen(options))

    def refusal(self) -> NoModelLoaded:
        return NoModelLoaded()      # it does all that

    def serve_adapters(self, spec: ModelSpec, settings: Settings, adapters: Sequence[Adapter], free_bytes: int) -> bool:
        """Load these adapters, if this is their base and nothing else of the load differs. Raises UnsupportedAdapter, NotEnoughMemory."""
        if spec.base != self._base or settings != self.settings:
            return False
        self.adapters.require_room(adapters, free_bytes)
        self._add_adapters(spec, adapters)
        return True

    def add_adapter(self, adapter: Adapter, free_bytes: int = sys.maxsize) -> str:
        """Load a LoRA adapter. Returns its name. Raises InvalidRequest, UnsupportedAdapter, and NotEnoughMemory beyond `free_bytes`."""
        self.adapters.require_room([adapter], free_bytes)
        require_matching([adapter], self.candidate.config, self._base.model)
        return self.adapters.add(adapter)

    def _add_adapters(self, spec: ModelSpec, adapters: Sequence[Adapter]) -> None:
        """That of the spec is the default. One that was loaded before is left out if it cannot be now; others raise UnsupportedAdapter."""
        for adapter in adapters:
            try:
                self.add_adapter(adapter)
            except UnsupportedAdapter as error:
                if not adapter.known_as:
                    raise
                self.adapters.left_out += (str(error),)
        self.adapters.use_by_default(spec.adapter)

    @contextmanager
    def alone(self) -> Iterator[LoadedModel]:
        """Exclusive use of the model until the block ends, for work other than replies. Running replies are paused: keep it short."""
        with self._lane.generator.paused():
            yield self.loaded

    @property
    def vocabulary(self) -> tuple[int, frozenset[int]]:
        """The number of token ids that both tokenizer and model have, and the special ones among them."""
        tokenizer, table = self.loaded.tokenizer, self.loaded.model.get_input_embeddings()
        special = frozenset(tokenizer.all_special_ids) | frozenset(tokenizer.added_tokens_decoder) | self._end_ids
        return min(len(tokenizer), int(table.num_embeddings)), special

    def count_tokens(self, text: str) -> int:
        return len(self.encode(text))

    def count_picture_tokens(self, picture: Picture) -> int:
        return len(self.context.read_picture(picture).ids)

    def encode(self, text: str) -> list[int]:
        """Token ids of the text alone, without template and special tokens. `first_ids` are those that the model expects before a text."""
        ids: list[int] = self.loaded.tokenizer(valid_text(text), add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def view_prompt(self, messages: tuple[Message, ...], options: GenerationOptions) -> PromptView:
        context = self.adapters.context(self.adapters.chosen(options).adapter)
        prompt = context.fit(messages, options.max_new_tokens, options.reasoning_effort, options.reasoning_budget, options.callable_tools)
        shown = self.loaded.tokenizer.batch_decode([[max(0, token_id)] for token_id in prompt.ids])
        tokens = tuple(PICTURE_ROW if token_id < 0 else text for token_id, text in zip(prompt.ids, shown, strict=True))
        return PromptView(prompt.text, tokens, self.window_tokens, prompt.room, prompt.dropped_messages, prompt.dropped_tokens,
                          prompt.notes)

    def check_prompt(self, messages: tuple[Message, ...], options: GenerationOptions) -> None:
        check_reply(ReplyRequest(messages, options, shapes=self._shapes), self.adapters.context(self.adapters.chosen(options).adapter))

    def check_shape(self, shape: Shape) -> None:
        self._shapes.begin(shape)

    def save_quantized(self) -> SavedModel:
        """Save the quantized weights. Raises InvalidRequest and DiskFull."""
        return save(self.loaded, self.settings)

    def _warm_up(self) -> None:
        """Generate a first reply."""
        for _ in self.chat((Message("user", "Hello"),), GenerationOptions(max_new_tokens=WARM_UP_TOKENS, temperature=0.0)):
            pass

    @property
    def waiting(self) -> int:
        """Replies that wait until there is room for them."""
        return self._lane.generator.waiting

    @property
    def cache_use(self) -> tuple[int, int]:
        """Blocks of the paged cache that replies hold now, and all blocks; (0, 0) in the single lane."""
        return self._lane.generator.cache_use

    def stop_lanes(self) -> None:
        """Stop all replies. Each ends within a step."""
        self._lane.generator.begin_closing()
        self._lane.generator.close()

    def release(self) -> None:
        """Drop all references. The memory is free once the caller has dropped its own and collected garbage."""
        self._loaded = None
