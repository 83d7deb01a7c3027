"""Pictures in prompts: what the vision part of a model makes of a picture stands in the place of the embeddings of its tokens.

Each row of a picture's features has an id of its own (picture_rows.py), so that the cache shares the blocks of a picture like those
of words: by its content, across turns and visitors. The vision part runs once for each picture.
"""

from __future__ import annotations

import inspect
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..compat.processors import open_processor
from ..compat.transformers import axes_of, reads_pictures
from ..errors import GenerationFailed
from ..pictures import Picture
from .picture_rows import PictureFeatures, PictureTokens

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

TEXT_ONLY = "it reads text only"
KEPT_BYTES = 64 * 2**20        # of features of pictures that no reply needs now


class PictureReader:
    """The vision part of one model. Safe to call from several threads."""

    def __init__(self, model: PreTrainedModel, processor: Any, placeholder: str) -> None:
        """placeholder: what the template writes for a picture, and the processor replaces."""
        self._model: Any = model
        self._processor = processor
        self._axes_of = axes_of(model)
        self.features = PictureFeatures(int(model.config.image_token_id), has_axes=self._axes_of is not None)
        self._names = set(inspect.signature(model.get_image_features).parameters)
        self._kept: OrderedDict[str, PictureTokens] = OrderedDict()
        self._lock = threading.Lock()
        self.placeholder = placeholder

    def read(self, picture: Picture) -> PictureTokens:
        """Raises GenerationFailed."""
        with self._lock:        # held while the vision part runs: its products serve one caller at a time
            found = self._kept.get(picture.digest)
            if found is None:
                try:
                    found = self._read(picture)
                except (RuntimeError, ValueError, TypeError, LookupError) as error:
                    raise GenerationFailed(f"the picture {picture.name} could not be read ({str(error)[:200]}).") from error
                self._kept[picture.digest] = found
            self._kept.move_to_end(picture.digest)
            while len(self._kept) > 1 and sum(each.nbytes for each in self._kept.values()) > KEPT_BYTES:
                self._kept.popitem(last=False)
            return found

    def inputs(self, picture: Picture) -> dict[str, torch.Tensor]:
        """What transformers' processor makes of a picture."""
        made = self._processor(text=self.placeholder, images=[picture.image()], return_tensors="pt", add_special_tokens=False)
        return {name: tensor.to(self._model.device, self._model.dtype if tensor.is_floating_point() else None)
                for name, tensor in made.items()}

    @torch.inference_mode()
    def _read(self, picture: Picture) -> PictureTokens:
        inputs = self.inputs(picture)
        found = self._model.get_image_features(**{name: tensor for name, tensor in inputs.items() if name in self._names})
        self.features.are_listed = isinstance(found.pooler_output, (list, tuple))
        rows = _joined(found.pooler_output)
        own = inputs["input_ids"][0] == self.features.token
        if len(rows) != int(own.sum()):
            raise ValueError(f"{len(rows)} rows for {int(own.sum())} tokens")
        layers = getattr(found, "deepstack_features", None)
        deep = torch.stack([_joined(layer) for layer in layers]) if layers else None
        places = None if self._axes_of is None else self._axes_of(inputs)[:, own].cpu()
        return self.features.add(picture.digest, inputs["input_ids"][0].tolist(), rows, deep,
                                 None if places is None else places - places.min())


def _joined(features: torch.Tensor | Sequence[torch.Tensor]) -> torch.Tensor:
    """The features of the parts of a picture: (rows, hidden size)."""
    parts = [features] if isinstance(features, torch.Tensor) else features
    return torch.cat([part.flatten(0, -2) for part in parts])


def open_reader(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> PictureReader | str:
    """The reader of a model whose processor is in `folder`, or why there is none, as a clause.

    Some repositories keep the chat template beside the processor only: the tokenizer gets it.
    """
    if not reads_pictures(model.config.model_type) or not hasattr(model, "get_image_features"):
        return TEXT_ONLY
    try:
        processor = open_processor(folder, model.config.model_type, tokenizer)
        tokenizer.chat_template = tokenizer.chat_template or processor.chat_template
        return PictureReader(model, processor, _placeholder(processor, tokenizer))
    except (ImportError, OSError, ValueError, TypeError, AttributeError, RuntimeError, LookupError) as error:
        return f"its processor cannot be used here ({' '.join(str(error).split())[:200]})"


def _placeholder(processor: Any, tokenizer: PreTrainedTokenizerBase) -> str:
    """What the template writes for a picture: for Gemma 3 the token that begins one, for others the token that is repeated."""
    chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "probe"}]}]
    written = str(tokenizer.apply_chat_template(chat, tokenize=False)) if tokenizer.chat_template else ""
    known = [str(token) for token in (processor.image_token, getattr(processor, "boi_token", None)) if token]
    return next((token for token in known if token in written), known[0])
