"""Visitors of one model: what each may use, what each has used, and who may sign in."""

from ..limits import Limits
from .accounts import Accounts
from .book import VisitorBook, VisitorUse

__all__ = ["Accounts", "Limits", "VisitorBook", "VisitorUse"]
