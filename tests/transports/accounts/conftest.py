"""Accounts in a database of either kind."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from transports.store import Database, database_url


@pytest.fixture
async def database(db_url: str) -> AsyncIterator[Database]:
    database = Database(database_url(db_url, Path()))
    await database.start()
    yield database
    await database.close()
