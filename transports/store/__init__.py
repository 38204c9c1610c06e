"""What survives a restart: a database for what is looked up, a folder or bucket for what is large."""

from transports.store.base import Base, now
from transports.store.blobs import Blobs
from transports.store.database import Database, database_url
from transports.store.errors import BlobMissing, StoreError

__all__ = ["Base", "BlobMissing", "Blobs", "Database", "StoreError", "database_url", "now"]
