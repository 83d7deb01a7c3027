"""The sampling parameters that an author recommends for an effort of thought."""

from __future__ import annotations

from dataclasses import asdict, replace

from ...messages import Effort, GenerationOptions, Thinking
from .entry import CatalogEntry


def for_effort(options: GenerationOptions, entry: CatalogEntry | None, effort: Effort | None, thinking: Thinking) -> GenerationOptions:
    """Return `options`, those of generation_config.json, for an effort of thought.

    That file has one set of parameters. Where the author recommends others with or without thoughts, the catalog has them.
    """
    used = thinking.nearest(effort) or thinking.default
    mode = "thinking" if thinking.has_thoughts and used != "none" else "chat"
    sampling = entry.sampling.get(mode) if entry else None
    changed = {name: value for name, value in asdict(sampling).items() if value is not None} if sampling else {}
    return replace(options, reasoning_effort=effort, **changed)
