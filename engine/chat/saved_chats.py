"""The saved chats of an owner: list, search, read, change, share, export and import them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from ..embedding import Embedders
from ..errors import StorageError
from ..storage.chats import ChatStore
from ..storage.database import Database
from ..storage.presets import PresetStore
from ..storage.records import Chat, ChatMessage, ChatSummary, SearchHit, Share
from ..storage.shares import ShareStore
from ..storage.transfer import read_file, to_json, to_markdown
from .meaning import ChatMeaning, MeaningFound

log = logging.getLogger(__name__)
MAX_EXPORTED = 100_000


@dataclass(frozen=True, slots=True)
class Imported:
    """`skipped`: why a chat of the file could not be read, one sentence each. `left_out`: pictures beyond the limit of a file."""

    chats: tuple[Chat, ...]
    skipped: tuple[str, ...]
    left_out: int = 0


class SavedChats:
    """All methods raise StorageError; those with a chat id raise ChatNotFound, also for a chat of another owner.

    `store` is for programs that write rows themselves; the page uses only these methods.
    """

    def __init__(self, database: Database, embedders: Embedders) -> None:
        self._meaning = ChatMeaning(database, embedders)
        self.store, self._shares, self._presets = ChatStore(database), ShareStore(database), PresetStore(database)
        try:
            self.store.recover()
        except StorageError as error:       # every later use reports it to the user
            log.error("%s", error)

    # --- reading ---

    def get(self, owner: str, chat_id: str) -> Chat:
        return self.store.get(owner, chat_id)

    def version(self, owner: str, chat_id: str) -> int:
        """Return the number of changes of a chat: a page that shows an older version is stale."""
        return self.store.version(owner, chat_id)

    def list(self, owner: str, limit: int = 100) -> tuple[ChatSummary, ...]:
        """Return the chats, pinned ones first, then the most recently changed."""
        return self.store.list(owner, limit)

    def search(self, owner: str, query: str) -> tuple[SearchHit, ...]:
        """Return the chats whose title or messages contain the words of `query`."""
        return self.store.search(owner, query)

    def search_by_meaning(self, owner: str, query: str) -> MeaningFound:
        """Return the chats with messages of a related meaning. Raises what ChatMeaning.search raises."""
        return self._meaning.search(owner, query)

    # --- changing ---

    def copy(self, owner: str, title: str, path: Sequence[ChatMessage]) -> Chat:
        """Create a chat with the messages of `path`: a branch, or a copy of a shared chat."""
        return self.store.copy(owner, title, path)

    def rename(self, owner: str, chat_id: str, title: str) -> None:
        self.store.rename(owner, chat_id, title)

    def pin(self, owner: str, chat_id: str, is_pinned: bool) -> None:
        self.store.pin(owner, chat_id, is_pinned)

    def restore(self, owner: str, chat_id: str) -> Chat:
        """Undo a deletion. Each start of the process purges those that are older than KEEP_DELETED_S."""
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
        """Return every chat as JSON, in the format that `import_chats` reads."""
        return to_json([self.store.get(owner, each.id) for each in self.store.list(owner, MAX_EXPORTED)])

    def import_chats(self, owner: str, text: str) -> Imported:
        """Import the chats of an export of this app or another one. Raises InvalidRequest; then nothing is imported."""
        found = read_file(text)
        return Imported(tuple(self.store.copy(owner, each.title, each.path) for each in found.chats), found.skipped, found.left_out)

    # --- shares ---

    def share(self, owner: str, chat_id: str) -> Share:
        """Return the read-only link of a chat, created by the first call: a copy of its messages at that time."""
        chat = self.store.get(owner, chat_id)
        known = self._shares.of_chat(owner, chat.id)
        return known[0] if known else self._shares.add(owner, chat)

    def share_again(self, owner: str, chat_id: str) -> Share:
        """Create a new link with the present messages; earlier links of this chat stop working."""
        chat = self.store.get(owner, chat_id)
        for old in self._shares.of_chat(owner, chat.id):
            self._shares.revoke(owner, old.token)
        return self._shares.add(owner, chat)

    def shared(self, token: str) -> Share:
        """Return the shared copy. Raises ShareNotFound."""
        return self._shares.get(token)

    def revoke(self, owner: str, token: str) -> None:
        """Revoke a link of this owner."""
        self._shares.revoke(owner, token)

    # --- system prompts to choose from ---

    def presets(self, owner: str) -> dict[str, str]:
        """Return the text of each prompt by its name."""
        return self._presets.all(owner)

    def save_preset(self, owner: str, name: str, text: str) -> None:
        self._presets.save(owner, name, text)

    def delete_preset(self, owner: str, name: str) -> None:
        self._presets.delete(owner, name)
