"""The internals of transformers that engine/compat uses still exist. If a test fails, read the new version's source."""

from __future__ import annotations

import inspect
import threading
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    ContinuousBatchingConfig,
    GenerationConfig,
    LlamaForCausalLM,
    LogitsProcessorList,
    MambaForCausalLM,
    PreTrainedModel,
)
from transformers.generation.continuous_batching import continuous_api
from transformers.generation.continuous_batching.cache_allocators import FullAttentionCacheAllocator, SlidingAttentionCacheAllocator
from transformers.generation.continuous_batching.cache_allocators.cache_allocator import CacheAllocator
from transformers.generation.continuous_batching.input_outputs import PagedAttentionArgs

from engine.compat import continuous_batching as cb
from engine.compat import transformers as compat
from tests import tiny_models


def parameters(function: object) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name != "self"]     # type: ignore[arg-type]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedModel:
    folder = tiny_models.llama(tmp_path_factory.mktemp("compat") / "llama")
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


# --- compat/transformers.py ---

def test_the_configuration_names_the_attention_kernel(model: PreTrainedModel) -> None:
    assert compat.attention_kernel(model) == "sdpa"
    model.set_attn_implementation("eager")
    assert compat.attention_kernel(model) == "eager"
    model.set_attn_implementation("sdpa")


def test_every_model_class_reports_whether_it_is_stateful() -> None:
    assert PreTrainedModel._is_stateful is False
    assert LlamaForCausalLM._is_stateful is False
    assert MambaForCausalLM._is_stateful is True


def test_every_model_class_reports_whether_it_supports_sdpa() -> None:
    assert PreTrainedModel._supports_sdpa is False
    assert LlamaForCausalLM._supports_sdpa is True


def test_architectures_are_known_by_name() -> None:
    assert compat.is_known_architecture("llama")
    assert not compat.is_known_architecture("no-such-architecture")
    assert not compat.is_known_architecture(None)


def test_causal_language_models_are_known_by_name() -> None:
    assert compat.is_causal_architecture("llama")
    assert not compat.is_causal_architecture("clip")


def test_loading_iterates_over_its_weights_through_the_progress_bar(tmp_path: Path) -> None:
    seen: list[object] = []
    with compat.weights_progress(lambda items: (seen.append(item) or item for item in items)):      # type: ignore[func-returns-value]
        AutoModelForCausalLM.from_pretrained(tiny_models.llama(tmp_path / "llama"))
    assert len(seen) > 10


# --- compat/continuous_batching.py ---

@pytest.fixture
def manager(model: PreTrainedModel) -> continuous_api.ContinuousBatchingManager:
    config = ContinuousBatchingConfig(page_size=16, num_blocks=32, max_batch_tokens=64, scheduler_type=cb.COUNTING,
                                      auto_switch_to_flash=False, use_cuda_graph=False, safety_margin=0.0)
    return model.init_continuous_batching(generation_config=GenerationConfig(do_sample=False, eos_token_id=-1, pad_token_id=0),
                                          continuous_batching_config=config)


def test_the_manager_has_the_parts_that_are_replaced(manager: continuous_api.ContinuousBatchingManager) -> None:
    assert type(manager.logit_processor) is cb.ContinuousBatchingLogitsProcessorList
    assert type(manager.output_router) is cb.OutputRouter
    source = inspect.getsource(type(manager)._create_batch_processor)
    assert "logit_processor=self.logit_processor" in source         # read when the manager starts, not when it is created
    assert "output_router=self.output_router" in source
    assert "SCHEDULER_MAPPING.get(" in source


def test_the_manager_has_what_is_read_and_dropped(manager: continuous_api.ContinuousBatchingManager) -> None:
    assert cb.fatal_error(manager) is None
    manager.background_thread_status.record_fatal_error(RuntimeError("broken"))
    assert str(cb.fatal_error(manager)) == "broken"
    assert manager.batch_processor is None
    assert isinstance(manager.model, PreTrainedModel)


def test_a_running_manager_uses_the_scheduler_and_the_router(manager: continuous_api.ContinuousBatchingManager) -> None:
    delivered: list[cb.GenerationOutput] = []
    is_over = threading.Event()

    class Router(cb.OutputRouter):      # type: ignore[misc]
        def deliver(self, output: cb.GenerationOutput) -> None:
            delivered.append(output)

        def deliver_batch(self, outputs: list[cb.GenerationOutput]) -> None:
            for output in outputs:
                self.deliver(output)
                if output.is_finished():
                    is_over.set()

    cb.replace_parts(manager, manager.logit_processor, Router())
    manager.start()
    try:
        manager.add_request(list(range(3, 40)), request_id="one", max_new_tokens=4, streaming=True)
        assert is_over.wait(60)
        scheduler = cb.scheduler_of(manager)
        assert isinstance(scheduler, cb.CountingScheduler)
        assert scheduler.cached_tokens == {"one": 0}
        assert scheduler.prefilled_tokens("one") is None
        assert scheduler.queue_position("one") == 0
    finally:
        manager.stop(block=True, timeout=30, hard_stop=True)
    assert [len(output.generated_tokens) for output in delivered] == [1, 2, 3, 4]
    assert {(output.request_id, output.error) for output in delivered} == {("one", None)}
    cb.free_cache(manager)
    cb.free_model(manager)
    assert cb.scheduler_of(manager) is None


