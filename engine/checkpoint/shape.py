"""A model's size and architecture, from its config.json and the headers of its safetensors files."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from ..errors import UnsupportedModel
from .cache_shape import HIDDEN, cache_shape, num_layers, state_values
from .cache_shape import first_number as _number
from .files import weight_files, weights_obstacle
from .stored_quantization import METHODS, Tensor, expanded, file_bytes, stored_quantization

TABLES = ("embed", "wte", "wpe")                        # embedding tables: one row is read per token
HEADS = ("lm_head", "embed_out")                        # the output head
EXPERTS = ".experts."                                   # transformers merges these into one tensor of three dimensions
ROUTERS = (".gate.weight", ".router.weight")            # modules of their own class, never quantized
DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
GGUF_DTYPE = "gguf"      # `stored_dtype` of weights that are all expanded before any is rounded
# Architectures that count positions from the one after that of padding, as RoBERTa does: no token has those before it.
POSITIONS_AFTER_PADDING = frozenset((
    "camembert", "data2vec-text", "esm", "ibert", "layoutlmv3", "lilt", "longformer", "luke", "markuplm", "mpnet", "roberta",
    "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "xmod"))
NO_LIMIT = 1_000_000     # context window of recurrent models
STORED_BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}
# Parts of names of tensors that read pictures or sounds, and of settings of models that cut a picture into tiles.
BESIDE_TEXT = ("vision", "visual", "image", "audio", "multi_modal", "projector", "connector")
TILES = ("scale_factor", "downsample_ratio", "image_grid_pinpoints")
LARGEST_SIDE = 2048     # pixels: pictures are made smaller than that (engine/pictures.py)
EXPERTS_USED = ("num_experts_per_tok", "top_k_experts", "moe_k")
EXPERTS_ALL = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")


@dataclass(frozen=True, slots=True)
class ModelShape:
    """The numbers on which a model's memory depends. Weights are counted in values, not bytes."""

    linear_weights: int         # matrices that quantization applies to
    other_weights: int          # embeddings, output head, norms, experts: kept in 16 or 32 bits
    layers: int
    kv_heads: int
    head_dim: int
    stored_dtype: str
    max_window: int
    hidden_size: int = 0
    vocab_size: int = 0
    table_weights: int = 0      # of other_weights: embedding tables
    head_weights: int = 0       # of other_weights: an output head that is not tied to the embedding table
    expert_weights: int = 0     # of other_weights: experts, of which each token uses `expert_share`
    expert_share: float = 1.0
    largest_matrix: int = 0     # values of the largest matrix that quantization applies to
    intermediate_size: int = 0
    cache_values: int = 0       # keys and values of one token in all layers; 0 where only layers, kv_heads and head_dim are known
    state_values: int = 0       # states of one sequence in all layers that keep one instead of keys and values
    file_bytes: int = 0         # size of weights that are stored quantized, in their files; 0 for all others
    stored_method: str = ""     # by which they are stored, as it is usually written
    stored_codes: str = ""      # the quantization whose codes the files hold (stored_quantization.py)
    vision_weights: int = 0     # of other_weights: the parts that read pictures and sounds, never quantized
    picture_values: int = 0     # the activations of one layer of the vision part for the largest picture

    @property
    def cache_values_per_token(self) -> int:
        """Keys and values of one token in all layers; if `cache_values` is 0, as for layers of plain attention."""
        return self.cache_values or 2 * self.layers * self.kv_heads * self.head_dim

    @property
    def text_part(self) -> ModelShape:
        """The same model without the parts that read pictures and sounds."""
        return replace(self, other_weights=self.other_weights - self.vision_weights, vision_weights=0, picture_values=0)

    @property
    def parameters(self) -> int:
        return self.linear_weights + self.other_weights

    @property
    def stored_bytes(self) -> int:
        """Size of the weights in their files."""
        return self.file_bytes or self.parameters * STORED_BYTES.get(self.stored_dtype, 1)

    @property
    def weights_per_token(self) -> tuple[float, float]:
        """Linear and other weights that are read to generate one token. Of a table that is not also the head, one row is read."""
        tied_head = 0 if self.head_weights else (self.vocab_size * self.hidden_size or self.table_weights)
        unused = self.vision_weights + max(0, self.table_weights - tied_head) + self.expert_weights * (1 - self.expert_share)
        return self.linear_weights, self.other_weights - unused

    @property
    def active_parameters(self) -> int:
        """Weights that are read to generate one token: all of a dense model but its tables, few of a mixture of experts."""
        return round(sum(self.weights_per_token))


def read_shape(folder: Path, config: Mapping[str, Any], model: str) -> ModelShape:
    """The shape of the model in `folder`, whose config.json is `config`.

    Raises what `read_tensors` raises.
    """
    return shape_of(config, read_tensors(folder, model))


def read_tensors(folder: Path, model: str) -> list[Tensor]:
    """Every tensor in the headers of the weight files of `folder`.

    Raises UnsupportedModel if a file is missing, is cut off or is not a safetensors file.
    """
    if obstacle := weights_obstacle(folder):
        raise UnsupportedModel(model, obstacle)
    return [tensor for path in weight_files(folder) for tensor in header_tensors(path, model)]


