"""Databases for jobs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from transports.store import Database, database_url


@asynccontextmanager
async def _started(url: str | None, folder: Path) -> AsyncIterator[Database]:
    database = Database(database_url(url, folder))
    await database.start()
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """SQLite."""
    async with _started(None, tmp_path) as database:
        yield database


@pytest.fixture
async def either(db_url: str, tmp_path: Path) -> AsyncIterator[Database]:
    """SQLite and PostgreSQL: for what one may do otherwise than the other."""
    async with _started(db_url, tmp_path) as database:
        yield database
