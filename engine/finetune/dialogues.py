"""Encodes chats so that exactly what the model writes itself is trained: each answer, and the token that ends it.

Prompts are built by the code that builds them in a chat (generation/context.py), so the model is trained on what it will read. An answer
follows the prompt before it, and the next prompt follows that answer; where a template renders earlier turns in another way later
(it drops their thoughts, or ends the last answer with another token), the next answer begins a row of its own.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..errors import InvalidRequest
from ..models.author_defaults import first_ids
from .encoded import IGNORED, Encoded
from .examples import Dialogue

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# For models without a chat template. It is saved with the result, so that chats with it have the same form. As generation's own plain
# form, but each answer ends with the token that ends texts: a model that was never trained on chats learns to stop.
PLAIN_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- message['role'] | capitalize + ': ' + message['content'] | trim -}}"
    "{%- if message['role'] == 'assistant' -%}{{- eos_token -}}{%- endif -%}{{- '\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- 'Assistant:' -}}{%- endif -%}"
)
NO_LIMIT = 10**9        # of the window: nothing is dropped


def with_template(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """The tokenizer, or a copy of it with a plain chat template if it has none."""
    if tokenizer.chat_template:
        return tokenizer
    if tokenizer.eos_token_id is None:
        raise InvalidRequest("base", "a model without a chat template and without a token that ends texts", "a model with one of them")
    tokenizer = copy.copy(tokenizer)
    tokenizer.chat_template = ("{{- bos_token -}}" if first_ids(tokenizer) else "") + PLAIN_TEMPLATE      # as before every text
    return tokenizer


class DialogueEncoder:
    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        """Raises InvalidRequest for a model that can neither have a template nor end a text."""
        from ..generation.context import ChatContext  # its pictures import torch

        self.tokenizer = with_template(tokenizer)
        self._context = ChatContext(self.tokenizer, NO_LIMIT)
        names = sorted((token.content for token in self.tokenizer.added_tokens_decoder.values() if token.content.strip()), key=len)
        self._ends = re.compile("|".join(map(re.escape, reversed(names))) or "(?!)")

    def rows(self, example: Dialogue, at: int = 0) -> Iterator[Encoded]:
        """Where a template writes no control token after an answer, the token that ends texts is put there.

        Raises ChatTemplateFailed and InvalidRequest.
        """
        text, ids, labels = "", list[int](), list[int]()
        for number, message in enumerate(example.messages):
            if message.role != "assistant":
                continue
            prompt, answer, after = self._context.answered(example.messages[:number + 1])
            if text and prompt.startswith(text):
                added = self._context.encode(prompt[len(text):], follows=True)
            else:
                if ids:
                    yield Encoded(at, ids, labels=labels)
                ids, labels, added = [], [], self._context.encode(prompt)
            end = self._end(after)
            written = self._context.encode(answer + end, follows=True) + ([] if end else [int(self.tokenizer.eos_token_id)])
            ids = [*ids, *added, *written]
            labels = [*labels, *[IGNORED] * len(added), *written]
            text = prompt + answer + end if end else ""
        if ids:
            yield Encoded(at, ids, labels=labels)

    def _end(self, after: str) -> str:
        """What a template writes after an answer, up to the first control token; "" if there is none."""
        found = self._ends.search(after)
        return after[:found.end()] if found else ""
