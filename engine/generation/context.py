"""Builds the prompt of a conversation: chat template, context window, and which turns were left out.

Token ids of earlier replies are kept as they were generated: tokenizing their text again can give other ids, and the prefix
would no longer match the cache.
"""

from __future__ import annotations

import re
import threading
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..errors import ChatTemplateFailed, InvalidRequest, MessageTooLong
from ..messages import Effort, GenerationOptions, Message
from ..pictures import Picture
from ..tool_calls import Tool
from .control_tokens import DIGEST, PICTURE, START, ControlTokens, unmarked
from .picture_rows import PictureTokens
from .pictures import TEXT_ONLY, PictureReader
from .text import mark_tokens, opened_thought
from .thinking import WORDS, Wording, read_thinking
from .thought_limit import ThoughtLimit, limit_of
from .tool_prompt import ToolTemplate
from .turns import as_parts, is_rendered, split_turns, user_chat, with_names

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# For models without a chat template: one plain line per message, with the name of its role.
PLAIN_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- message['role'] | capitalize + ': ' + message['content'] | trim + '\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- 'Assistant:' -}}{%- endif -%}"
)
PLAIN_STOPS = ("\nUser:", "\nSystem:")
NO_TEMPLATE_NOTE = "This model has no chat template, so the chat is sent as plain text: “User: …”, “Assistant: …”."
MERGED_NOTE = "This model's chat template has no system role, so the system prompt was prepended to the first message."
PICTURES_NOTE = "This model reads no pictures: those of earlier messages were replaced by their names."
MIN_REPLY_TOKENS = 16
REPLY_SHARE = 4             # a quarter of the window is kept free for the reply before older turns are dropped
REMEMBERED_REPLIES = 64
NO_PICTURES: Mapping[str, PictureTokens] = {}
AS_USUAL = Wording()
NO_VARIABLES: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Prompt:
    """The prompt as the model gets it. `room`: the maximum number of tokens of its reply.

    `marked`: its text with marks around what looks like control tokens in messages (control_tokens.py). `open_thought`: the mark that
    closes the thoughts with which it ends; "" if it does not end within thoughts. `has_thoughts`: whether it contains their beginning.
    """

    ids: list[int]
    marked: str
    room: int
    dropped_messages: int
    dropped_tokens: int
    notes: tuple[str, ...]
    open_thought: str = ""
    has_thoughts: bool = False
    pictures: tuple[PictureTokens, ...] = ()        # held, so that their features stay in memory
    begun: str = ""                  # the beginning of the answer with which it ends

    @property
    def text(self) -> str:
        return unmarked(self.marked)


