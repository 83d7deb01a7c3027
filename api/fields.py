"""Fields of a request that this server does not know: which have no effect on the answer, and which are refused because they would."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

from .errors import ApiError

# Accepted, and named in a Warning header: they concern OpenAI's own storage, billing, moderation of users, or speed.
HARMLESS = frozenset((
    "user", "metadata", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
    "prediction", "store", "max_tool_calls", "include", "access_programs", "background_options"))
# Values that ask for what happens anyway.
NO_EFFECT: dict[str, tuple[Any, ...]] = {
    "functions": ([],), "function_call": ("none", "auto"),
    "modalities": (["text"],), "background": (False,),
    "truncation": ("auto",), "echo": (False,), "suffix": ("",), "best_of": (1,), "store": (False,), "metadata": ({},), "include": ([],),
    "add_generation_prompt": (True,), "annotations": ([],), "num_beams": (1,),
    "num_return_sequences": (1,)}


class Body(BaseModel):
    """A request, or a part of one. Unknown fields are kept, for `ignored` to judge."""

    model_config = ConfigDict(extra="allow")

    def ignored(self, place: str = "", harmless: frozenset[str] = HARMLESS) -> tuple[str, ...]:
        """Return the names of unknown fields without effect. Raises ApiError for one that would change the answer."""
        names = []
        for name, value in (self.model_extra or {}).items():
            if value is None or value in NO_EFFECT.get(name, ()):
                continue
            if name not in harmless:
                path = f"{place}{name}"[:100]
                raise ApiError(400, "unsupported_parameter", f"This server does not support “{path}”, which would change the answer. "
                               "Leave it out.", path)
            names.append(name)
        return tuple(names)


def warning(names: tuple[str, ...]) -> dict[str, str]:
    """The header that names fields without effect (RFC 7234, section 5.5: code 299, a warning that stays true)."""
    return {"Warning": f'299 mindcubes "without effect here: {", ".join(sorted(set(names)))}"'} if names else {}
