"""Conversations that belong to their owner, not to a page: answers are written and saved whether anybody looks or not.

A page asks for a change (send, edit, regenerate ...), gets the chat as it is now, and then follows the answers being
written. It may leave at any time; another page, or the same one after a reload, follows the same answers. What is being
written is saved at least every SAVE_S seconds.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from ..errors import EngineBusy, EngineError, GenerationFailed, InvalidRequest, StorageError
from ..messages import GenerationOptions, Message
from ..runtime.engine import Engine
from ..storage.chats import ChatStore
from ..storage.database import Database
from ..storage.presets import PresetStore
from ..storage.records import Attachment, Chat, ChatMessage
from ..storage.shares import ShareStore
from ..storage.transfer import title_of
from .attachments import compose
from .live_reply import LiveReply, Progress

log = logging.getLogger(__name__)
SAVE_S = 1.0                # of text that a killed process may lose; saving is cheap
RECENT_S = 5.0              # how long, at least, an ended answer can still be looked at
FOLLOW_S = 0.05             # how often a follower hears something
MAX_LIVE_OF_OWNER = 4       # in public mode: answers that one visitor has written at once
MAX_ATTACHMENTS = 20


@dataclass(frozen=True, slots=True)
class Ask:
    """How an answer is to be written."""

    options: GenerationOptions
    system_prompt: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What a person sends."""

    text: str
    attachments: tuple[Attachment, ...] = ()

    def check(self) -> None:
        if not self.text.strip() and not self.attachments:
            raise InvalidRequest("message", "", "some text")
        if len(self.attachments) > MAX_ATTACHMENTS:
            raise InvalidRequest("attachments", len(self.attachments), f"at most {MAX_ATTACHMENTS}")


