from pathlib import Path

import pytest

from engine.errors import ShareNotFound
from engine.storage.chats import ChatStore
from engine.storage.database import Database
from engine.storage.presets import PresetStore
from engine.storage.records import ChatMessage
from engine.storage.shares import ShareStore

ANN, BOB = "a" * 32, "b" * 32
PATH = [ChatMessage("user", "Hello there"), ChatMessage("assistant", "Hi Ann")]


def test_a_share_is_a_copy_that_can_be_revoked(tmp_path: Path) -> None:
    chats, shares = ChatStore(Database(tmp_path)), ShareStore(Database(tmp_path))
    chat = chats.copy(ANN, "Greetings", PATH)
    share = shares.add(ANN, chat)
    chats.add(ANN, chat.id, chat.version, [ChatMessage("user", "secret afterwards", parent=chat.path[-1].id)])
    assert [message.text for message in shares.get(share.token).path] == ["Hello there", "Hi Ann"]
    assert [each.token for each in shares.of_chat(ANN, chat.id)] == [share.token]
    shares.revoke(BOB, share.token)
    assert shares.get(share.token).title == "Greetings"
    shares.revoke(ANN, share.token)
    with pytest.raises(ShareNotFound):
        shares.get(share.token)


def test_presets_are_kept_per_owner(tmp_path: Path) -> None:
    presets = PresetStore(Database(tmp_path))
    presets.save(ANN, "pirate", "Talk like a pirate")
    presets.save(ANN, "pirate", "Talk like two pirates")
    assert (presets.all(ANN), presets.all(BOB)) == ({"pirate": "Talk like two pirates"}, {})
    presets.delete(ANN, "pirate")
    assert presets.all(ANN) == {}
