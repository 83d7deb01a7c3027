"""The tensors of the paged cache take the memory that the estimate counts for them."""

from __future__ import annotations

from pathlib import Path

from transformers import AutoModelForCausalLM

from engine.checkpoint.shape import read_shape
from engine.generation.blocks import BLOCK_TOKENS
from engine.generation.paged_cache import PagedCache
from engine.models.memory import kv_cache_bytes
from tests import tiny_models


def test_layers_with_a_window_hold_every_token_as_the_estimate_counts(tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_models.sliding(tmp_path))
    cache = PagedCache(model, 20)
    windows = [pool.window for pool in cache.pools if pool is not None]
    assert windows == [16, None]
    assert max(windows[:1]) < 20 * BLOCK_TOKENS
    shape = read_shape(tmp_path, model.config.to_dict(), "sliding")
    assert cache.num_bytes == kv_cache_bytes(shape, 20 * BLOCK_TOKENS, 4)
