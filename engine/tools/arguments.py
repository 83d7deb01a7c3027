"""Checks the arguments of a call against the schema of its tool, which a server wrote: nothing is fetched, and the work is limited."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend, validator_for
from referencing import Registry

log = logging.getLogger(__name__)
MAX_CHECKS = 10_000             # of one keyword each
MAX_REASON_CHARS = 300
# They search with patterns of the server, which may take forever, or compare all values with each other. Servers check them themselves.
LEFT_OUT = ("pattern", "patternProperties", "uniqueItems", "unevaluatedProperties", "unevaluatedItems")

Check = Callable[..., Iterable[ValidationError] | None]


class _TooMany(Exception):
    """Of checks."""


def misfit(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> str:
    """Return why these arguments do not fit the schema; "" if they do, or if the schema cannot be checked."""
    kind = validator_for(schema, default=Draft202012Validator)
    limited = extend(kind, _limited(kind.VALIDATORS))
    try:
        # A registry of no addresses: without one, references would be fetched.
        found = next(limited(_without_dialect(schema), registry=Registry()).iter_errors(dict(arguments)), None)
    except Exception as error:      # of the schema, of its size, or of a reference to elsewhere: its author's program checks the rest
        log.info("The arguments of a call were not checked: %s", type(error).__name__)
        return ""
    return f"{found.json_path}: {found.message}"[:MAX_REASON_CHARS] if found else ""


def _limited(checks: Mapping[str, Check]) -> dict[str, Check]:
    """The checks of a dialect, at most MAX_CHECKS of them."""
    num_checks = 0

    def counted(check: Check) -> Check:
        def run(validator: Any, value: Any, instance: Any, part: Mapping[str, Any]) -> Iterator[ValidationError]:
            nonlocal num_checks
            num_checks += 1
            if num_checks > MAX_CHECKS:
                raise _TooMany
            yield from check(validator, value, instance, part) or ()
        return run

    def names(validator: Any, value: Any, instance: Any, part: Mapping[str, Any]) -> Iterable[ValidationError]:
        return () if "patternProperties" in part else checks["additionalProperties"](validator, value, instance, part) or ()

    every = {**checks, "additionalProperties": names, **dict.fromkeys(LEFT_OUT, lambda *_: ())}
    return {name: counted(check) for name, check in every.items()}


def _without_dialect(schema: Any) -> Any:
    """A copy without `$schema`: a part that has one would be checked without the limits."""
    if isinstance(schema, Mapping):
        return {name: _without_dialect(part) for name, part in schema.items() if name != "$schema"}
    return [_without_dialect(part) for part in schema] if isinstance(schema, list) else schema
