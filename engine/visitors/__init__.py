"""Visitors of one model: what each may use, what each has used, and who may sign in."""

from ..limits import Limits
from .accounts import Accounts
from .api_keys import ApiKeys, hash_of, new_key
from .book import VisitorBook, VisitorUse

__all__ = ["Accounts", "ApiKeys", "Limits", "VisitorBook", "VisitorUse", "hash_of", "new_key"]
