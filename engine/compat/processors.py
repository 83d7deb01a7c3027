"""transformers' processors of pictures on a machine without torchvision.

`AutoProcessor` also builds the part that reads videos, which needs torchvision; pictures do not. So the processor is built from its
other parts, whose code is transformers' own: the image processor that uses Pillow, and the class that writes a picture's tokens.
tests/engine/compat/test_processors.py compares the two classes of this file with those that they stand for.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .lfm2_vl import read_images

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# SmolVLM's class asks for a package that it uses for videos only; what it writes for a picture is what Idefics 3 writes.
SAME_TOKENS = {"SmolVLMProcessor": "Idefics3Processor"}
PICTURES, WORDS = "image_processor", "tokenizer"


def open_processor(folder: Path, model_type: str, tokenizer: PreTrainedTokenizerBase) -> Any:
    """What turns texts and pictures into a model's inputs. `tokenizer`: the model's; some processors add tokens to it.

    Raises what damaged files make transformers raise, and ImportError for a processor that cannot do without torchvision.
    """
    from transformers import AutoImageProcessor, AutoProcessor

    try:
        return AutoProcessor.from_pretrained(folder, trust_remote_code=False)
    except (ImportError, OSError, ValueError):      # of the part that reads videos, or of the whole
        kind = _class_for_pictures(model_type)
        images = (read_images(folder) if model_type == "lfm2_vl"
                  else AutoImageProcessor.from_pretrained(folder, backend="pil", trust_remote_code=False))
        parts = {PICTURES: images, WORDS: tokenizer}
        options, _ = kind.get_processor_dict(folder)
        return kind.from_args_and_dict([parts.get(name) for name in kind.get_attributes()], options)


@cache
def _class_for_pictures(model_type: str) -> Any:
    """The processor's class, which takes None for a part that is not there."""
    import transformers
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

    name = PROCESSOR_MAPPING_NAMES.get(model_type, "")
    known = _pixtral() if name == "PixtralProcessor" else getattr(transformers, SAME_TOKENS.get(name, name))

    class ForPictures(known):       # type: ignore[misc, valid-type]
        def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
            return type(None) if argument is None else super().check_argument_for_proper_class(argument_name, argument)

    return ForPictures


def _pixtral() -> Any:
    """Pixtral's processor, whose file cannot be imported without torchvision.

    A picture is written row by row: a token for each patch, a token at the end of a row, and another at the end of the last row.
    """
    from transformers import ProcessorMixin

    class Pixtral(ProcessorMixin):      # type: ignore[misc]
        def __init__(self, image_processor: Any = None, tokenizer: Any = None, patch_size: int = 16, spatial_merge_size: int = 1,
                     chat_template: str | None = None, image_token: str = "[IMG]", image_break_token: str = "[IMG_BREAK]",
                     image_end_token: str = "[IMG_END]", **_: Any) -> None:
            super().__init__(image_processor, tokenizer, chat_template=chat_template)
            self.side = patch_size * spatial_merge_size     # pixels of what becomes one token
            self.image_token, self.image_break_token, self.image_end_token = image_token, image_break_token, image_end_token
            self.image_token_id = tokenizer.convert_tokens_to_ids(image_token)

        def _process_images(self, images: Any, **options: Any) -> Any:
            return super()._process_images(images, **{**options, "patch_size": self.side})

        def replace_image_token(self, image_inputs: dict[str, Any], image_idx: int, **_: Any) -> str:
            rows, columns = (int(pixels) // self.side for pixels in image_inputs["image_sizes"][image_idx])
            return self.image_break_token.join([self.image_token * columns] * rows) + self.image_end_token

        @property
        def model_input_names(self) -> list[str]:
            return [*super().model_input_names, "image_sizes"]

    return Pixtral
