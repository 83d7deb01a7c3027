"""The catalog ranked for a machine, a use and a language. Each place has a reason, which the page puts into a sentence."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ...hardware import BYTES_PER_VALUE, Hardware
from ..memory import Fit, Verdict, judge
from ..quantization import Quantization
from .entry import CatalogEntry, catalog

SMALL_PARAMETERS = 4.5e9        # read per token: the largest models that are fast enough on a CPU, nominal 4 B
CPU_BYTES = 4e9                 # read per token: 2 to 9 tokens/s at the 8 to 35 GB/s measured on small CPUs
HANDICAP = 0.4                  # of models that are gated or not made for the use: they rank first only if 2.5 times as large as the next
EQUAL = 1.3                     # models whose sizes differ by less than about this factor count as equal: the catalog's order decides
NOMINAL = 0.1                   # models named "7B" have 6.7 to 7.7 billion parameters
UNKNOWN, TOO_LARGE = 3, 4       # standings, after: fits (0), tight (1), cannot be loaded (2)


class Reason(StrEnum):
    """Why a model stands where it stands: the names of sentences in the languages of the page."""

    FULL = "full"               # fits in 16 bits
    EIGHT_BITS = "eight_bits"
    FOUR_BITS = "four_bits"
    MIXTURE = "mixture"         # reads a small share of its weights for each token
    FLUENT = "fluent"           # small enough for a CPU
    SLOW = "slow"               # reads more per token than a CPU can
    OLDER = "older"             # a newer model of about its size does better
    TIGHT = "tight"
    TOO_LARGE = "too_large"
    REFUSED = "refused"         # its files cannot be loaded
    UNKNOWN = "unknown"         # its sizes are read from the hub


@dataclass(frozen=True, slots=True)
class SizeAdvice:
    """Advice for an amount of memory. The bounds are nominal: a "7B" model may have 7.7 billion parameters."""

    min_parameters: float
    max_parameters: float
    quantization: Quantization

    def includes(self, parameters: float) -> bool:
        return (1 - NOMINAL) * self.min_parameters <= parameters <= (1 + NOMINAL) * self.max_parameters


def default_choice(memory_bytes: int) -> SizeAdvice:
    """Default size and quantization for a device with this much memory in total: the table of the guide, its GB taken as GiB."""
    memory_gib = memory_bytes / 2**30
    if memory_gib < 4:
        return SizeAdvice(1e9, 2e9, Quantization.NF4)
    if memory_gib < 8:
        return SizeAdvice(2e9, 7e9, Quantization.NF4)
    if memory_gib <= 16:
        return SizeAdvice(7e9, 13e9, Quantization.INT8)
    return SizeAdvice(13e9, math.inf, Quantization.NONE)


@dataclass(frozen=True, slots=True)
class Recommendation:
    """`fit`: None for a model whose sizes are not known before its files are read."""

    entry: CatalogEntry
    quantization: Quantization
    fit: Fit | None
    reason: Reason


def recommend(hardware: Hardware, free_bytes: int, *, context_tokens: int = 4096, concurrent: int = 1,
              supported: Collection[Quantization], use: str = "chat", language: str = "") -> tuple[Recommendation, ...]:
    """Every model of the catalog in its best quantization: the best choice for this machine first, models that are too large last.

    Those that are not made for `use` (chat, code, reasoning) have a handicap; those that do not claim `language` (ISO 639-1;
    "" for any) rank after those that do. Memory is that of all weights, speed that of the weights read for each token.
    """
    possible = [quantization for quantization in Quantization if quantization is Quantization.NONE or quantization in supported]

    def weigh(entry: CatalogEntry) -> Recommendation:
        if entry.shape is None:
            return Recommendation(entry, Quantization.NONE, None, Reason.REFUSED if not entry.can_load else Reason.UNKNOWN)
        window = min(context_tokens, entry.context)
        fits = {quantization: judge(entry.shape, quantization, hardware, dtype=hardware.dtype, context_tokens=window,
                                    concurrent=concurrent, free_bytes=free_bytes) for quantization in possible}
        best = _best(fits)
        return Recommendation(entry, best, fits[best], _reason(entry, best, fits[best], hardware))

    return tuple(sorted(map(weigh, catalog()), key=lambda choice: _rank(choice, hardware, use, language)))


def _best(fits: dict[Quantization, Fit]) -> Quantization:
    """The weakest quantization that fits comfortably; if none does, the one that needs the least memory."""
    comfortable = (quantization for quantization, fit in fits.items() if fit.verdict is Verdict.FITS)
    return next(comfortable, min(fits, key=lambda quantization: fits[quantization].needed_bytes))


def _reason(entry: CatalogEntry, quantization: Quantization, fit: Fit, hardware: Hardware) -> Reason:
    if not entry.can_load:
        return Reason.REFUSED
    if fit.verdict is not Verdict.FITS:
        return Reason.TIGHT if fit.verdict is Verdict.TIGHT else Reason.TOO_LARGE
    if not entry.current:
        return Reason.OLDER
    if hardware.kind == "cpu" and entry.active_parameters > SMALL_PARAMETERS:
        return Reason.SLOW
    if entry.is_mixture:
        return Reason.MIXTURE
    if hardware.kind == "cpu":
        return Reason.FLUENT
    return {16: Reason.FULL, 8: Reason.EIGHT_BITS}.get(quantization.bits, Reason.FOUR_BITS)


def _rank(choice: Recommendation, hardware: Hardware, use: str, language: str) -> tuple[float, ...]:
    """Sort key, smaller is better. Ties keep the catalog's order."""
    entry = choice.entry
    if choice.fit is None:
        return UNKNOWN, entry.parameters
    if choice.fit.verdict is Verdict.TOO_LARGE:
        return TOO_LARGE, choice.fit.needed_bytes
    standing = 2 if not entry.can_load else 1 if choice.fit.verdict is Verdict.TIGHT else 0
    is_foreign = bool(language) and language not in entry.languages
    if hardware.kind == "cpu":
        is_slow = entry.active_parameters > SMALL_PARAMETERS
        return standing, is_slow, is_foreign, not entry.current, _band(_cpu_distance(choice, hardware, use))
    is_advised = default_choice(hardware.total_bytes).includes(entry.parameters)
    return standing, is_foreign, not entry.current, not is_advised, -_band(_capability(entry) * _handicap(entry, use))


