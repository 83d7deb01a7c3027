"""Which tokens may come next in an answer that must have a shape, by llguidance (why it: docs/shapes.md).

A mask takes microseconds, and handing it to another thread takes longer than that. Where the masks of an answer take longer, another
thread computes them during the next step of the model. Compiling and masks are limited, so that no shape can keep other replies waiting.
"""

from __future__ import annotations

import json
import re
import time
from collections import OrderedDict
from collections.abc import Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import GenerationFailed
from ..shapes import InvalidShape, Shape

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

REMEMBERED = 32         # compiled shapes: the choices of one request, and requests after each other, often have the same
WORKERS = 2
SLOW_S = 1e-4           # a mask that takes longer is followed by one that another thread computes; large vocabularies take longer
WHITE_SPACE = " "       # at most one space between the parts of JSON: small models otherwise spend their tokens on indentation
# Of llguidance; "fuel" counts regular expressions that it derives, about 15 to 50 in a microsecond. Its own limits let one pattern, such
# as (a{1000}){1000}, take seconds for a mask.
LIMITS = {"initial_lexer_fuel": 200_000, "step_lexer_fuel": 20_000, "step_max_items": 20_000, "max_lexer_states": 50_000,
          "max_grammar_size": 200_000, "verbose_errors": False}
UNSUPPORTED = re.compile(r"Unimplemented keys: \[(.*)\]")
PATTERN_ERROR = re.compile(r"^error: (.+)$", re.MULTILINE)


class Shapes:
    """Compiles shapes for the tokens of one model. Safe to call from several threads. `end_ids`: what ends a reply."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, end_ids: Collection[int], num_embeddings: int) -> None:
        self._tokenizer, self._end_ids, self._num_embeddings = tokenizer, sorted(end_ids), num_embeddings
        self._tokens: LLTokenizer | None = None
        self._control: dict[str, int] | None = None
        self._compiled: OrderedDict[Shape | str, LLMatcher] = OrderedDict()
        self._lock = Lock()
        self.workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="shapes")

    def begin(self, shape: Shape | str, begun: str = "") -> LLMatcher:
        """A matcher of an answer that begins with `begun`. The first call takes seconds with a large vocabulary. A text is a grammar.

        Raises InvalidShape.
        """
        with self._lock:
            known, tokens = self._compiled.get(shape), self._known_tokens()
        compiled = known or _compiled(tokens, shape)        # not under the lock: others need not wait for it
        with self._lock:
            self._compiled[shape] = compiled
            self._compiled.move_to_end(shape)
            while len(self._compiled) > REMEMBERED:
                self._compiled.popitem(last=False)
            matcher = compiled.deep_copy()
        if begun and not matcher.consume_tokens(self.encode(begun)):
            raise InvalidShape("the beginning of the answer, which is to be continued, does not have it")
        return matcher

    def encode(self, text: str) -> list[int]:
        """After `begin`. Tokens of the text, not always those that the model would write."""
        assert self._tokens is not None
        return self._tokens.tokenize_str(text)

    def split(self, text: str) -> list[tuple[str, int | None]]:
        """The pieces of a text, none of them empty; control tokens are pieces of their own, with their ids. Raises InvalidShape."""
        with self._lock:
            tokens = self._known_tokens()
            if self._control is None:
                self._control = {str(token.content): int(token_id) for token_id, token in self._tokenizer.added_tokens_decoder.items()
                                 if tokens.is_special_token(int(token_id))}
            found = [content for content in self._control if content in text]
        if not found:
            return [(text, None)] if text else []
        longest_first = "|".join(map(re.escape, sorted(found, key=len, reverse=True)))
        return [(piece, self._control.get(piece)) for piece in re.split(f"({longest_first})", text) if piece]

    def forked(self) -> None:
        """In a new process: the threads of the old one do not exist here, and may have held locks."""
        self._lock, self.workers = Lock(), ThreadPoolExecutor(WORKERS, thread_name_prefix="shapes")
        self._compiled.clear()

    def _known_tokens(self) -> LLTokenizer:
        from llguidance import LLTokenizer

        if not self._end_ids:
            raise InvalidShape("this model has no token that ends a reply")
        if self._tokens is None:
            core = copy(self._tokenizer.backend_tokenizer)
            core.no_padding()
            core.no_truncation()
            try:
                self._tokens = LLTokenizer(core.to_str(), n_vocab=max(len(self._tokenizer), self._num_embeddings), eos_token=self._end_ids)
            except ValueError as error:
                raise InvalidShape(f"the tokenizer of this model is of a kind that is not supported ({str(error)[:200]})") from error
        return self._tokens


class ShapedAnswer:
    """The shape of one reply's answer, or its grammar, followed token by token. `begun`: the beginning of the answer, in the prompt."""

    def __init__(self, shape: Shape | str, begun: str = "") -> None:
        self._shape, self._begun = shape, begun
        self._following: _Following | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        """For another process, which compiles it again."""
        return ShapedAnswer, (self._shape, self._begun)

    def compile(self, shapes: Shapes) -> None:
        """Before any other method. Raises InvalidShape."""
        self._following = _Following(shapes, shapes.begin(self._shape, self._begun))

    def allowed(self, width: int) -> NDArray[np.bool_]:
        """(width,): for each token, whether it may come next. Raises GenerationFailed if the answer cannot go on in this shape."""
        assert self._following is not None
        mask = self._following.mask.result()
        return mask[:width] if len(mask) >= width else np.pad(mask, (0, width - len(mask)))

    def add(self, *tokens: int) -> None:
        """The answer has these next tokens. Does not raise: `allowed` does."""
        assert self._following is not None
        self._following.add(tokens)

    def add_text(self, text: str) -> None:
        """The answer begins with this text."""
        assert self._following is not None
        self.add(*self._following.shapes.encode(text))

    @property
    def is_complete(self) -> bool:
        """Whether the answer so far has the shape."""
        assert self._following is not None
        return self._following.mask.exception() is None and self._following.matcher.is_accepting()


