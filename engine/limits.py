"""The limits of one visitor, in one table."""

from __future__ import annotations

from dataclasses import dataclass, fields

from .errors import InvalidRequest

MOST = 1_000_000_000
MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Limits:
    """0 is no limit. Messages are requests for a reply: a task of the Code agent takes several. Tokens are those of prompts and replies,
    without what the cache had already; a day ends at midnight UTC. Documents, pieces and MB of text are those of all collections."""

    messages_per_minute: int = 0
    tokens_per_day: int = 0
    message_chars: int = 0          # of the newest message, with its attachments
    replies_at_once: int = 0
    knowledge_documents: int = 0
    knowledge_mb: int = 0
    knowledge_pieces: int = 0

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST:
                raise InvalidRequest(each.name, value, f"a whole number from 0 (no limit) to {MOST:,}")


OF_PUBLIC = Limits(messages_per_minute=20, tokens_per_day=300_000, message_chars=200_000, replies_at_once=4,
                   knowledge_documents=100, knowledge_mb=20, knowledge_pieces=20_000)
