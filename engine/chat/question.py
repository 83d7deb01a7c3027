"""A question, how it is to be answered, and the prompt for the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, timezone

from ..errors import InvalidRequest
from ..messages import MAX_PICTURES, GenerationOptions, Message
from ..models.spec import ModelSpec
from ..storage.records import Attachment, ChatMessage
from .attachments import compose, pictures_of
from .tool_history import reply_messages

MAX_ATTACHMENTS = 20


@dataclass(frozen=True, slots=True)
class Ask:
    """How a reply is to be generated. `collections`: ids of those whose files it is answered from; none for an ordinary reply.

    `tools`: entries of the list of tools that the model may call. `zone`: of the visitor.
    """

    options: GenerationOptions
    system_prompt: str = ""
    collections: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    zone: timezone = UTC


@dataclass(frozen=True, slots=True)
class Question:
    """A message with its attachments. `searched`: files longer than the window, which are searched for it and for what follows."""

    text: str
    attachments: tuple[Attachment, ...] = ()
    searched: tuple[Attachment, ...] = ()

    def check(self) -> None:
        if not self.text.strip() and (self.searched or not self.attachments):
            raise InvalidRequest("message", "", "some text")
        if (count := len(self.attachments) + len(self.searched)) > MAX_ATTACHMENTS:
            raise InvalidRequest("attachments", count, f"at most {MAX_ATTACHMENTS}")
        if (pictures := sum(bool(attachment.picture) for attachment in self.attachments)) > MAX_PICTURES:
            raise InvalidRequest("pictures", pictures, f"at most {MAX_PICTURES} in a message")


def answering(spec: ModelSpec, default: str, options: GenerationOptions) -> str:
    """The name of what answers: the model, and its adapter if there is one. `default`: the adapter of options that choose none."""
    adapter = default if options.adapter is None else options.adapter
    return f"{spec.base.name} + {adapter}" if adapter else spec.base.name


def prompt_messages(path: Sequence[ChatMessage], system_prompt: str) -> list[Message]:
    """Return the messages for the model, without questions that were never answered. Its chat template decides about thoughts."""
    messages = [Message("system", system_prompt.strip())] if system_prompt.strip() else []
    for index, message in enumerate(path):
        if message.role == "assistant":
            if is_answer(message):
                messages += reply_messages(message)
        elif index == len(path) - 1 or is_answer(path[index + 1]):
            messages.append(Message("user", compose(message.text, message.attachments), pictures=pictures_of(message.attachments)))
    return messages


def is_answer(message: ChatMessage) -> bool:
    """Whether the model reads this reply again."""
    return bool(message.text or message.steps)