class Conversations:
    """Safe to use from many threads. Everything raises ChatNotFound and StorageError; changes also StaleChat and EngineBusy."""

    def __init__(self, engine: Engine, database: Database | None = None) -> None:
        self._engine = engine
        database = database or engine.database
        self.store, self.shares, self.presets = ChatStore(database), ShareStore(database), PresetStore(database)
        self._lock = threading.Lock()
        self._live: dict[str, list[LiveReply]] = {}
        self._ended: dict[str, tuple[float, list[LiveReply]]] = {}      # when, and what was written
        self._asked: dict[str, float] = {}      # when each owner last asked for an answer
        self.recovered = 0
        try:
            self.recovered = self.store.recover()
        except StorageError as error:       # every later use says it to the person who asks
            log.error("%s", error)

    # --- asking ---

    def send(self, owner: str, chat_id: str | None, version: int | None, question: Question, asks: Sequence[Ask]) -> Chat:
        """Add a message at the end and begin its answer; with several asks, one version of the answer for each.

        Without a chat id a new chat is made. Raises InvalidRequest (MessageTooLong) before anything is kept.
        """
        question.check()
        chat = self.store.get(owner, chat_id) if chat_id else None
        if chat:
            self._require_idle(chat.id)
        before = chat.path if chat else ()
        message = ChatMessage("user", question.text, parent=before[-1].id if before else None, attachments=question.attachments)
        self._require_room(owner, len(asks))
        self._require_fit((*before, message), asks)
        chat = chat or self.store.create(owner, title_of(question.text) or question.attachments[0].name)
        return self._begin(owner, chat.id, version, message, asks)

    def edit(self, owner: str, chat_id: str, version: int, message_id: int, text: str, asks: Sequence[Ask]) -> Chat:
        """Send another version of a message, and begin its answer."""
        chat, index = self._find(owner, chat_id, message_id, "user")
        Question(text, chat.path[index].attachments).check()
        message = replace(chat.path[index], id=0, text=text, created=0.0)
        self._require_room(owner, len(asks))
        self._require_fit((*chat.path[:index], message), asks)
        return self._begin(owner, chat_id, version, message, asks)

    def regenerate(self, owner: str, chat_id: str, version: int, message_id: int, asks: Sequence[Ask]) -> Chat:
        """Begin another version of an answer."""
        chat, index = self._find(owner, chat_id, message_id, "assistant")
        self._require_room(owner, len(asks))
        self._require_fit(chat.path[:index], asks)
        return self._begin(owner, chat_id, version, chat.path[index - 1], asks)

    def resume(self, owner: str, chat_id: str, version: int, message_id: int, ask: Ask) -> Chat:
        """Go on with an answer that was cut, stopped or interrupted."""
        chat, index = self._find(owner, chat_id, message_id, "assistant")
        self._require_room(owner, 1)
        if index != len(chat.path) - 1:
            raise InvalidRequest("message", message_id, "the last answer of this chat")
        chat = self.store.reopen(owner, chat_id, version, message_id)
        self._start(owner, chat, [(chat.path[-1], replace(ask, system_prompt=chat.path[-1].system_prompt))])
        return chat

    def _begin(self, owner: str, chat_id: str, version: int | None, question: ChatMessage, asks: Sequence[Ask]) -> Chat:
        """`question` is new (id 0) or already there."""
        model = self._engine.spec
        answers = [ChatMessage("assistant", "", state="writing", model=model.name if model else "", options=ask.options,
                               system_prompt=ask.system_prompt) for ask in asks]
        with self._lock:        # two pages that send at once: the second one finds an answer being written
            self._require_idle(chat_id)
            self._live[chat_id] = []
        try:
            if question.id:
                chat = self.store.add(owner, chat_id, version, [replace(answers[0], parent=question.id)])
            else:
                chat = self.store.add(owner, chat_id, version, [question, answers[0]])
            first = chat.path[-1]
            added = [first]
            for answer in answers[1:]:
                added.append(self.store.add(owner, chat_id, None, [replace(answer, parent=first.parent)]).path[-1])
            if len(added) > 1:
                chat = self.store.select(owner, chat_id, None, first.id)
        except BaseException:
            with self._lock:
                self._live.pop(chat_id, None)
            raise
        self._start(owner, chat, list(zip(added, asks, strict=True)))
        return chat

    def _start(self, owner: str, chat: Chat, answers: list[tuple[ChatMessage, Ask]]) -> None:
        replies = [LiveReply(owner, chat.id, answer) for answer, _ in answers]
        with self._lock:
            self._live[chat.id] = replies
            self._asked[owner] = time.monotonic()
        for reply, (answer, ask) in zip(replies, answers, strict=True):
            messages = prompt_messages(chat.path[:-1], ask.system_prompt)
            if answer.text:
                messages.append(Message("assistant", answer.text))
            threading.Thread(target=self._write, args=(reply, messages, ask), name="reply", daemon=True).start()

    def _require_idle(self, chat_id: str) -> None:
        if chat_id in self._live:
            raise EngineBusy("an answer is still being written in this chat", "Stop it, or wait for its end.")

    def _require_room(self, owner: str, count: int) -> None:
        settings = self._engine.settings
        if not settings.is_public:
            return
        with self._lock:
            live = [reply for replies in self._live.values() for reply in replies]
        if len(live) + count > settings.max_waiting or sum(reply.owner == owner for reply in live) + count > MAX_LIVE_OF_OWNER:
            raise EngineBusy(f"{len(live)} answers are being written", "Try again in a minute.")

    def _require_fit(self, path: Sequence[ChatMessage], asks: Sequence[Ask]) -> None:
        """Refuse what the loaded model cannot read while it can still be changed. Raises MessageTooLong, ChatTemplateFailed."""
        for ask in asks:
            self._engine.check_prompt(prompt_messages(path, ask.system_prompt), ask.options)

    def _find(self, owner: str, chat_id: str, message_id: int, role: str) -> tuple[Chat, int]:
        chat = self.store.get(owner, chat_id)
        self._require_idle(chat_id)
        for index, message in enumerate(chat.path):
            if message.id == message_id and message.role == role:
                return chat, index
        raise InvalidRequest("message", message_id, f"one of the {role}'s messages that this chat shows")

    # --- writing, in a thread of its own ---

    def _write(self, reply: LiveReply, messages: list[Message], ask: Ask) -> None:
        saved = time.monotonic()
        try:
            with closing(self._engine.chat(messages, ask.options, stop=reply.stop)) as events:  # type: ignore[type-var]
                for event in events:
                    reply.take(event)
                    if time.monotonic() - saved >= SAVE_S and not reply.look().is_over:
                        self._save(reply)
                        saved = time.monotonic()
        except Exception as error:      # reaches whoever follows, and the database
            if not isinstance(error, EngineError):
                log.exception("An answer broke unexpectedly")
                error = GenerationFailed("something unexpected happened; the log of the server says what.")
            reply.fail(error)
        finally:
            self._save(reply)
            self._end(reply, ask)
            reply.ended.set()

    def _save(self, reply: LiveReply) -> None:
        try:
            self.store.save_reply(reply.look().message)
            reply.not_saved(None)
        except StorageError as error:       # the answer stays readable; the page says that it is not kept
            log.error("%s", error)
            reply.not_saved(error)

    def _end(self, reply: LiveReply, ask: Ask) -> None:
        with self._lock:
            replies = self._live.get(reply.chat_id, [])
            is_last = reply in replies and all(other.look().is_over for other in replies)
            if is_last:
                now = time.monotonic()
                self._ended = {chat_id: ended for chat_id, ended in self._ended.items() if now - ended[0] < RECENT_S}
                self._ended[reply.chat_id] = (now, self._live.pop(reply.chat_id))
        if is_last and reply.look().message.state == "done":
            self._send_queued(reply, ask)

    def _send_queued(self, reply: LiveReply, ask: Ask) -> None:
        try:
            queued = self.store.take_queued(reply.owner, reply.chat_id)
            if queued:
                try:
                    self.send(reply.owner, reply.chat_id, None, Question(queued), [ask])
                except EngineError:
                    self.store.queue(reply.owner, reply.chat_id, queued)
                    raise
        except EngineError as error:        # it stays queued, where the page shows it
            log.warning("A queued message could not be sent: %s", error)

    def queue(self, owner: str, chat_id: str, text: str) -> bool:
        """Keep a message until the answer being written has ended. False if it has ended already: then nothing is kept."""
        Question(text).check()
        chat = self.store.get(owner, chat_id)
        self.store.queue(owner, chat_id, f"{chat.queued}\n\n{text}" if chat.queued else text)
        if self.is_writing(chat_id):
            return True
        return not self.store.take_queued(owner, chat_id)       # sent meanwhile by the answer that ended

    def others_active(self, owner: str, within_s: float) -> int:
        """How many others have an answer written now, or asked for one in the last `within_s` seconds."""
        now = time.monotonic()
        with self._lock:
            live = {reply.owner for replies in self._live.values() for reply in replies}
            recent = {other for other, asked in self._asked.items() if now - asked < within_s}
            self._asked = {other: asked for other, asked in self._asked.items() if other in recent}
        return len((live | recent) - {owner})

    # --- following ---

    def is_writing(self, chat_id: str) -> bool:
        return chat_id in self._live

    def look(self, owner: str, chat_id: str, *, with_ended: bool = False) -> tuple[Progress, ...]:
        """The answers being written in this chat, as they are now.

        `with_ended`: or those that ended a moment ago, for who has just asked for them and may come too late for the first look.
        """
        with self._lock:
            _, ended = self._ended.get(chat_id, (0.0, []))
            replies = list(self._live.get(chat_id, ended if with_ended else []))
        return tuple(reply.look() for reply in replies if reply.owner == owner)

    def follow(self, owner: str, chat_id: str) -> Iterator[tuple[Progress, ...]]:
        """Looks at the answers being written, at least every FOLLOW_S seconds, until all have ended and been saved."""
        with self._lock:
            replies = [reply for reply in self._live.get(chat_id, ()) if reply.owner == owner]
        while replies:
            is_last = all(reply.ended.is_set() for reply in replies)
            yield tuple(reply.look() for reply in replies)
            if is_last:
                return
            # Looking at fixed times, not at every token: a fast model would spend its time on being watched.
            next((reply for reply in replies if not reply.ended.is_set()), replies[0]).ended.wait(FOLLOW_S)

    def stop(self, owner: str, chat_id: str) -> None:
        """End the answers being written here. What was written stays."""
        with self._lock:
            replies = list(self._live.get(chat_id, ()))
        for reply in replies:
            if reply.owner == owner:
                reply.stop.set()

    def close(self, timeout_s: float = 3.0) -> None:
        """Stop and save everything, for the end of the process."""
        with self._lock:
            replies = [reply for replies in self._live.values() for reply in replies]
        for reply in replies:
            reply.stop.set()
        deadline = time.monotonic() + timeout_s
        while self._live and time.monotonic() < deadline:
            time.sleep(0.02)


def prompt_messages(path: Sequence[ChatMessage], system_prompt: str) -> list[Message]:
    """What the model reads: thoughts stay out, and so do questions that were never answered."""
    messages = [Message("system", system_prompt.strip())] if system_prompt.strip() else []
    for index, message in enumerate(path):
        if message.role == "assistant":
            if message.text:
                messages.append(Message("assistant", message.text))
        elif index == len(path) - 1 or path[index + 1].text:
            messages.append(Message("user", compose(message.text, message.attachments)))
    return messages
