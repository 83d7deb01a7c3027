"""Two people never see each other's files: raw HTTP, by someone who knows the ids of the other's collection, document and message."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import pytest

from engine.chat import ChatMessage, Source
from engine.storage.chats import ChatStore
from engine.storage.knowledge import KnowledgeStore
from engine.storage.knowledge_records import Place

from ..conftest import address, engine, launched, page_engine, served  # noqa: F401  the same page
from ..scripted_engine import ScriptedEngine
from ..test_public_page import Visitor

SECRET = "The vault opens with violet seventeen."
DO = ("choose", "read", "rename", "delete", "remove", "again", "cancel", "download")


@dataclass(frozen=True)
class Owned:
    """What Ann has."""

    key: str
    owner: str
    collection: str
    document: int
    chat: str
    message: int


@pytest.fixture(scope="module")
def owned(page_engine: ScriptedEngine) -> Owned:        # noqa: F811
    key = "a" * 32
    owner = hashlib.sha256(f"browser {key}".encode()).hexdigest()
    store, chats = KnowledgeStore(page_engine.database), ChatStore(page_engine.database)
    collection = store.create(owner, "Vault notes").id
    document = store.add_document(owner, collection, "vault.txt", "0").id
    store.write_pieces(owner, document, SECRET, [Place(0, len(SECRET))])
    store.set_state(owner, document, "ready")
    chat = chats.create(owner, "Vault").id
    source = Source(1, "vault.txt", SECRET, "Vault notes", document, 0, len(SECRET))
    path = [ChatMessage("user", "How?"), ChatMessage("assistant", "So [1].", collections=(collection,), sources=(source,))]
    return Owned(key, owner, collection, document, chat, chats.add(owner, chat, None, path).path[-1].id)


def test_their_owner_sees_them(address: str, owned: Owned) -> None:      # noqa: F811
    ann = Visitor(address, owned.key)
    assert SECRET in ann.call("mc-know-documents", "act", {"do": "read", "value": str(owned.document)})
    assert "vault.txt" in ann.call("mc-know-collections", "act", {"do": "choose", "value": owned.collection})
    assert SECRET in ann.call("mc-know-search", "click", first="How does the vault open?")
    ann.call("mc-bus", "act", {"act": "open", "id": owned.chat})
    assert SECRET in ann.call("mc-bus", "act", {"act": "source", "id": str(owned.message), "value": "1"})


def test_another_person_gets_nothing_of_them(address: str, engine: ScriptedEngine, owned: Owned) -> None:       # noqa: F811
    bob, got = Visitor(address), ""
    for name in DO:
        for value in (owned.collection, str(owned.document), f"{owned.document} 0 9"):
            got += bob.call("mc-know-head", "act", {"do": name, "value": value})
    got += bob.call("mc-know-search", "click", first="How does the vault open?")
    for act in ("open", "source", "forget-files", "share", "export-md", "branch"):
        for target in (owned.chat, str(owned.message), owned.collection):
            got += bob.call("mc-bus", "act", {"act": act, "id": target, "value": "1"})
    got += bob.open(f"?chat={owned.chat}")
    got += bob.call("mc-send", "click", first="#Vault notes How does the vault open?")
    assert "violet" not in got
    assert "vault.txt" not in got
    assert "violet" not in str(engine.asked)
    store = KnowledgeStore(engine.database)
    assert store.get(owned.owner, owned.collection).name == "Vault notes"
    assert [each.name for each in store.documents(owned.owner, owned.collection)] == ["vault.txt"]
