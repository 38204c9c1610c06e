"""The databases that a measurement is made on: a SQLite file, a PostgreSQL of its own, or any other."""

import contextlib
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from benchmarks.postgres import running
from transports.store import Database, database_url

KINDS = ("sqlite", "postgresql")


@contextlib.asynccontextmanager
async def opened(kind: str, url: str | None = None) -> AsyncIterator[Database]:
    """An empty database of a kind, gone at the end; or the one at ``url``, which is not.

    Raises :class:`~benchmarks.postgres.NoPostgres`, and StoreError if there is no such database.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if url is None and kind == "postgresql":
            url = stack.enter_context(running()).database()
        database = Database(database_url(url, folder))
        try:
            await database.start()
            yield database
        finally:
            await database.close()


def chosen(wanted: Sequence[str], url: str | None) -> list[tuple[str, str | None]]:
    """The kinds and URLs to measure: those that are wanted, or else the one at ``url``."""
    if url is None:
        return [(kind, None) for kind in wanted]
    return [(Database(database_url(url, Path())).url.partition(":")[0].partition("+")[0], url)]
