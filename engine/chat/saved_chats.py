"""What is kept of an owner's chats: to list, search, read, change, share, export and import."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import StorageError
from ..storage.chats import ChatStore
from ..storage.database import Database
from ..storage.presets import PresetStore
from ..storage.records import Chat, ChatMessage, ChatSummary, SearchHit, Share
from ..storage.shares import ShareStore
from ..storage.transfer import read_file, to_json, to_markdown

log = logging.getLogger(__name__)
MAX_EXPORTED = 100_000


@dataclass(frozen=True, slots=True)
class Imported:
    """`skipped`: why a chat of the file could not be read, one sentence each."""

    chats: tuple[Chat, ...]
    skipped: tuple[str, ...]


class SavedChats:
    """Everything raises StorageError; what names a chat raises ChatNotFound, also for somebody else's.

    `store` is for programs that write rows themselves; the page uses the methods here.
    """

    def __init__(self, database: Database) -> None:
        self.store, self._shares, self._presets = ChatStore(database), ShareStore(database), PresetStore(database)
        try:
            self.store.recover()
        except StorageError as error:       # every later use reports it to the person who asks
            log.error("%s", error)

    # --- reading ---

    def get(self, owner: str, chat_id: str) -> Chat:
        return self.store.get(owner, chat_id)

    def version(self, owner: str, chat_id: str) -> int:
        """Counts the changes of a chat: a page that shows an older one is stale."""
        return self.store.version(owner, chat_id)

    def list(self, owner: str, limit: int = 100) -> tuple[ChatSummary, ...]:
        """Pinned ones first, then the latest change first."""
        return self.store.list(owner, limit)

    def search(self, owner: str, query: str) -> tuple[SearchHit, ...]:
        """Chats whose title or messages contain the words of `query`."""
        return self.store.search(owner, query)

    # --- changing ---

    def copy(self, owner: str, title: str, path: Sequence[ChatMessage]) -> Chat:
        """A new chat with the messages of `path`: a branch, a copy of a shared chat."""
        return self.store.copy(owner, title, path)

    def rename(self, owner: str, chat_id: str, title: str) -> None:
        self.store.rename(owner, chat_id, title)

    def pin(self, owner: str, chat_id: str, is_pinned: bool) -> None:
        self.store.pin(owner, chat_id, is_pinned)

    def restore(self, owner: str, chat_id: str) -> Chat:
        """Undo a deletion of this process or of the last days."""
        self.store.restore(owner, chat_id)
        return self.store.get(owner, chat_id)

    def select(self, owner: str, chat_id: str, version: int | None, message_id: int) -> Chat:
        """Show another version of a message. Raises StaleChat."""
        return self.store.select(owner, chat_id, version, message_id)

    def restore_message(self, owner: str, chat_id: str, version: int | None, message_id: int) -> Chat:
        """Undo the deletion of a message. Raises StaleChat."""
        return self.store.restore_message(owner, chat_id, version, message_id)

    def take_queued(self, owner: str, chat_id: str) -> str:
        """Remove the queued message and return its text."""
        return self.store.take_queued(owner, chat_id)

    # --- export and import ---

    def export_markdown(self, owner: str, chat_id: str) -> str:
        return to_markdown(self.store.get(owner, chat_id))

    def export_json(self, owner: str, chat_id: str) -> str:
        return to_json([self.store.get(owner, chat_id)])

    def export_all(self, owner: str) -> str:
        """Every chat as JSON, as `import_chats` reads it."""
        return to_json([self.store.get(owner, each.id) for each in self.store.list(owner, MAX_EXPORTED)])

    def import_chats(self, owner: str, text: str) -> Imported:
        """Chats of an export of this app or of another one. Raises InvalidRequest; then nothing is imported."""
        found = read_file(text)
        return Imported(tuple(self.store.copy(owner, each.title, each.path) for each in found.chats), found.skipped)

    # --- shares ---

    def share(self, owner: str, chat_id: str) -> Share:
        """The read-only link of a chat, made at the first call: a copy of its messages as they were then."""
        chat = self.store.get(owner, chat_id)
        known = self._shares.of_chat(owner, chat.id)
        return known[0] if known else self._shares.add(owner, chat)

    def share_again(self, owner: str, chat_id: str) -> Share:
        """A new link with the messages as they are now; earlier links of this chat end."""
        chat = self.store.get(owner, chat_id)
        for old in self._shares.of_chat(owner, chat.id):
            self._shares.revoke(owner, old.token)
        return self._shares.add(owner, chat)

    def shared(self, token: str) -> Share:
        """Raises ShareNotFound."""
        return self._shares.get(token)

    def revoke(self, owner: str, token: str) -> None:
        """End a link of this owner."""
        self._shares.revoke(owner, token)

    # --- system prompts to choose from ---

    def presets(self, owner: str) -> dict[str, str]:
        """Text by name."""
        return self._presets.all(owner)

    def save_preset(self, owner: str, name: str, text: str) -> None:
        self._presets.save(owner, name, text)

    def delete_preset(self, owner: str, name: str) -> None:
        self._presets.delete(owner, name)