def _band(size: float) -> int:
    return round(math.log(size, EQUAL))


def _capability(entry: CatalogEntry) -> float:
    """The size of a dense model that does about as well: of a mixture, the geometric mean of all weights and those used for a token."""
    return math.sqrt(entry.parameters * entry.active_parameters) if entry.is_mixture else entry.parameters


def _cpu_distance(choice: Recommendation, hardware: Hardware, use: str) -> float:
    """The factor by which a model is too slow or too small for this CPU.

    Speed is bandwidth divided by the bytes of the weights that a token reads. bitsandbytes dequantizes them at every step.
    """
    is_read = choice.quantization.kernel(hardware) == "pytorch"
    size = choice.quantization.bytes_per_weight(hardware) if is_read else BYTES_PER_VALUE[hardware.dtype]
    ratio = choice.entry.active_parameters * size / CPU_BYTES
    return max(ratio, 1 / ratio) / _handicap(choice.entry, use)


def _handicap(entry: CatalogEntry, use: str) -> float:
    return HANDICAP ** (entry.gated + (use not in entry.good_for))


def top(found: Sequence[Recommendation], count: int) -> tuple[Recommendation, ...]:
    """The first models that fit and can be loaded."""
    usable = (choice for choice in found if choice.fit and choice.fit.verdict is not Verdict.TOO_LARGE and choice.entry.can_load)
    return tuple(choice for choice, _ in zip(usable, range(count), strict=False))