def shape_of(config: Mapping[str, Any], tensors: Iterable[Tensor]) -> ModelShape:
    """Return the shape of a model from its config.json and its safetensors headers, on disk or on the hub.

    Weights that are stored quantized are counted as they are after they are expanded.
    """
    stored, stored_bytes = stored_quantization(config), 0
    if stored is not None:
        tensors = list(tensors)
        tensors, stored_bytes = expanded(tensors, stored), file_bytes(tensors)
    whole, config = config, cast(Mapping[str, Any], config.get("text_config") or config)
    counts: dict[str, int] = dict.fromkeys(("linear", "table", "head", "expert", "vision", "rest"), 0)
    dtypes: dict[str, int] = {}
    largest = 0
    for name, sizes, dtype in tensors:
        count, kind = math.prod(sizes), _kind(name, sizes)
        if whole.get("vision_config") and any(part in name for part in BESIDE_TEXT):
            kind = "vision"
        if kind == "head" and config.get("tie_word_embeddings") is True:        # stored, but not loaded a second time
            continue
        counts[kind] += count
        dtypes[dtype] = dtypes.get(dtype, 0) + count
        largest = max(largest, count) if kind == "linear" else largest
    shape = replace(_shape(config, counts, dtypes, largest), picture_values=_picture_values(whole))
    return replace(shape, file_bytes=stored_bytes, stored_method=METHODS[stored.method], stored_codes=stored.codes,
                   stored_dtype="bfloat16") if stored else shape


def _window(config: Mapping[str, Any]) -> int:
    positions = _number(config, "max_position_embeddings", "n_positions", "max_sequence_length", "max_seq_len", "n_ctx")
    if config.get("model_type") in POSITIONS_AFTER_PADDING and positions:
        pad = config.get("pad_token_id", 1)
        return max(1, positions - (pad if isinstance(pad, int) else 1) - 1)
    return positions or NO_LIMIT


def _shape(config: Mapping[str, Any], counts: Mapping[str, int], dtypes: Mapping[str, int], largest: int) -> ModelShape:
    hidden, cache = _number(config, *HIDDEN) or 1, cache_shape(config)
    stored = max(dtypes, key=lambda dtype: dtypes[dtype]) if dtypes else "F32"
    return ModelShape(
        linear_weights=counts["linear"], other_weights=sum(counts.values()) - counts["linear"],
        layers=num_layers(config), kv_heads=cache.kv_heads, head_dim=cache.head_dim, cache_values=cache.values,
        stored_dtype=DTYPES.get(stored, stored),
        max_window=_window(config),
        hidden_size=hidden, vocab_size=_number(config, "vocab_size"),
        table_weights=counts["table"], head_weights=counts["head"], expert_weights=counts["expert"],
        expert_share=_expert_share(config), largest_matrix=largest,
        intermediate_size=_number(config, "intermediate_size", "n_inner") or 4 * hidden, state_values=state_values(config),
        vision_weights=counts["vision"])


def _picture_values(config: Mapping[str, Any]) -> int:
    """Patches of the largest picture times what a layer of the vision part computes for each.

    Pixtral also makes a mask of patches x patches, which is one matrix where activations are ACTIVATIONS copies (memory.py).
    """
    vision = config.get("vision_config")
    if not isinstance(vision, Mapping):
        return 0
    patch, own = (max(value) if isinstance(value, list) and value else value if isinstance(value, int) else 0
                  for value in (vision.get("patch_size"), vision.get("image_size")))
    hidden = _number(vision, "embed_dim", "hidden_size")
    side = LARGEST_SIDE if not own or any(config.get(name) for name in TILES) else min(own, LARGEST_SIDE)
    patches = (side // (patch or 16)) ** 2
    mask = patches // 4 if vision.get("model_type") == "pixtral" else 0
    return patches * (hidden + (_number(vision, "intermediate_size") or 4 * hidden) + mask)


def _kind(name: str, sizes: list[int]) -> str:
    """Return the kind of a tensor. bitsandbytes quantizes nn.Linear and GPT-2's Conv1D, never the head, tables or merged experts."""
    if len(sizes) < 2:
        return "rest"
    if any(part in name for part in HEADS):
        return "head"
    if any(part in name for part in TABLES):
        return "table"
    if EXPERTS in name:
        return "expert"
    return "linear" if len(sizes) == 2 and not name.endswith(ROUTERS) else "rest"


def _expert_share(config: Mapping[str, Any]) -> float:
    used, total = _number(config, *EXPERTS_USED), _number(config, *EXPERTS_ALL)
    return min(1.0, used / total) if used and total else 1.0


def header_tensors(path: Path, model: str) -> Iterator[Tensor]:
    """Every tensor in the header of a file on this machine, as the library reads it that loads them: their bytes neither overlap nor
    are missing. Raises UnsupportedModel.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            for name in file.keys():        # noqa: SIM118 - it is no mapping
                tensor = file.get_slice(name)
                yield name, [int(size) for size in tensor.get_shape()], str(tensor.get_dtype())
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise UnsupportedModel(model, f"{path.name} is not a complete safetensors file.") from error
