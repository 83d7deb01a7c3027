"""The estimate for one model in each quantization: memory, the largest context that fits, and speed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..checkpoint.files import gguf_in, split_file
from ..checkpoint.gguf import folder_shape
from ..checkpoint.shape import ModelShape
from ..errors import InvalidRequest, StorageError, UnsupportedModel
from ..hardware import BYTES_PER_VALUE, Hardware, detect
from ..hub.hub import Hub
from ..settings import Settings
from ..storage.database import Database
from ..storage.loads import LoadHistory, MeasuredPeak
from .bandwidth import copy_bandwidth
from .cache_budget import largest_window
from .memory import STATE_BYTES, Fit, compute_dtype, corrected, judge, kv_cache_bytes
from .quantization import Quantization, describe, held_as
from .resolve import LocalModel, resolve

# Share of the copy bandwidth that matrix-vector multiplications reach, and seconds of overhead per layer.
SPEED_SHARE = {Quantization.NONE: 0.7, Quantization.INT8: 0.2, Quantization.INT4: 0.2, Quantization.NF4: 0.2}
INTEGER_SHARE = 0.4     # of PyTorch's kernels for integers: a rough fit to a model of 110 M parameters on two cores
LAYER_S = {"cpu": 1.0e-3, "mps": 0.5e-3, "cuda": 0.3e-3}


@dataclass(frozen=True, slots=True)
class QuantizationFit:
    """`tokens_per_second`: of one reply with a full window. `measured_peak_bytes`: of the latest load on this machine, if any."""

    quantization: Quantization
    is_supported: bool
    fit: Fit
    load_peak_bytes: int
    largest_context: int        # tokens; 0 if none fits
    tokens_per_second: float
    measured_peak_bytes: int | None
    held: Quantization          # in memory: with none, perhaps the codes that the repository stores


@dataclass(frozen=True, slots=True)
class ModelFit:
    """`choices` in the order of Quantization."""

    model: str
    shape: ModelShape
    hardware_name: str
    free_bytes: int
    choices: tuple[QuantizationFit, ...]
    context_tokens: int
    visitors: int


def estimate_fit(model: str, *, context_tokens: int = 4096, visitors: int = 1, settings: Settings | None = None,
                 hardware: Hardware | None = None) -> ModelFit:
    """Estimate "builtin", a folder or a hub model on this machine as it is now. Downloads no weights.

    Raises InvalidRequest, ModelNotFound, ModelAccessDenied, HubUnreachable and UnsupportedModel.
    """
    if context_tokens < 1 or visitors < 1:
        raise InvalidRequest("context" if context_tokens < 1 else "visitors", min(context_tokens, visitors), "at least 1")
    settings = settings or Settings.from_env()
    shape = find_shape(model, settings)
    hardware = hardware or detect(settings.device)
    return estimate_shape(shape, hardware, model=model, context_tokens=context_tokens, visitors=visitors,
                          free_bytes=hardware.free_bytes(), measured=measured_peaks(model, settings, hardware))


def estimate_shape(shape: ModelShape, hardware: Hardware, *, context_tokens: int, visitors: int, free_bytes: int, model: str = "",
                   measured: Mapping[Quantization, MeasuredPeak] | None = None, bandwidth: float | None = None) -> ModelFit:
    """The same for a known shape. `bandwidth`: bytes per second; measured if not given."""
    bandwidth = bandwidth or copy_bandwidth(hardware)
    window = min(context_tokens, shape.max_window)
    choices = tuple(_choice(shape, quantization, hardware, window, visitors, free_bytes, bandwidth, (measured or {}).get(quantization))
                    for quantization in Quantization)
    return ModelFit(model, shape, hardware.name, free_bytes, choices, window, visitors)


def _choice(shape: ModelShape, quantization: Quantization, hardware: Hardware, window: int, visitors: int, free_bytes: int,
            bandwidth: float, measured: MeasuredPeak | None) -> QuantizationFit:
    dtype = compute_dtype(shape, quantization, hardware)
    fit = judge(shape, quantization, hardware, dtype=dtype, context_tokens=window, concurrent=visitors, free_bytes=free_bytes)
    spare = 0
    if measured is not None:
        past = judge(shape, quantization, hardware, dtype=dtype, context_tokens=measured.context_tokens,
                     concurrent=measured.visitors, free_bytes=free_bytes)
        known = corrected(fit, past, measured.peak_bytes)
        fit, spare = known, fit.needed_bytes - known.needed_bytes
    return QuantizationFit(
        quantization, describe(quantization, hardware).is_supported, fit, fit.load_peak_bytes,
        largest_window(shape, quantization, hardware, dtype=dtype, concurrent=visitors, free_bytes=free_bytes + spare),
        tokens_per_second(shape, quantization, hardware, window, bandwidth), measured.peak_bytes if measured else None,
        held_as(quantization, shape.stored_codes, hardware))


def tokens_per_second(shape: ModelShape, quantization: Quantization, hardware: Hardware, window: int, bandwidth: float) -> float:
    """Of one reply with a full window: each token reads the weights and the cache once, rewrites the states, and adds layer overhead."""
    quantization = held_as(quantization, shape.stored_codes, hardware)
    wide = BYTES_PER_VALUE[compute_dtype(shape, quantization, hardware)]
    linear, other = shape.weights_per_token
    packed = wide if quantization is Quantization.NONE else quantization.bytes_per_weight(hardware)
    is_integer = quantization.kernel(hardware) == "pytorch"
    head = (shape.head_weights or shape.vocab_size * shape.hidden_size) if is_integer else 0      # in 8 bits then
    states = 2 * STATE_BYTES * shape.state_values      # read and written
    read = (linear * packed + head) / (INTEGER_SHARE if is_integer else SPEED_SHARE[quantization]) + \
        ((other - head) * wide + kv_cache_bytes(shape, window, wide) + states) / SPEED_SHARE[Quantization.NONE]
    return 1 / (read / bandwidth + shape.layers * LAYER_S[hardware.kind])


def find_shape(model: str, settings: Settings) -> ModelShape:
    """The shape of a model from its folder, its cached copy or the hub. Raises what `estimate_fit` raises."""
    place = resolve(model, settings)
    if isinstance(place, LocalModel):
        return folder_shape(place.folder, place.gguf, model)
    repo, hub = place.name, Hub(settings)
    stored = hub.stored(repo)
    if stored is not None:
        return folder_shape(stored, split_file(repo)[1] or gguf_in(stored), repo)
    listing = hub.describe(repo)
    if listing.shape is None or listing.tasks:
        raise UnsupportedModel(repo, listing.obstacle or "it writes no text, or has no safetensors weights.")
    return listing.shape


def measured_peaks(model: str, settings: Settings, hardware: Hardware) -> dict[Quantization, MeasuredPeak]:
    """Peak memory of earlier loads of this model; empty if the database is missing or unreadable, as an estimate works without."""
    database = Database(settings.data_dir)
    if not database.path.is_file():
        return {}
    history = LoadHistory(database)
    try:
        found = {quantization: history.last_peak(model, quantization, hardware.name) for quantization in Quantization}
    except StorageError:
        return {}
    return {quantization: peak for quantization, peak in found.items() if peak is not None}