def test_the_scheduler_has_the_methods_that_are_extended() -> None:
    base = cb.CountingScheduler.__mro__[1]
    assert parameters(base.reset) == []
    assert parameters(base.clear_cancelled_requests) == []
    assert parameters(base._infer_request_tokens) == ["state", "request_ids_to_remove_from_waiting"]
    source = inspect.getsource(base.__mro__[1])
    for name in ("active_requests", "waiting_requests_order", "block_new_requests"):
        assert f"self.{name}" in source


def test_a_request_has_what_the_scheduler_counts() -> None:
    from transformers.generation.continuous_batching import RequestState

    assert {"request_id", "initial_tokens", "position_offset", "logit_processor_kwargs"} <= {field.name for field in fields(RequestState)}
    assert parameters(RequestState.generated_len) == []


def test_a_full_cache_blocks_new_requests_until_one_finishes() -> None:
    """Why CountingScheduler unblocks them after a cancellation: the library does not."""
    base = cb.CountingScheduler.__mro__[1]
    assert "block_new_requests" not in inspect.getsource(base.clear_cancelled_requests)
    assert "self.scheduler.block_new_requests = False" in inspect.getsource(continuous_api.ContinuousBatchProcessor.update_batch)


def test_the_router_has_the_methods_that_are_replaced() -> None:
    assert parameters(cb.OutputRouter.deliver) == ["output"]
    assert parameters(cb.OutputRouter.deliver_batch) == ["outputs"]


def test_logits_processors_have_the_interface_that_is_replaced() -> None:
    base = cb.ContinuousBatchingLogitsProcessorList
    assert parameters(base.fill_defaults) == ["int32_tensor"]
    assert parameters(base.prepare_tensor_args) == ["requests_in_batch", "arg_storage"]
    assert parameters(base.__call__) == ["input_ids", "scores", "logits_processor_args"]
    empty = base(LogitsProcessorList())
    assert (empty.tensors_required, empty.do_processing) == (0, False)
    assert isinstance(empty.supported_keys, dict)
    assert {"state", "has_new_token"} <= set(parameters(cb.FutureRequestState.__init__))


def test_attention_gets_the_paged_cache_and_its_indices() -> None:
    assert parameters(cb.PagedAttentionCache.update) == ["key_states", "value_states", "layer_idx", "kwargs"]
    source = inspect.getsource(cb.PagedAttentionCache)
    assert "self.layer_to_allocator[layer_idx]" in source
    for name in ("cu_seq_lens_k", "read_index", "write_index"):
        assert f'kwargs["{name}"]' in source
    assert {"cu_seq_lens_q", "cu_seq_lens_k", "read_index", "write_index"} <= set(PagedAttentionArgs.__annotations__)


def test_a_kind_of_layers_has_a_number_a_name_and_a_window() -> None:
    kinds = (FullAttentionCacheAllocator, SlidingAttentionCacheAllocator)
    assert [kind.layer_type for kind in kinds] == ["full_attention", "sliding_attention"]
    assert "self.index = index" in inspect.getsource(CacheAllocator)
    assert "self.sliding_window" not in inspect.getsource(FullAttentionCacheAllocator)
    assert "self.sliding_window" in inspect.getsource(SlidingAttentionCacheAllocator)


def test_generate_passes_token_ids_to_a_streamer(model: PreTrainedModel) -> None:
    class Streamer(cb.BaseStreamer):        # type: ignore[misc]
        def put(self, value: torch.Tensor) -> None:
            received.append(value.numel())

        def end(self) -> None:
            received.append(0)

    received: list[int] = []
    model.generate(torch.tensor([[5, 6, 7]]), attention_mask=torch.ones((1, 3), dtype=torch.long), streamer=Streamer(),
                   generation_config=GenerationConfig(do_sample=False, max_new_tokens=2, eos_token_id=None, pad_token_id=0))
    assert received == [3, 1, 1, 0]     # the prompt, then each token, then the end


def test_sdpa_attention_and_its_mask_are_functions_of_the_library() -> None:
    assert parameters(cb.sdpa_attention_forward)[:7] == ["module", "query", "key", "value", "attention_mask", "dropout", "scaling"]
    query = torch.randn(1, 2, 3, 4)
    attended, weights = cb.sdpa_attention_forward(torch.nn.Module(), query, query, query, None, is_causal=True)
    assert attended.shape == (1, 3, 2, 4)
    assert weights is None
    assert callable(cb.sdpa_mask)


@pytest.mark.parametrize(("name", "kind", "expected"), [
    ("LlamaForCausalLM", "llama", True), ("GPT2LMHeadModel", "gpt2", True), ("Gemma3ForConditionalGeneration", "gemma3", True),
    ("LlamaForSequenceClassification", "llama", False), ("LlamaModel", "llama", False), ("BertForMaskedLM", "bert", False),
    ("BartForConditionalGeneration", "bart", False), (None, "llama", False)])
def test_classes_that_generate_text_are_known_by_their_names(name: object, kind: str, expected: bool) -> None:
    assert compat.is_causal_class(name, kind) is expected
