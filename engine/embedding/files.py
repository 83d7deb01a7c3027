"""Checks the folder of an embedding model or a cross-encoder before anything of it is loaded, and says what it is.

Only modules of sentence-transformers that hold plain tensors are accepted, only weights in safetensors, and no code of a repository.
The digest covers every file that can change a vector, so that vectors of two versions are never compared.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..checkpoint.config import parse_config, read_raw_config
from ..checkpoint.files import ADAPTER_CONFIG, WEIGHTS, weight_files, weights_obstacle
from ..checkpoint.shape import read_tensors, shape_of
from ..checkpoint.stored_quantization import obstacle
from ..compat.transformers import is_known_architecture
from ..errors import UnsupportedModel
from ..hardware import Hardware
from ..models.memory import judge
from ..models.quantization import Quantization

MODULES = ("Transformer", "Pooling", "Normalize", "Dense")
ACTIVATIONS = re.compile(r"torch\.nn\.modules\.(activation\.(Tanh|ReLU|GELU|SiLU|Sigmoid)|linear\.Identity)")
INSIDE = re.compile(r"\w[\w.\- ]{0,99}|")
KERNELS = ("eager", "sdpa")             # the attention of transformers itself; other names are fetched as code
LONGEST_WINDOW = 8192                   # tokens
BATCH_TOKENS = 8192                     # tokens of one forward pass, padding included, which the memory is judged for
READ = ("*.json", "*.txt", "*.model", "*.safetensors")
# The authors of these say in the model's card, and nowhere in its files, what a text must begin with (huggingface.co/intfloat).
E5 = re.compile(r"intfloat/(multilingual-)?e5-(small|base|large)(-v2)?", re.IGNORECASE)
E5_PROMPTS = {"query": "query: ", "document": "passage: "}
Stamp = tuple[tuple[str, int, int], ...]        # name, size and time of each file that is read


@dataclass(frozen=True, slots=True)
class EmbedderFiles:
    """`key`: name@digest, which names the vectors. `prompts`: what a text begins with, by "query" and "document".

    `tokenizer`: the file of the tokenizers library, which was read.
    """

    name: str
    key: str
    folder: Path
    dimensions: int
    window_tokens: int
    prompts: Mapping[str, str]
    needed_bytes: int
    size_bytes: int
    tokenizer: Path


def read_embedder(name: str, folder: Path, hardware: Hardware) -> EmbedderFiles:
    """Read from its files what an embedding model is; the files are read again only after they have changed.

    Raises UnsupportedModel for a model that is none for embeddings, and for one that cannot be loaded safely.
    """
    return _read_embedder(name, folder, hardware, _stamp(folder))


@lru_cache(maxsize=16)
def _read_embedder(name: str, folder: Path, hardware: Hardware, stamp: Stamp) -> EmbedderFiles:
    modules = _modules(name, folder)
    raw, transformer = read_raw_config(folder / modules["Transformer"], name), folder / modules["Transformer"]
    needed = _require_loadable(name, transformer, raw, hardware)
    pooling = _json(name, folder / modules["Pooling"] / "config.json")
    dimensions = _number(pooling, "embedding_dimension", "word_embedding_dimension") * max(1, _num_modes(pooling))
    if "Dense" in modules:
        dimensions = _dense(name, folder / modules["Dense"]) or dimensions
    if not dimensions:
        raise UnsupportedModel(name, "the files of its pooling do not say how long its vectors are.")
    prompts = _prompts(name, folder)
    return EmbedderFiles(name, f"{name}@{_digest(folder, stamp)}", folder, dimensions, _window(name, transformer, raw), prompts,
                         needed, sum(path.stat().st_size for path in weight_files(transformer)), _tokenizer(name, folder, transformer))


def read_reranker(name: str, folder: Path, hardware: Hardware) -> EmbedderFiles:
    """The same for a cross-encoder: a model with one output for a pair of texts. Raises UnsupportedModel."""
    return _read_reranker(name, folder, hardware, _stamp(folder))


@lru_cache(maxsize=16)
def _read_reranker(name: str, folder: Path, hardware: Hardware, stamp: Stamp) -> EmbedderFiles:
    raw = read_raw_config(folder, name)
    classes = [each for each in raw.get("architectures") or () if isinstance(each, str)]
    labels = raw.get("id2label")
    count = len(labels) if isinstance(labels, dict) else raw.get("num_labels", 2)
    if not any(each.endswith("ForSequenceClassification") for each in classes) or count != 1:
        raise UnsupportedModel(name, "it is no cross-encoder: those have one output for a pair of texts.")
    if (folder / "modules.json").is_file():
        raise UnsupportedModel(name, "it has modules of its own beside the cross-encoder.")
    needed = _require_loadable(name, folder, raw, hardware)
    return EmbedderFiles(name, f"{name}@{_digest(folder, stamp)}", folder, 1, _window(name, folder, raw), {}, needed,
                         sum(path.stat().st_size for path in weight_files(folder)), _tokenizer(name, folder))


def missing_modules(name: str, folder: Path) -> bool:
    """Whether a download of the hub lacks files beside the model itself, as one does that was made to load the model alone."""
    return not (folder / "modules.json").is_file() or any(
        path and kind != "Normalize" and not (folder / path / "config.json").is_file() for kind, path in _modules(name, folder).items())


def _modules(name: str, folder: Path) -> dict[str, str]:
    """The folder of each module by the last part of its type. Raises UnsupportedModel."""
    if not (folder / "modules.json").is_file():
        raise UnsupportedModel(name, "it has no modules.json, so it is no embedding model of sentence-transformers.")
    found: dict[str, str] = {}
    listed = _json(name, folder / "modules.json", list)
    for each in listed:
        kind, path = (str(each.get(part, "")) for part in ("type", "path")) if isinstance(each, dict) else ("", "")
        last = kind.rpartition(".")[2]
        if not kind.startswith("sentence_transformers.") or last not in MODULES or last in found or not INSIDE.fullmatch(path):
            raise UnsupportedModel(name, f"its modules.json has a part that is not loaded here ({kind[:100]}); "
                                   f"each of {', '.join(MODULES)} can be there once.")
        found[last] = path
    if not {"Transformer", "Pooling"} <= found.keys():
        raise UnsupportedModel(name, "its modules.json names no Transformer with a Pooling.")
    return found


def _require_loadable(name: str, folder: Path, raw: Mapping[str, Any], hardware: Hardware) -> int:
    """Return the bytes that must be free, in 32 bits. Raises UnsupportedModel."""
    kind = raw.get("model_type")
    if not is_known_architecture(kind):
        raise UnsupportedModel(name, f"its architecture ({kind}) is unknown to transformers, or needs code from the repository, "
                               "which is never run.")
    if (folder / ADAPTER_CONFIG).is_file():
        raise UnsupportedModel(name, "it is an adapter; merge it with its base first.")
    if reason := obstacle(raw) or weights_obstacle(folder):
        raise UnsupportedModel(name, reason)
    own = _json(name, folder / "sentence_bert_config.json") if (folder / "sentence_bert_config.json").is_file() else {}
    for part in (raw, *(value for value in own.values() if isinstance(value, dict))):
        for field, value in part.items():
            if "attn_implementation" in field and value not in (None, *KERNELS):
                raise UnsupportedModel(name, f"it asks for the attention {str(value)[:100]!r}, which is not part of transformers.")
    shape = replace(shape_of(parse_config(raw, name).to_dict(), read_tensors(folder, name)), kv_heads=0, cache_values=0, state_values=0)
    fit = judge(shape, Quantization.NONE, hardware, dtype="float32", context_tokens=BATCH_TOKENS, concurrent=1, free_bytes=0)
    return fit.needed_bytes


def _tokenizer(name: str, *folders: Path) -> Path:
    """The tokenizer.json of the first of these folders that has one. Raises UnsupportedModel if it cannot be read."""
    from tokenizers import Tokenizer

    path = next((folder / "tokenizer.json" for folder in folders if (folder / "tokenizer.json").is_file()), None)
    if path is None:
        raise UnsupportedModel(name, "it has no tokenizer.json, by which texts are cut.")
    try:
        Tokenizer.from_file(str(path))
    except Exception as error:      # of no type of its own
        raise UnsupportedModel(name, f"its tokenizer.json cannot be read ({str(error)[:200]}).") from error
    return path


def _dense(name: str, folder: Path) -> int:
    """The length of what a dense layer makes. Raises UnsupportedModel."""
    config = _json(name, folder / "config.json")
    if not (folder / WEIGHTS).is_file():
        raise UnsupportedModel(name, "its dense layer has no safetensors weights.")
    if not ACTIVATIONS.fullmatch(str(config.get("activation_function", "torch.nn.modules.activation.Tanh"))):
        raise UnsupportedModel(name, f"its dense layer has an unknown activation ({str(config['activation_function'])[:100]}).")
    return _number(config, "out_features")


def _prompts(name: str, folder: Path) -> dict[str, str]:
    path = folder / "config_sentence_transformers.json"
    stated = _json(name, path).get("prompts") if path.is_file() else None
    given = {key: text for key, text in stated.items() if isinstance(text, str)} if isinstance(stated, dict) else {}
    document = next((given[key] for key in ("document", "passage", "corpus") if given.get(key)), "")
    found = {"query": given.get("query", ""), "document": document}
    return dict(E5_PROMPTS) if not any(found.values()) and E5.fullmatch(name) else found


def _window(name: str, folder: Path, raw: Mapping[str, Any]) -> int:
    """Tokens that are read of a text, with special ones and the prompt: the least of what its files say."""
    own = _json(name, folder / "sentence_bert_config.json") if (folder / "sentence_bert_config.json").is_file() else {}
    tokenizer = _json(name, folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").is_file() else {}
    limits = [own.get("max_seq_length"), tokenizer.get("model_max_length"), raw.get("max_position_embeddings"), LONGEST_WINDOW]
    return max(8, int(min(limit for limit in limits if isinstance(limit, int | float) and limit > 0)))


def _num_modes(pooling: Mapping[str, Any]) -> int:
    """How many vectors the pooling puts one after the other."""
    modes = pooling.get("pooling_mode")
    return len(modes) if isinstance(modes, list) else sum(
        value is True for key, value in pooling.items() if key.startswith("pooling_mode_"))


def _number(values: Mapping[str, Any], *names: str) -> int:
    return next((value for each in names if isinstance(value := values.get(each), int) and 0 < value <= 65536), 0)


def _json(name: str, path: Path, kind: type = dict) -> Any:
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UnsupportedModel(name, f"its {path.name} cannot be read.") from error
    if not isinstance(values, kind):
        raise UnsupportedModel(name, f"its {path.name} is not that of a model.")
    return values


def _stamp(folder: Path) -> Stamp:
    found = sorted({path for pattern in READ for path in (*folder.glob(pattern), *folder.glob(f"*/{pattern}"))})
    return tuple((path.relative_to(folder).as_posix(), (stat := os.stat(path)).st_size, stat.st_mtime_ns) for path in found)


def _digest(folder: Path, stamp: Stamp) -> str:
    """The first 16 digits of the SHA-256 of the files. 470 MB take about a second, once."""
    whole = sha256()
    for name, size, _ in stamp:
        whole.update(f"{name}\0{size}\0".encode())
        with (folder / name).open("rb") as file:
            while block := file.read(1 << 20):
                whole.update(block)
    return whole.hexdigest()[:16]
