"""Pictures in prompts: what the vision part of a model makes of a picture stands in the place of the embeddings of its tokens.

Each row of a picture's features has an id of its own, below zero, so that the cache shares the blocks of a picture like those of
words: by its content, across turns and visitors. The vision part runs once for each picture.
"""

from __future__ import annotations

import inspect
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import torch

from ..compat.transformers import reads_pictures
from ..errors import GenerationFailed
from ..pictures import Picture
from .layers import Function

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

ROWS = 2**20                    # ids of one picture
KEPT_BYTES = 64 * 2**20        # of features of pictures that no reply needs now


@dataclass(frozen=True, eq=False)
class PictureTokens:
    """ids: what the picture is in a prompt, its own ids below zero and the tokens between them. features: (own ids, hidden size)."""

    ids: tuple[int, ...]
    features: torch.Tensor


class PictureFeatures:
    """The features of the pictures in use, by their ids. Read by the generation thread while visitors add to it."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[int, PictureTokens] = WeakValueDictionary()
        self._numbers: dict[str, int] = {}      # of every picture so far, by its digest: it keeps its ids

    def add(self, digest: str, tokens: Sequence[int], token: int, features: torch.Tensor) -> PictureTokens:
        """`token`: the one that is replaced by the rows of `features`, as often as there are rows."""
        number, rows = self._numbers.setdefault(digest, len(self._numbers)), iter(range(len(features)))
        ids = tuple(-1 - number * ROWS - next(rows) if each == token else each for each in tokens)
        added = self._known[number] = PictureTokens(ids, features)
        return added

    def __contains__(self, token: object) -> bool:
        return isinstance(token, int) and token < 0 and (-1 - token) // ROWS in self._known

    def embed(self, table: Function, ids: list[int], device: torch.device) -> torch.Tensor:
        """The embeddings of ids: (ids, hidden size). `table`: the model's own, for ids from zero on."""
        x = table(torch.tensor([max(0, token) for token in ids], device=device))
        if min(ids) < 0:        # looked at here: on a GPU the step would wait for the answer
            places = [place for place, token in enumerate(ids) if token < 0]
            own = [divmod(-1 - ids[place], ROWS) for place in places]
            x = x.clone()
            x[places] = torch.stack([self._known[number].features[row] for number, row in own]).to(x.dtype)
        return x


class PictureReader:
    """The vision part of one model. Safe to call from several threads."""

    def __init__(self, model: PreTrainedModel, processor: Any) -> None:
        self._model: Any = model
        self._processor = processor
        self.features = PictureFeatures()
        self.token = int(model.config.image_token_id)
        self._names = set(inspect.signature(model.get_image_features).parameters)
        self._kept: OrderedDict[str, PictureTokens] = OrderedDict()
        self._lock = threading.Lock()
        # What the template writes for a picture: for Gemma the token that begins one, which its processor replaces.
        self.placeholder = str(getattr(processor, "boi_token", None) or processor.image_token)

    def read(self, picture: Picture) -> PictureTokens:
        """Raises GenerationFailed."""
        with self._lock:        # held while the vision part runs: its products serve one caller at a time
            found = self._kept.get(picture.digest)
            if found is None:
                try:
                    inputs = self.inputs(picture)
                    found = self.features.add(picture.digest, inputs["input_ids"][0].tolist(), self.token, self._features_of(inputs))
                except (RuntimeError, ValueError, TypeError, LookupError) as error:
                    raise GenerationFailed(f"the picture {picture.name} could not be read ({str(error)[:200]}).") from error
                self._kept[picture.digest] = found
            self._kept.move_to_end(picture.digest)
            while len(self._kept) > 1 and sum(each.features.nbytes for each in self._kept.values()) > KEPT_BYTES:
                self._kept.popitem(last=False)
            return found

    def inputs(self, picture: Picture) -> dict[str, torch.Tensor]:
        """What transformers' processor makes of a picture."""
        made = self._processor(text=self.placeholder, images=[picture.image()], return_tensors="pt", add_special_tokens=False)
        return {name: tensor.to(self._model.device, self._model.dtype if tensor.is_floating_point() else None)
                for name, tensor in made.items()}

    @torch.inference_mode()
    def _features_of(self, inputs: dict[str, torch.Tensor]) -> torch.Tensor:
        found = self._model.get_image_features(**{name: tensor for name, tensor in inputs.items() if name in self._names}).pooler_output
        rows: torch.Tensor = torch.cat([part.flatten(0, -2) for part in (found if isinstance(found, (list, tuple)) else [found])])
        if len(rows) != int((inputs["input_ids"] == self.token).sum()):
            raise ValueError(f"{len(rows)} rows for {int((inputs['input_ids'] == self.token).sum())} tokens")
        return rows


def open_reader(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> PictureReader | str:
    """The reader of a model whose processor is in `folder`, or why there is none, as a clause.

    Some repositories keep the chat template beside the processor only: the tokenizer gets it.
    """
    from transformers import AutoProcessor

    if not reads_pictures(model.config.model_type) or not hasattr(model, "get_image_features"):
        return "it reads text only"
    try:
        processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False)
        tokenizer.chat_template = tokenizer.chat_template or processor.chat_template
        return PictureReader(model, processor)
    except (ImportError, OSError, ValueError, TypeError, AttributeError, RuntimeError) as error:
        return f"its processor cannot be used here ({' '.join(str(error).split())[:200]})"
