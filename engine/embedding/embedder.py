"""A loaded embedding model or cross-encoder of sentence-transformers, on the CPU. Not safe to use from several threads at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from ..errors import EngineError, GenerationFailed, LoadError, NotANumber, NotEnoughMemory, UnsupportedModel
from ..hardware import Hardware
from .files import EmbedderFiles

if TYPE_CHECKING:
    import numpy as np

Kind = Literal["query", "document"]
# Questions, each with its answer, in English, Turkish and Chinese; an answer to another question is what an unrelated text looks like.
PAIRS = (
    (("How long do I boil an egg?", "An egg is soft after five minutes in boiling water."),
     ("Which planet has rings?", "Saturn is the planet that is known for its rings."),
     ("Who can cancel the contract?", "Both sides may end the agreement with a notice of one month."),
     ("What did the team decide on Monday?", "The meeting agreed to move the release to the end of May.")),
    (("Yumurta kaç dakika haşlanır?", "Yumurta kaynar suda beş dakikada rafadan olur."),
     ("Hangi gezegenin halkaları vardır?", "Halkalarıyla tanınan gezegen Satürn'dür."),
     ("Bisikletin lastiği nasıl değiştirilir?", "Önce tekerleği sökün, sonra lastiği janttan çıkarıp yenisini takın."),
     ("Kira sözleşmesi ne zaman biter?", "Sözleşme bir yıl sonra, taraflar uzatmazsa sona erer.")),
    (("怎样给室内植物浇水？", "土壤干了再浇水，冬天要少浇。"), ("这座桥是哪一年建成的？", "大桥于1937年竣工通车。"),
     ("合同可以提前终止吗？", "任何一方提前一个月通知即可解除协议。"), ("会议决定了什么？", "大家同意把发布推迟到五月底。")))
TURKISH = frozenset("çğışöüÇĞİŞÖÜ")
SPREAD, CLEAR = 2.0, 4.0        # standard deviations above the mean of unrelated pairs: the floor, and where answers must be
T = TypeVar("T")


class Embedder:
    def __init__(self, files: EmbedderFiles, hardware: Hardware) -> None:
        """Load the model. Raises NotEnoughMemory before, LoadError and UnsupportedModel."""
        from sentence_transformers import SentenceTransformer

        self.files = files
        self._model: Any = _loaded(files, hardware, lambda options: SentenceTransformer(
            str(files.folder), prompts=dict(files.prompts), **options))
        self._model.max_seq_length = files.window_tokens
        if (length := self._model.get_embedding_dimension()) != files.dimensions:
            raise UnsupportedModel(files.name, f"its vectors have {length} numbers, but its files say {files.dimensions}.")

    def floor(self, question: str) -> float | None:
        """The cosine similarity below which a text is hardly related to this question, measured on pairs that are not.

        None where the model cannot tell: in a language in which its similarity of answers is not well above that of other texts.

        No fixed number would do: unrelated English texts have about 0.05 with MiniLM, and unrelated Turkish ones 0.6.
        """
        return self._floors[2 if any(char >= "\u2e80" for char in question) else 1 if TURKISH & set(question) else 0]

    @cached_property
    def _floors(self) -> tuple[float | None, ...]:
        return tuple(self._floor_of(pairs) for pairs in PAIRS)

    def _floor_of(self, pairs: Sequence[tuple[str, str]]) -> float | None:
        import numpy as np

        questions, answers = zip(*pairs, strict=True)
        similar = self.embed(questions, "query") @ self.embed(answers, "document").T
        unrelated = similar[~np.eye(len(pairs), dtype=bool)]
        mean, deviation = float(unrelated.mean()), float(unrelated.std())
        return mean + SPREAD * deviation if similar.diagonal().mean() > mean + CLEAR * deviation else None

    def embed(self, texts: Sequence[str], kind: Kind) -> np.ndarray:
        """Vectors of length 1 as 32-bit numbers, of the shape (texts, dimensions). What is beyond the window is not read.

        Raises GenerationFailed and NotANumber.
        """
        import numpy as np

        vectors: np.ndarray = _computed(lambda: self._model.encode(
            list(texts), prompt=self.files.prompts.get(kind, ""), batch_size=len(texts), show_progress_bar=False,
            normalize_embeddings=True))
        if not np.isfinite(vectors).all():
            raise NotANumber()
        return np.ascontiguousarray(vectors, dtype=np.float32)


    def lengths(self, texts: Sequence[str], kind: Kind) -> list[int]:
        """Tokens of each text, with the prompt and special tokens, as if the window had no end."""
        prompt = self.files.prompts.get(kind, "")
        counted = self._model.tokenizer([prompt + text for text in texts], truncation=False, padding=False, verbose=False)
        return [len(ids) for ids in counted["input_ids"]]


class Reranker:
    def __init__(self, files: EmbedderFiles, hardware: Hardware) -> None:
        """Load the model. Raises NotEnoughMemory before, LoadError and UnsupportedModel."""
        from sentence_transformers import CrossEncoder

        self.files = files
        self._model: Any = _loaded(files, hardware, lambda options: CrossEncoder(
            str(files.folder), max_length=files.window_tokens, **options))

    def score(self, query: str, texts: Sequence[str]) -> list[float]:
        """How well each text answers the query; larger is better. Raises GenerationFailed."""
        scores = _computed(lambda: self._model.predict([(query, text) for text in texts], batch_size=len(texts), show_progress_bar=False))
        return [float(score) for score in scores]


def _loaded(files: EmbedderFiles, hardware: Hardware, load: Callable[[dict[str, Any]], T]) -> T:
    import torch

    free = hardware.free_bytes()
    if files.needed_bytes > free:
        raise NotEnoughMemory(files.name, files.needed_bytes, free, "Unload the chat model, or choose a smaller embedding model.")
    try:
        return load({"device": "cpu", "trust_remote_code": False, "local_files_only": True, "model_kwargs": {
            "use_safetensors": True, "dtype": torch.float32}})
    except EngineError:
        raise
    except Exception as error:      # damaged files can raise anything: one typed error for all
        raise LoadError(files.name, f"{type(error).__name__}: {str(error)[:300]}",
                        "Its files may be damaged: download it again.") from error


def _computed(work: Callable[[], T]) -> T:
    try:
        return work()
    except Exception as error:      # whatever PyTorch raises
        raise GenerationFailed(f"the embedding failed: {type(error).__name__}: {str(error)[:300]}", "Try again.") from error