def all_but(width: int, tokens: Collection[int]) -> NDArray[np.bool_]:
    """(width,): a mask of every other token."""
    mask = np.ones(width, np.bool_)
    mask[[token for token in tokens if token < width]] = False
    return mask


class _Following:
    """`mask`: of the tokens that may come next; usually there at once."""

    def __init__(self, shapes: Shapes, matcher: LLMatcher) -> None:
        self.shapes, self.matcher = shapes, matcher
        self.mask: Future[NDArray[np.bool_]] = Future()
        self._seconds = 0.0     # that the latest mask took
        self._work((), self.mask)

    def add(self, tokens: Sequence[int]) -> None:
        before, self.mask = self.mask, Future()
        if self._seconds > SLOW_S:
            self.shapes.workers.submit(self._work, tokens, self.mask, before)
        else:
            self._work(tokens, self.mask, before)

    def _work(self, tokens: Sequence[int], mask: Future[NDArray[np.bool_]], before: Future[NDArray[np.bool_]] | None = None) -> None:
        """`before`: the work that must have ended, since a matcher is used by one thread at a time."""
        try:
            if before is not None:
                before.result()
            started = time.perf_counter()
            mask.set_result(_advanced(self.matcher, tokens))
            self._seconds = time.perf_counter() - started
        except Exception as error:      # it belongs to whoever asks for the mask
            mask.set_exception(error)


def _advanced(matcher: LLMatcher, tokens: Sequence[int]) -> NDArray[np.bool_]:
    matcher.consume_tokens(list(tokens))
    bits = np.frombuffer(matcher.compute_bitmask(), np.uint8)
    if matcher.is_error():
        raise GenerationFailed(f"its answer cannot go on in the shape that was asked for ({_why(matcher.get_error())}).",
                               "Make the shape simpler, or leave it out.")
    return np.unpackbits(bits, bitorder="little").view(np.bool_)


def _compiled(tokens: LLTokenizer, shape: Shape | str) -> LLMatcher:
    """Raises InvalidShape."""
    from llguidance import LLMatcher, LLParserLimits

    try:
        matcher = LLMatcher(tokens, _grammar(shape), log_level=0, limits=LLParserLimits(**LIMITS))      # type: ignore[arg-type]
    except ValueError as error:
        raise InvalidShape(str(error)[:300]) from error
    probe = matcher.deep_copy()
    probe.compute_bitmask()         # some shapes are too complex only for that
    if probe.is_error():
        raise InvalidShape(_why(probe.get_error()))
    return matcher


def _grammar(shape: Shape | str) -> str:
    from llguidance import LLMatcher

    if isinstance(shape, str):
        return LLMatcher.grammar_from_lark(shape)
    if shape.is_json:
        options: Any = {"whitespace_pattern": WHITE_SPACE}
        return LLMatcher.grammar_from_json_schema(shape.schema, overrides=options)
    if shape.kind == "regex":
        return LLMatcher.grammar_from_regex(shape.value)
    return LLMatcher.grammar_from_lark(f"start: {terms(shape)}")


def terms(shape: Shape) -> str:
    """A shape as the terms of a rule, in llguidance's form of Lark."""
    if shape.is_json:
        return json_terms(json.loads(shape.schema))
    if shape.kind == "regex":
        pattern = re.sub(r"\\.|/", lambda found: r"\/" if found[0] == "/" else found[0], shape.value, flags=re.DOTALL)
        return "/" + pattern.replace("\n", r"\n") + "/"
    return " | ".join(json.dumps(each) for each in shape.choices)       # a JSON string is one of the Lark syntax


def json_terms(schema: Any) -> str:
    guided = {**schema, "x-guidance": {"whitespace_pattern": WHITE_SPACE}} if isinstance(schema, dict) else schema
    return f"%json {json.dumps(guided)}"


def _why(error: str) -> str:
    """The clause that says what is wrong, in llguidance's words."""
    if found := UNSUPPORTED.search(error):
        return f"keywords that are not supported here: {found[1]}"
    if found := PATTERN_ERROR.search(error):
        return f"the pattern is not a regular expression that can be used here: {found[1]}"
    lines = [line for line in error.splitlines() if line.strip() and not line.startswith("<")]
    return lines[0][:300].rstrip(".") if lines else "it is too complex"
