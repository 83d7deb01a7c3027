"""A loaded model with the head of a task: texts in, labels, spans, fillings or texts out.

Classification of tokens and filling in are computed by the pipelines of transformers. Question answering, summaries and translations
have none there any more: the first is in answers.py, the others are `generate()` with the author's settings.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from ..checkpoint.tasks import Task, prefix_of
from ..errors import EngineError, GenerationFailed, InvalidRequest, NotANumber, OutOfMemory, UnsupportedModel
from .answers import AT_ONCE, best_spans, read_windows
from .loading import LoadedTask
from .results import Filling, Label, Row, TaskInput, TaskResult, Written, span_of

NEW_TOKENS = 256        # of a summary or translation, where the author sets no limit
STRIDE_SHARE = 4        # a quarter of the window is shared by two windows whose tokens are classified
IsStopped = Callable[[], bool]


class Stopped(Exception):
    """The work was stopped. Not an error."""


def _stop_if(is_stopped: IsStopped, module: Any, inputs: Any) -> None:
    """Before a forward pass."""
    if is_stopped():
        raise Stopped


class Pipeline:
    """Not safe to use from several threads at once."""

    def __init__(self, loaded: LoadedTask) -> None:
        self._loaded: LoadedTask | None = loaded
        self._theirs: Any = None        # transformers' pipeline for the task, once it is needed
        self.task: Task = loaded.candidate.task
        self.spec, self.window_tokens, self.weight_bytes = loaded.candidate.spec, loaded.window_tokens, loaded.weight_bytes
        self.tokenizer: Any = loaded.candidate.tokenizer
        self.tokenizer.model_max_length = loaded.window_tokens
        self.labels = tuple(str(label) for label in (loaded.model.config.id2label or {}).values())

    @property
    def mask(self) -> str:
        """The word that stands for a missing one; "" for a model that fills in none."""
        return str(self.tokenizer.mask_token or "") if self.task == "fill-mask" else ""

    @property
    def needs_languages(self) -> bool:
        """Whether it translates between many languages, so that a request names two."""
        return self.task == "translation" and hasattr(self.tokenizer, "src_lang")

    def __call__(self, texts: str | TaskInput, second: str = "", **options: Any) -> TaskResult:
        """For programs: `texts` or a whole input. Raises what `run` raises."""
        given = texts if isinstance(texts, TaskInput) else TaskInput((texts,), second, **options)
        return self.run(given, lambda: False)

    def run(self, given: TaskInput, is_stopped: IsStopped) -> TaskResult:
        """Raises InvalidRequest, GenerationFailed (OutOfMemory, NotANumber), and Stopped soon after `is_stopped` returns true."""
        started = time.monotonic()
        work = {"text-classification": self._classify, "token-classification": self._tag, "fill-mask": self._fill,
                "question-answering": self._answer}.get(self.task, self._write)
        counts, is_cut = [0, 0], False
        rows = []
        watched = self._model.register_forward_pre_hook(partial(_stop_if, is_stopped))      # each window, each token that is written
        try:
            for text in given.texts:
                if is_stopped():
                    raise Stopped
                rows.append(work(text, given, counts))
                if self.task not in ("question-answering", "token-classification") and counts[0]:
                    is_cut = is_cut or self._is_cut(text, given)
        except (EngineError, Stopped):
            raise
        except Exception as error:
            raise self._typed(error) from error
        finally:
            watched.remove()
        return TaskResult(self.task, tuple(rows), time.monotonic() - started, (counts[0], counts[1]),
                          self.window_tokens if is_cut else 0)

    def close(self) -> None:
        """Drop the model. The memory is free once garbage is collected."""
        self._loaded = self._theirs = None

    @property
    def _model(self) -> Any:
        if self._loaded is None:
            raise UnsupportedModel(self.spec.name, "it was unloaded meanwhile.")
        return self._loaded.model

    # --- tasks ---

    def _classify(self, text: str, given: TaskInput, counts: list[int]) -> tuple[Row, ...]:
        """As transformers' pipeline, which refuses the general heads of fine-tuning."""
        import torch

        counts[0] += self._num_tokens(text, given.second)
        first, pair = self._joined(text, given.second)
        inputs = self.tokenizer(first, pair or None, truncation=True, return_tensors="pt").to(self._model.device)
        uncached = {"use_cache": False} if "use_cache" in inspect.signature(self._model.forward).parameters else {}
        with torch.inference_mode():
            logits = self._model(**inputs, **uncached).logits[0].float().cpu()
        kind = self._model.config.problem_type
        if kind != "regression":        # there the output is the value
            logits = logits.sigmoid() if kind == "multi_label_classification" or len(logits) == 1 else logits.softmax(-1)
        found = sorted(zip(self.labels, logits.tolist(), strict=True), key=lambda each: -each[1])
        return tuple(Label(label, self._finite(score)) for label, score in found[:given.top])

    def _joined(self, text: str, second: str) -> tuple[str, str]:
        """Two texts as one, where the tokenizer would write the second directly after the first (as in fine-tuning)."""
        plain = self.tokenizer.num_special_tokens_to_add(pair=True) <= self.tokenizer.num_special_tokens_to_add(pair=False)
        return (f"{text}\n{second}", "") if second and plain else (text, second)

    def _tag(self, text: str, given: TaskInput, counts: list[int]) -> tuple[Row, ...]:
        counts[0] += self._num_tokens(text)
        # The first token of a word is what models are trained to give its class.
        tag = self._of_transformers("TokenClassificationPipeline", aggregation_strategy="first",
                                    stride=max(1, self.window_tokens // STRIDE_SHARE))
        found = [each for each in tag(text) if each["start"] is not None]
        return tuple(span_of(text, each["start"], each["end"], self._finite(each["score"]), each["entity_group"])
                     for each in sorted(found, key=lambda each: each["start"]))

    def _fill(self, text: str, given: TaskInput, counts: list[int]) -> tuple[Row, ...]:
        if not self.mask or self.mask not in text:
            raise InvalidRequest("text", text[:100], f"a text with {self.mask or 'a mask'} in the place of the missing word")
        counts[0] += self._num_tokens(text)
        if self._is_cut(text, given):
            raise InvalidRequest("text", f"{counts[0]:,} tokens", f"at most {self.window_tokens:,} tokens long")
        found = self._of_transformers("FillMaskPipeline")(text, top_k=min(given.top, self._model.config.get_text_config().vocab_size))
        masks = found if isinstance(found[0], list) else [found]
        return tuple(Filling(each["token_str"].strip(), each["sequence"], self._finite(each["score"]), number)
                     for number, mask in enumerate(masks) for each in mask)

    def _answer(self, question: str, given: TaskInput, counts: list[int]) -> tuple[Row, ...]:
        import torch

        if not given.second.strip():
            raise InvalidRequest("second", given.second, "the text in which the answer is")
        windows = read_windows(self.tokenizer, question, given.second, self.window_tokens)
        ids = windows.inputs["input_ids"]
        counts[0] += int(ids.numel())
        starts, ends = [], []
        for first in range(0, len(ids), AT_ONCE):
            part = {name: tensor[first:first + AT_ONCE].to(self._model.device) for name, tensor in windows.inputs.items()}
            with torch.inference_mode():
                output = self._model(**part)
            starts.append(output.start_logits.float().cpu())
            ends.append(output.end_logits.float().cpu())
        logits = torch.cat(starts), torch.cat(ends)
        if not all(bool(each.isfinite().all()) for each in logits):
            raise NotANumber()
        return best_spans(*logits, windows, given.second, given.top, may_be_unanswered=given.may_be_unanswered)

    def _write(self, text: str, given: TaskInput, counts: list[int]) -> tuple[Row, ...]:
        import torch

        encoded = self.tokenizer(self._prefix(given) + text, truncation=True, max_length=self.window_tokens, return_tensors="pt")
        inputs = encoded.to(self._model.device)
        author = self._model.generation_config
        limit = {} if author.max_new_tokens or (author.max_length or 0) > 20 else {"max_new_tokens": NEW_TOKENS}     # 20: the library's own
        with torch.inference_mode():
            output = self._model.generate(**inputs, **self._forced(given), **limit)
        counts[0] += int(inputs["input_ids"].numel())
        counts[1] += int(output.shape[1])
        return (Written(self.tokenizer.decode(output[0], skip_special_tokens=True).strip()),)

    # --- details ---

    def _of_transformers(self, name: str, **options: Any) -> Any:
        import transformers

        if self._theirs is None:
            self._theirs = getattr(transformers, name)(model=self._model, tokenizer=self.tokenizer, device=self._model.device, **options)
        return self._theirs

    def _prefix(self, given: TaskInput) -> str:
        prefix = prefix_of(self._model.config.to_dict(), self.task)
        if prefix and self.task == "translation" and given.source and given.target:
            return f"translate {given.source} to {given.target}: "
        return prefix

    def _forced(self, given: TaskInput) -> dict[str, int]:
        """The token of the language to write, for translators of many. Raises InvalidRequest."""
        if not self.needs_languages or not given.target:
            return {}
        known = self.tokenizer.get_vocab()
        for name, code in (("source", given.source), ("target", given.target)):
            if code and code not in known and f"__{code}__" not in known:
                raise InvalidRequest(name, code, "a language as this model's tokenizer names it, for example deu_Latn or de_DE")
        if given.source:
            self.tokenizer.src_lang = given.source
        token = given.target if given.target in known else f"__{given.target}__"
        return {"forced_bos_token_id": int(known[token])}

    def _num_tokens(self, text: str, second: str = "") -> int:
        return len(self.tokenizer(text, second or None, verbose=False)["input_ids"])

    def _is_cut(self, text: str, given: TaskInput) -> bool:
        text = self._prefix(given) + text if self.task in ("summarization", "translation") else text
        return self._num_tokens(text, given.second if self.task == "text-classification" else "") > self.window_tokens

    def _finite(self, value: Any) -> float:
        number = float(value)
        if number != number or number in (float("inf"), float("-inf")):
            raise NotANumber()
        return number

    def _typed(self, error: Exception) -> GenerationFailed:
        import torch

        if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "allocate memory" in str(error):
            return OutOfMemory(str(self._model.device))
        return GenerationFailed(f"{type(error).__name__}: {str(error)[:300]}.")
