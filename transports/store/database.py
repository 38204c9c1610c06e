"""The database: SQLite in a file, or PostgreSQL, behind one asynchronous face."""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiosqlite
from sqlalchemy import URL, Connection, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from engine.urls import without_secrets
from transports.store.errors import StoreError

MIGRATIONS = Path(__file__).parent / "migrations"
DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
# How long a writer waits for another one, also of another process.
BUSY_SECONDS = 10
# Of PostgreSQL's advisory locks, the one under which a process migrates: any number that nobody else takes.
MIGRATION_LOCK = 0x70617272

# Kinds of SQLSTATE, by PostgreSQL's Appendix A: no connection, no authorization, no such database, deadlock, out
# of disk or memory, not ready, shut down by its operator, a fault of the system or of PostgreSQL.
DOWN = frozenset(("08", "28", "3D", "40", "53", "55", "57", "58", "XX"))
_BAD_PORT = (
    "database URL: its port is no number from 1 to 65535; expected postgresql://user:password@host:5432/name, "
    "with %2F for / and %40 for @ in the password, and an IPv6 address in brackets"
)


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
    except ValueError:  # which quotes it; a password with / or @ may be taken for one, too
        raise StoreError(_BAD_PORT) from None
    backend = parsed.drivername.partition("+")[0]
    if backend == "sqlite" and parsed.database in (
        None,
        "",
        ":memory:",
    ):  # each connection would have its own
        raise StoreError("database URL: got SQLite without a file; expected sqlite:///path")
    if backend not in DRIVERS:
        raise StoreError(f"database URL: got {backend}://; expected postgresql:// or sqlite://")
    if parsed.port is not None and not 0 < parsed.port < 65_536:
        raise StoreError(_BAD_PORT)
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
        except (TypeError, ValueError) as error:
            raise self._bad_query(error) from None
        self._reader = self._engine.execution_options(readonly=True, postgresql_readonly=True)
        # SQLite lets writers try again and again, and some of them always too late. Here they queue.
        self._writing = asyncio.Lock() if self._url.get_backend_name() == "sqlite" else None

    @property
    def url(self) -> str:
        """Where the database is, without what is secret in its URL."""
        return without_secrets(self._url.render_as_string())

    async def start(self) -> None:
        """Create or migrate the tables. Raises :class:`StoreError`."""
        file = self._url.database if self._url.get_backend_name() == "sqlite" else None
        # SQLite can alter a table only by copying it, which foreign keys would turn into deletions.
        engine = _make_engine(self._url, foreign_keys=False, poolclass=NullPool)
        try:
            if file:
                Path(file).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                await _use_wal(file)
            await self._connect(engine)
            async with engine.begin() as connection:
                await connection.run_sync(_migrate)
        except (DBAPIError, sqlite3.Error, OSError) as error:
            reason = str(error.orig) if isinstance(error, DBAPIError) else str(error)
            raise StoreError(f"the database {self.url} cannot be used: {reason}") from error
        finally:
            await engine.dispose()

    async def _connect(self, engine: AsyncEngine) -> None:
        """See that a connection is to be had: some drivers read what the URL says of it only now."""
        try:
            async with engine.connect():
                pass
        except (TypeError, ValueError) as error:
            raise self._bad_query(error) from None

    def _bad_query(self, error: Exception) -> StoreError:
        return StoreError(f"database URL: what is behind the ? of {self.url} cannot be used: {error}")

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A session in one transaction, which is committed at the end, and rolled back after an exception.

        On SQLite it is the only writer from its beginning on: what it read still holds when it writes.
        Raises :class:`StoreError` if the database is not to be had.
        """
        async with self._turn(), self._transaction(self._engine) as session:
            yield session

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session that only reads, and waits for no writer. Raises as :meth:`session` does."""
        async with self._transaction(self._reader) as session:
            yield session

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Where only one may write, the time in which no other task of this process does."""
        if self._writing is None:
            yield
            return
        try:
            async with asyncio.timeout(BUSY_SECONDS):
                await self._writing.acquire()
        except TimeoutError:
            raise StoreError(f"the database {self.url} cannot be used: too many wait to write") from None
        try:
            yield
        finally:
            self._writing.release()

    @contextlib.asynccontextmanager
    async def _transaction(self, engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
        try:
            async with AsyncSession(engine, expire_on_commit=False) as session, session.begin():
                try:
                    await session.connection()
                except OSError as error:
                    raise StoreError(f"the database {self.url} cannot be reached: {error}") from error
                yield session
        except (DBAPIError, PoolTimeout) as error:
            if isinstance(error, DBAPIError) and not _is_down(error):
                raise
            reason = str(error.orig) if isinstance(error, DBAPIError) else str(error)
            raise StoreError(f"the database {self.url} cannot be used: {reason}") from error

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


def _is_down(error: DBAPIError) -> bool:
    """Whether it is the database that failed, and not a statement that was wrong."""
    # Most errors of asyncpg have one class; they differ by SQLSTATE, whose first two characters are the kind.
    state = getattr(error.orig, "sqlstate", None)
    return (
        state[:2] in DOWN if state else isinstance(error, OperationalError | InterfaceError | InternalError)
    )


class _SQLiteConnection(sqlite3.Connection):
    """A connection that ends its transaction when it is closed.

    SQLite itself waits with that for the last of its statements to be forgotten. That of a task which was
    cancelled in the middle of one is when the garbage is collected, and until then nobody else could write.
    """

    def close(self) -> None:
        """Roll back what is not committed, and close."""
        with contextlib.suppress(sqlite3.Error):  # closed already
            self.rollback()
        super().close()


def _make_engine(
    url: URL, *, foreign_keys: bool = True, poolclass: type[NullPool] | None = None
) -> AsyncEngine:
    if url.get_backend_name() != "sqlite":
        return create_async_engine(url, poolclass=poolclass, pool_pre_ping=True)
    engine = create_async_engine(url, poolclass=poolclass, connect_args={"factory": _SQLiteConnection})

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
