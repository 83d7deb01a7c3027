"""Conversations belong to their owner, not to a page: replies are generated and saved with or without an open page.

A page asks for a change (send, edit, regenerate ...), gets the chat as it is now, and follows the replies in progress. It may leave
at any time; another page, or the same one after a reload, follows the same replies. `ReplyWriter` generates and saves them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import replace

from ..background import HEARTBEAT_S, BackgroundTask, StopSignal, TaskRegistry, follow
from ..errors import EngineBusy, EngineError, InvalidRequest, TooManyReplies
from ..messages import Message
from ..runtime.engine import Engine
from ..storage.database import Database
from ..storage.records import Chat, ChatMessage
from ..storage.transfer import title_of
from ..tools import Toolbox
from .question import Ask, Question, answering, prompt_messages
from .reply_in_progress import ReplyInProgress, ReplyProgress
from .reply_writer import ReplyWriter
from .retrieval import FileSearch, Lookup, Retrieval
from .saved_chats import SavedChats
from .tool_history import reply_messages
from .tool_loop import ToolLoop

log = logging.getLogger(__name__)
RECENT_S = 5.0              # minimum time for which an ended reply can still be read with `with_ended`
ASKED_S = 600.0             # for how long it is known who asked for a reply
MAX_ASKING = 200            # replies that wait for a person and take no place on a public page; a visitor has few of them
FOLLOW_S = 0.05             # shortest time between two snapshots: more of them would slow a fast model down


class Conversations(SavedChats):
    """Safe to use from many threads. All methods raise ChatNotFound and StorageError; changes also raise StaleChat and EngineBusy."""

    def __init__(self, engine: Engine, database: Database | None = None, toolbox: Toolbox | None = None) -> None:
        super().__init__(database or engine.database, engine.embedders)
        self._engine, self.tools = engine, ToolLoop(engine, database or engine.database, toolbox or Toolbox(engine.settings))
        self._writer = ReplyWriter(self.tools, self.store)
        self._lock = threading.Lock()
        self._replies: TaskRegistry[str, ReplyProgress] = TaskRegistry()        # by chat
        self._ended: dict[str, tuple[float, list[ReplyInProgress]]] = {}        # by chat: when, and the replies of that time
        self._asked: dict[str, float] = {}      # when each owner last asked for a reply

    def answer_from(self, files: FileSearch) -> None:
        """Let replies be answered from files. Called once, before the first reply."""
        self._writer.retrieval = Retrieval(self._engine, files)
        self.tools.toolbox.search_files(files)

    # --- asking ---

    def send(self, owner: str, chat_id: str | None, version: int | None, question: Question, asks: Sequence[Ask]) -> Chat:
        """Append a message and start its answer; with several asks, one version of the answer for each.

        Without a chat id a new chat is created. Raises InvalidRequest (MessageTooLong) before anything is stored.
        """
        question.check()
        chat = self.store.get(owner, chat_id) if chat_id else None
        if chat:
            self._require_idle(chat.id)
        before = chat.path if chat else ()
        message = ChatMessage("user", question.text, parent=before[-1].id if before else None, attachments=question.attachments)
        self._require_room(owner, len(asks), message)
        self._require_fit((*before, message), asks)
        is_new, files = chat is None, self._writer.retrieval
        title = title_of(files.title_text(owner, question.text) if files else question.text)
        chat = chat or self.store.create(owner, title or question.attachments[0].name)
        if not question.searched:
            return self._begin(owner, chat.id, version, message, asks)
        try:
            return self._begin_searching(owner, chat.id, version, question, message, asks)
        except EngineError:
            if is_new:
                self.store.delete(owner, chat.id)
            raise

    def _begin_searching(self, owner: str, chat_id: str, version: int | None, question: Question, message: ChatMessage,
                         asks: Sequence[Ask]) -> Chat:
        """Start answering `message` from the question's long files, which are in a collection of the chat from now on."""
        if self._writer.retrieval is None:
            raise InvalidRequest("searched", len(question.searched), "no files here: this app has no service that searches them")
        with self._writer.retrieval.held(owner, chat_id, question.searched) as held:
            message = replace(message, attachments=(*message.attachments, *held))
            searching = [replace(ask, collections=(*ask.collections, held[0].collection)) for ask in asks]
            return self._begin(owner, chat_id, version, message, searching)

    def edit(self, owner: str, chat_id: str, version: int, message_id: int, text: str, asks: Sequence[Ask]) -> Chat:
        """Send another version of a message, and start its answer."""
        chat, index = self._find(owner, chat_id, message_id, "user")
        Question(text, chat.path[index].attachments).check()
        message = replace(chat.path[index], id=0, text=text, created=0.0)
        self._require_room(owner, len(asks), message)
        self._require_fit((*chat.path[:index], message), asks)
        return self._begin(owner, chat_id, version, message, asks)

    def regenerate(self, owner: str, chat_id: str, version: int, message_id: int, asks: Sequence[Ask]) -> Chat:
        """Start another version of an answer."""
        chat, index = self._find(owner, chat_id, message_id, "assistant")
        self._require_room(owner, len(asks))
        self._require_fit(chat.path[:index], asks)
        return self._begin(owner, chat_id, version, chat.path[index - 1], asks)

    def resume(self, owner: str, chat_id: str, version: int, message_id: int, ask: Ask) -> Chat:
        """Continue an answer that was cut off, stopped or interrupted."""
        chat, index = self._find(owner, chat_id, message_id, "assistant")
        self._require_room(owner, 1)
        if index != len(chat.path) - 1:
            raise InvalidRequest("message", message_id, "the last answer of this chat")
        if not self._replies.reserve(chat_id):
            raise _busy()
        try:
            chat = self.store.reopen(owner, chat_id, version, message_id)
        except BaseException:
            self._replies.release(chat_id)
            raise
        self._start(owner, chat, [(chat.path[-1], replace(ask, system_prompt=chat.path[-1].system_prompt, tools=chat.path[-1].tools))])
        return chat

    def _begin(self, owner: str, chat_id: str, version: int | None, question: ChatMessage, asks: Sequence[Ask]) -> Chat:
        """Start answering `question`, which is new (id 0) or already stored."""
        spec, default = self._engine.spec, self._engine.status().adapter
        answers = [ChatMessage("assistant", "", state="writing", model=answering(spec, default, ask.options) if spec else "",
                               options=ask.options, system_prompt=ask.system_prompt, collections=ask.collections, tools=ask.tools)
                   for ask in asks]
        if not self._replies.reserve(chat_id):      # two pages sent a message at the same time
            raise _busy()
        try:
            chat, added = self._add(owner, chat_id, version, question, answers)
        except BaseException:
            self._replies.release(chat_id)
            raise
        self._start(owner, chat, list(zip(added, asks, strict=True)))
        return chat

    def _add(self, owner: str, chat_id: str, version: int | None, question: ChatMessage,
             answers: Sequence[ChatMessage]) -> tuple[Chat, list[ChatMessage]]:
        """Store the question, if it is new, and its answers; the first of them is shown."""
        if question.id:
            chat = self.store.add(owner, chat_id, version, [replace(answers[0], parent=question.id)])
        else:
            chat = self.store.add(owner, chat_id, version, [question, answers[0]])
        first = chat.path[-1]
        added = [first]
        for answer in answers[1:]:
            added.append(self.store.add(owner, chat_id, None, [replace(answer, parent=first.parent)], keep_settings=True).path[-1])
        if len(added) > 1:
            chat = self.store.select(owner, chat_id, None, first.id)
        return chat, added

    def _start(self, owner: str, chat: Chat, answers: list[tuple[ChatMessage, Ask]]) -> None:
        """Start the replies of a chat whose key is reserved."""
        now = time.monotonic()
        with self._lock:
            self._asked = {other: asked for other, asked in self._asked.items() if now - asked < ASKED_S} | {owner: now}
        together = [ReplyInProgress(answer) for answer, _ in answers]
        asks: dict[BackgroundTask[ReplyProgress], Ask] = {}
        for reply, (answer, ask) in zip(together, answers, strict=True):
            messages = prompt_messages(chat.path[:-1], ask.system_prompt)
            messages += reply_messages(answer)
            lookup = Lookup(ask.collections, chat.path[:-1], answer.sources)
            asks[self._task(owner, chat.id, reply, messages, ask, together, lookup)] = ask
        self._replies.start(chat.id, *asks, on_end=lambda last: self._send_queued(last.snapshot(), owner, chat.id, asks[last]))

    def _task(self, owner: str, chat_id: str, reply: ReplyInProgress, messages: list[Message], ask: Ask,
              together: list[ReplyInProgress], lookup: Lookup) -> BackgroundTask[ReplyProgress]:
        stop = StopSignal()

        def work() -> None:
            try:
                self._writer.write(owner, reply, messages, ask, stop, task.changed, lookup)
            finally:
                self._keep_ended(chat_id, together)

        task = BackgroundTask(work, reply.snapshot, stop=stop, owner=owner, name="reply")
        return task

    def _require_idle(self, chat_id: str) -> None:
        if chat_id in self._replies:
            raise _busy()

    def _require_room(self, owner: str, count: int, message: ChatMessage | None = None) -> None:
        """Refuse what is over a limit before anything is stored. Raises EngineBusy, and InvalidRequest for the message."""
        visitors, settings, live = self._engine.visitors, self._engine.settings, self._replies.all()
        visitors.check(owner, count, len(prompt_messages((message,), "")[0].content) if message else 0)
        most, own = visitors.limits.replies_at_once, sum(reply.owner == owner for reply in live)
        if most and own + count > most:         # some of them may not have begun
            raise TooManyReplies(most)
        asking = sum(reply.snapshot().asks is not None for reply in live) if settings.is_public else 0
        busy = len(live) - min(asking, MAX_ASKING)
        if settings.is_public and busy + count > settings.max_waiting:
            raise EngineBusy(f"{busy} replies are in progress", "Try again in a minute.")

    def _require_fit(self, path: Sequence[ChatMessage], asks: Sequence[Ask]) -> None:
        """Check that the loaded model can read the prompt, before anything is stored. Raises MessageTooLong, ChatTemplateFailed."""
        for ask in asks:
            self._engine.check_prompt(prompt_messages(path, ask.system_prompt), self.tools.options(ask))

    def _find(self, owner: str, chat_id: str, message_id: int, role: str) -> tuple[Chat, int]:
        chat = self.store.get(owner, chat_id)
        self._require_idle(chat_id)
        for index, message in enumerate(chat.path):
            if message.id == message_id and message.role == role:
                return chat, index
        raise InvalidRequest("message", message_id, f"one of the {role}'s messages that this chat shows")

    def _keep_ended(self, chat_id: str, together: list[ReplyInProgress]) -> None:
        now = time.monotonic()
        with self._lock:
            self._ended = {known: ended for known, ended in self._ended.items() if now - ended[0] < RECENT_S}
            self._ended[chat_id] = (now, together)

    def _send_queued(self, last: ReplyProgress, owner: str, chat_id: str, ask: Ask) -> None:
        """Send the queued message after the last reply of a chat has ended by itself."""
        if last.message.state != "done":
            return
        try:
            queued = self.store.take_queued(owner, chat_id)
            if queued:
                try:
                    self.send(owner, chat_id, None, Question(queued), [ask])
                except EngineError:
                    self.store.queue(owner, chat_id, queued)
                    raise
        except EngineError as error:        # it stays queued, and the page shows it there
            log.warning("A queued message could not be sent: %s", error)

    def queue(self, owner: str, chat_id: str, text: str) -> bool:
        """Queue a message until the reply in progress has ended. False if it has already ended: then nothing is queued."""
        Question(text).check()
        chat = self.store.get(owner, chat_id)
        self.store.queue(owner, chat_id, f"{chat.queued}\n\n{text}" if chat.queued else text)
        if self.is_writing(chat_id):
            return True
        return not self.store.take_queued(owner, chat_id)       # it was sent meanwhile, when the reply ended

    def delete(self, owner: str, chat_id: str) -> None:
        """Stop the chat's replies and delete it; `restore` undoes this."""
        self.stop(owner, chat_id)
        self.store.delete(owner, chat_id)

    def delete_message(self, owner: str, chat_id: str, version: int | None, message_id: int) -> Chat:
        """Delete a message and everything after it. Raises EngineBusy while a reply is in progress, and StaleChat."""
        self._require_idle(chat_id)
        return self.store.delete_message(owner, chat_id, version, message_id)

    def others_active(self, owner: str, within_s: float) -> int:
        """How many other owners have a reply in progress, or asked for one in the last `within_s` seconds (at most ASKED_S)."""
        now = time.monotonic()
        live = {reply.owner for reply in self._replies.all()}
        with self._lock:
            self._asked = {other: asked for other, asked in self._asked.items() if now - asked < within_s}
            recent = set(self._asked)
        return len((live | recent) - {owner})

    # --- following ---

    def is_writing(self, chat_id: str) -> bool:
        """Whether a reply is in progress in this chat."""
        return chat_id in self._replies

    def progress(self, owner: str, chat_id: str, *, with_ended: bool = False) -> tuple[ReplyProgress, ...]:
        """Snapshots of the replies in progress in this chat.

        `with_ended`: or of replies that have just ended, for a page that requested them and may read too late.
        """
        tasks = self._replies.get(chat_id)
        if tasks or not with_ended:
            return tuple(task.snapshot() for task in tasks if task.owner == owner)
        self.store.version(owner, chat_id)     # raises ChatNotFound for a chat of another owner
        with self._lock:
            _, ended = self._ended.get(chat_id, (0.0, []))
        return tuple(reply.snapshot() for reply in ended)

    def follow(self, owner: str, chat_id: str) -> Generator[tuple[ReplyProgress, ...], None, None]:
        """Snapshots of the replies in progress, at least every HEARTBEAT_S, until all have ended and been saved."""
        tasks = [task for task in self._replies.get(chat_id) if task.owner == owner]
        if tasks:
            yield from follow(tasks, HEARTBEAT_S, FOLLOW_S)

    def stop(self, owner: str, chat_id: str) -> None:
        """Stop the replies in progress in this chat. The text so far is kept."""
        for task in self._replies.get(chat_id):
            if task.owner == owner:
                task.stop.set()

    def close(self, timeout_s: float = 3.0) -> None:
        """Stop all replies and wait up to `timeout_s` seconds, so that they are saved. For the end of the process."""
        self._replies.close(timeout_s)
        self.tools.toolbox.close()


def _busy() -> EngineBusy:
    return EngineBusy("a reply is still being written in this chat", "Stop it, or wait for its end.")
