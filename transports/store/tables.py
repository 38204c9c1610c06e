"""Imports every room's tables, so that ``Base.metadata`` is complete: migrations are checked against it."""

from transports.accounts import tables as accounts
from transports.jobs import tables as jobs
from transports.store.base import Base
from transports.voices import tables as voices

__all__ = ["Base", "accounts", "jobs", "voices"]