class ChatContext:
    """Builds prompts for one loaded model. Safe to call from several threads."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, window_tokens: int,
                 reader: PictureReader | str = TEXT_ONLY) -> None:
        self._tokenizer = tokenizer
        self.reader = reader
        self.window_tokens = window_tokens
        self.has_template = bool(tokenizer.chat_template)
        self.stops = () if self.has_template else PLAIN_STOPS
        self.marks = mark_tokens(tokenizer)
        self._remembered: OrderedDict[str, tuple[int, ...]] = OrderedDict()
        self._lock = threading.Lock()
        self._control = ControlTokens(tokenizer)
        self._reads_parts = False
        if not self._shows(user_chat("probe-of-text"), "probe-of-text"):     # templates of models that see pictures read lists
            self._reads_parts = True
            self._reads_parts = self._shows(user_chat("probe-of-text"), "probe-of-text")
        self.has_system_role = self._shows([{"role": "system", "content": "system-role-probe"}, *user_chat("hi")], "system-role-probe")
        self.thinking = read_thinking(self._apply, str(tokenizer.chat_template or ""), self.marks.values())
        self.tools = ToolTemplate(self._apply, tokenizer)

    def fit(self, messages: Sequence[Message], max_new_tokens: int, effort: Effort | None = None, budget: int | None = None,
            tools: Sequence[Tool] = ()) -> Prompt:
        """Return the prompt of the whole conversation, or of as many of its latest turns as fit after the system prompt.

        If the last message is the assistant's, it is the beginning of the reply, which the model continues. effort, budget:
        of its thoughts (GenerationOptions). tools: that it may call. A model that reads no pictures gets the names of those in
        earlier messages.

        Raises InvalidRequest, MessageTooLong (with its token count) and ChatTemplateFailed.
        """
        system, turns, begun = split_turns(messages)
        notes: tuple[str, ...] = () if self.has_template else (NO_TEMPLATE_NOTE,)
        if isinstance(self.reader, str) and any(turn.pictures for turn in turns[:-1]):
            turns = [*map(with_names, turns[:-1]), turns[-1]]
            notes += (PICTURES_NOTE,)
        pictures = self._read_pictures(turns)
        if system and not self.has_system_role:
            notes += (MERGED_NOTE,)
        notes += self.thinking.notes(effort)
        asked = self._with_tools(self.thinking.wording(effort, budget), tools)
        starts = [i for i, message in enumerate(turns) if message.role == "user"]
        text = self._render(system, turns, begun, asked)
        ids = self._tokenize(text, pictures)
        whole, first = len(ids), 0
        target = self.window_tokens - min(max_new_tokens, self.window_tokens // REPLY_SHARE)
        if whole > target:
            # Fewer turns are never longer, so search for the first start from which the rest fits.
            sizes = starts[1:]
            found = bisect_left(sizes, True, key=lambda i: target >= len(
                self._tokenize(self._render(system, turns[i:], begun, asked), pictures)))
            first = sizes[min(found, len(sizes) - 1)] if sizes else 0
            text = self._render(system, turns[first:], begun, asked)
            ids = self._tokenize(text, pictures)
        if not ids:
            raise ChatTemplateFailed("it rendered no text")
        if len(ids) > self.window_tokens - MIN_REPLY_TOKENS:
            raise MessageTooLong(len(ids), self.window_tokens - MIN_REPLY_TOKENS)
        is_in_thoughts = begun is not None and not begun.content and text.endswith(self._control.mark(begun.reasoning))
        return Prompt(ids, text, self.window_tokens - len(ids), first, whole - len(ids) if first else 0, notes,
                      self.thinking.end if is_in_thoughts else opened_thought(unmarked(text)), is_in_thoughts, tuple(pictures.values()),
                      begun.content if begun is not None else "")

    def plain(self, ids: Sequence[int]) -> Prompt:
        """Return a prompt of these ids alone, without a template. Raises InvalidRequest and MessageTooLong."""
        if not ids or min(ids) < 0:
            raise InvalidRequest("prompt", "nothing" if not ids else min(ids), "at least one token, all of them from 0 on")
        if len(ids) > self.window_tokens - MIN_REPLY_TOKENS:
            raise MessageTooLong(len(ids), self.window_tokens - MIN_REPLY_TOKENS)
        return Prompt(list(ids), "", self.window_tokens - len(ids), 0, 0, ())

    def limit(self, prompt: Prompt, options: GenerationOptions) -> ThoughtLimit | None:
        """Return what follows, and ends, the thoughts of the reply to `prompt`; None where nothing need follow them."""
        may_open = not prompt.begun and not prompt.text.rstrip().endswith(self.thinking.end or "\0")
        return limit_of(self.thinking, options, self._control.encode_after, self.decode, is_open=bool(prompt.open_thought),
                        may_open=may_open)

    def decode(self, ids: list[int]) -> str:
        """Ids to text, special tokens included."""
        return str(self._tokenizer.backend_tokenizer.decode(ids, skip_special_tokens=False))

    def remember(self, prompt: Prompt, reply_text: str, reply_ids: Sequence[int]) -> None:
        """Store the ids of a prompt and its reply for the next turn of that chat."""
        with self._lock:
            self._remembered[prompt.marked + self._control.mark(reply_text)] = (*prompt.ids, *reply_ids)
            while len(self._remembered) > REMEMBERED_REPLIES:
                self._remembered.popitem(last=False)

    def _read_pictures(self, turns: Sequence[Message]) -> dict[str, PictureTokens]:
        """The pictures of these messages, by their digests. Raises InvalidRequest if the model reads none, and GenerationFailed."""
        return {picture.digest: self.read_picture(picture) for message in turns for picture in message.pictures}

    def read_picture(self, picture: Picture) -> PictureTokens:
        """Raises InvalidRequest if the model reads no pictures, and GenerationFailed."""
        if isinstance(self.reader, str):
            raise InvalidRequest("picture", picture.name, f"left out: this model cannot read pictures, because {self.reader}")
        return self.reader.read(picture)

    def _tokenize(self, text: str, pictures: Mapping[str, PictureTokens] = NO_PICTURES) -> list[int]:
        with self._lock:
            known = max((key for key in self._remembered if text.startswith(key)), key=len, default=None)
            if known is not None:
                self._remembered.move_to_end(known)
                start = list(self._remembered[known])
        if known is not None:
            return start + self._encode(text[len(known):], pictures)
        return self._encode(text, pictures, adds_special=not self.has_template)

    def _encode(self, text: str, pictures: Mapping[str, PictureTokens], *, adds_special: bool = False) -> list[int]:
        """The ids of a rendered text; each picture's own where the template wrote one. Raises ChatTemplateFailed."""
        digests = DIGEST.findall(text)
        if not digests:
            return self._control.encode(text, adds_special=adds_special)
        assert not isinstance(self.reader, str)
        first, *rest = re.split(f"(?<!{START}){re.escape(self.reader.placeholder)}", DIGEST.sub("", text))     # a marked one is text
        if len(rest) != len(digests):
            raise ChatTemplateFailed(f"it wrote {len(rest)} pictures instead of {len(digests)}")
        ids = self._control.encode(first, adds_special=adds_special)
        for digest, after in zip(digests, rest, strict=True):
            ids += [*pictures[digest].ids, *self._control.encode(after, follows=True)]
        return ids

    def _render(self, system: Message | None, turns: Sequence[Message], begun: Message | None = None, asked: Wording = AS_USUAL) -> str:
        """Return the text of the prompt, with marks around what looks like control tokens in messages. Raises ChatTemplateFailed."""
        mark, chat = self._control.mark, self._chat(system, turns, asked.rules)
        if asked.word:
            last = max(place for place, message in enumerate(chat) if message["role"] == "user")
            chat[last] = {**chat[last], "content": f"{chat[last]['content']} {asked.word}"}
        text = self._apply(chat, asked.variables)
        words = WORDS if self.thinking.reads_words else ()
        asked_for = (message["content"] for message in chat if message["role"] in ("user", "tool"))
        left_out = next((content for content in asked_for if not is_rendered(content, text, words)), None)
        if left_out is not None:
            raise ChatTemplateFailed(f"it left out the message “{unmarked(left_out)[:80]}”")
        return text if begun is None else text + self.thinking.begun(text, mark(begun.reasoning), mark(begun.content))

    def _with_tools(self, asked: Wording, tools: Sequence[Tool]) -> Wording:
        mark = self._control.mark
        return replace(asked, variables={**asked.variables, **self.tools.variables(tools, mark)}, rules=self.tools.rules(tools, mark))

    def _chat(self, system: Message | None, turns: Sequence[Message], more_rules: str = "") -> list[dict[str, Any]]:
        """The messages as the template takes them, marked; without a system role, its rules are in the first message of the user."""
        mark = self._control.mark
        contents = ["".join(f"{PICTURE}{picture.digest}{PICTURE}" for picture in message.pictures) + mark(message.content)
                    for message in turns]
        chat = self.tools.messages(turns, contents, mark)
        rules = "\n\n".join(filter(None, (mark(system.content) if system else "", more_rules)))
        if rules and self.has_system_role:
            chat = [{"role": "system", "content": rules}, *chat]
        elif rules:
            first = next(i for i, message in enumerate(chat) if message["role"] == "user")
            chat[first] = {"role": "user", "content": f"{rules}\n\n{chat[first]['content']}"}
        return chat

    def _apply(self, chat: list[dict[str, Any]], variables: Mapping[str, Any] = NO_VARIABLES, *, opens_reply: bool = True) -> str:
        template = None if self.has_template else PLAIN_TEMPLATE
        messages = [{**message, "content": as_parts(message["content"])} if self._reads_parts or PICTURE in message["content"] else message
                    for message in chat]
        try:
            return str(self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=opens_reply, chat_template=template, **variables))
        except Exception as error:      # a template is its author's program and may raise anything
            raise ChatTemplateFailed(f"{type(error).__name__}: {str(error)[:200]}") from error

    def turn_end_id(self) -> int | None:
        """Return the token that the template writes after an answer, which therefore ends one; None if it writes plain text there.

        None also if an answer has channels: there the same token ends the thoughts before it (gpt-oss).
        """
        if not self.has_template or "<|channel|>" in self._tokenizer.get_vocab():
            return None
        after = self._tokenizer(self._after_answer().strip(), add_special_tokens=False)["input_ids"]
        return after[0] if after and after[0] in self._tokenizer.added_tokens_decoder else None

    def _after_answer(self) -> str:
        """What the template writes after an answer; "" if it fails."""
        mark = "probe-of-answer"
        try:
            return self._apply([*user_chat("hi"), {"role": "assistant", "content": mark}], opens_reply=False).partition(mark)[2]
        except ChatTemplateFailed:
            return ""

    def answered(self, messages: Sequence[Message]) -> tuple[str, str, str]:
        """The prompt before the last message, an answer; that answer as the template writes it after this prompt; what follows it there.

        All with marks. The answer begins with its thoughts, or with the end of those that the prompt opens.
        Raises InvalidRequest and ChatTemplateFailed.
        """
        system, turns, _ = split_turns(messages[:-1])
        answer, prompt = messages[-1], self._render(system, turns)
        reasoning, content = self._control.mark(answer.reasoning), self._control.mark(answer.content)
        whole = self._apply(self._chat(system, [*turns, answer]), opens_reply=False)
        before, found, after = whole.removeprefix(prompt).rpartition(content.strip())
        if whole.startswith(prompt) and found and reasoning.strip() in before:
            return prompt, before + found, after
        return prompt, self.thinking.begun(prompt, reasoning, content), self._after_answer()

    def encode(self, marked: str, *, follows: bool = False) -> list[int]:
        """The ids of a marked text: of a prompt, or of what follows one."""
        return self._control.encode(marked, adds_special=not self.has_template and not follows, follows=follows)

    def _shows(self, chat: list[dict[str, str]], mark: str) -> bool:
        try:
            return mark in self._apply(chat)
        except ChatTemplateFailed:
            return False
