"""The database: SQLite in a file, or PostgreSQL, behind one asynchronous face."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiosqlite
from sqlalchemy import URL, Connection, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from transports.store.errors import StoreError

MIGRATIONS = Path(__file__).parent / "migrations"
DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
# How long a writer waits for another one, also of another process.
BUSY_SECONDS = 10
# Of PostgreSQL's advisory locks, the one under which a process migrates: any number that nobody else takes.
MIGRATION_LOCK = 0x70617272


def database_url(url: str | None, data: Path) -> str:
    """The database's URL as SQLAlchemy takes it; without one, a file in the data folder.

    Raises :class:`StoreError` for a URL of another kind of database.
    """
    if url is None:
        return URL.create(DRIVERS["sqlite"], database=str(data / "parrotfish.db")).render_as_string()
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError(
            "the database's URL cannot be read; expected postgresql://user:password@host/name or sqlite:///path"
        ) from None
    backend = parsed.drivername.partition("+")[0]
    if backend == "sqlite" and parsed.database in (
        None,
        "",
        ":memory:",
    ):  # each connection would have its own
        raise StoreError("database URL: got SQLite without a file; expected sqlite:///path")
    if backend not in DRIVERS:
        raise StoreError(f"database URL: got {backend}://; expected postgresql:// or sqlite://")
    parsed = parsed.set(drivername=DRIVERS[backend])
    if "sslmode" in parsed.query:  # as libpq spells it; asyncpg takes the same values by another name
        parsed = parsed.set(query={**parsed.query, "ssl": parsed.query["sslmode"]})
        parsed = parsed.difference_update_query(["sslmode"])
    return parsed.render_as_string(hide_password=False)


class Database:
    """One database. :meth:`start` brings its tables up to date; sessions are to be had until :meth:`close`."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        try:
            self._engine = _make_engine(self._url)
        except ModuleNotFoundError as error:
            raise StoreError(f"{error.name} is missing; pip install 'parrotfish[postgres]'") from None
        self._reader = self._engine.execution_options(readonly=True, postgresql_readonly=True)

    @property
    def url(self) -> str:
        """Where the database is, without the password."""
        return self._url.render_as_string()

    async def start(self) -> None:
        """Create or migrate the tables. Raises :class:`StoreError`."""
        file = self._url.database if self._url.get_backend_name() == "sqlite" else None
        # SQLite can alter a table only by copying it, which foreign keys would turn into deletions.
        engine = _make_engine(self._url, foreign_keys=False, poolclass=NullPool)
        try:
            if file:
                Path(file).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                await _use_wal(file)
            async with engine.begin() as connection:
                await connection.run_sync(_migrate)
        except (DBAPIError, sqlite3.Error, OSError) as error:
            reason = str(error.orig) if isinstance(error, DBAPIError) else str(error)
            raise StoreError(f"the database {self.url} cannot be used: {reason}") from error
        finally:
            await engine.dispose()

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A session in one transaction, which is committed at the end, and rolled back after an exception.

        On SQLite it is the only writer from its beginning on: what it read still holds when it writes.
        Raises :class:`StoreError` if the database is not to be had.
        """
        async with self._transaction(self._engine) as session:
            yield session

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session that only reads, and waits for no writer. Raises as :meth:`session` does."""
        async with self._transaction(self._reader) as session:
            yield session

    @contextlib.asynccontextmanager
    async def _transaction(self, engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
        try:
            async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
                try:
                    await session.connection()
                except OSError as error:
                    raise StoreError(f"the database {self.url} cannot be reached: {error}") from error
                yield session
        except (OperationalError, InterfaceError, PoolTimeout) as error:
            reason = str(error.orig) if isinstance(error, DBAPIError) else str(error)
            raise StoreError(f"the database {self.url} cannot be used: {reason}") from error

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


def _make_engine(
    url: URL, *, foreign_keys: bool = True, poolclass: type[NullPool] | None = None
) -> AsyncEngine:
    engine = create_async_engine(url, poolclass=poolclass, pool_pre_ping=url.get_backend_name() != "sqlite")
    if url.get_backend_name() != "sqlite":
        return engine

    @event.listens_for(engine.sync_engine, "connect")
    def connect(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # transactions begin where we say, below
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout = {BUSY_SECONDS * 1000}",
            f"foreign_keys = {'ON' if foreign_keys else 'OFF'}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and then wants to write cannot wait for another writer, it fails.
        readonly = connection.get_execution_options().get("readonly")
        connection.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")

    return engine


async def _use_wal(path: str) -> None:
    """Have readers and the writer of this file not wait for each other, from now on."""
    end = time.monotonic() + BUSY_SECONDS
    async with aiosqlite.connect(path) as connection:
        while True:
            try:
                await connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:  # somebody else has it open, and for this SQLite does not wait
                if time.monotonic() > end:
                    raise
                await asyncio.sleep(0.02)


def _migrate(connection: Connection) -> None:
    """Bring the tables up to date, in the connection's transaction: all or nothing."""
    from alembic import command  # needed once; not by every command that opens a database
    from alembic.config import Config
    from alembic.util import CommandError

    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(
            f"the database was written by another version of parrotfish: {error}; update parrotfish"
        ) from error
