"""Both databases, for real: what is migrated, what is kept, what two writers do to each other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import create_async_engine

from transports.accounts.tables import LOCAL_ACCOUNT, Account, ApiKey
from transports.store import Database, StoreError, database_url
from transports.store.database import MIGRATIONS
from transports.store.tables import Base


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    database = Database(database_url(url, Path()))
    await database.start()
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
async def database(db_url: str) -> AsyncIterator[Database]:
    async with opened(db_url) as database:
        yield database


def account(name: str = "a", credit: int = 0) -> Account:
    return Account(id=name, name=name, limited=True, credit_micros=credit)


def revisions() -> tuple[Config, list[str]]:
    """The configuration of Alembic, and all revisions, the first one first."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    return config, [revision.revision for revision in script.walk_revisions()][::-1]


async def test_the_migrations_make_what_the_tables_say(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), Base.metadata))

    async with database.session() as session:
        assert await (await session.connection()).run_sync(differences) == []


async def test_older_databases_are_brought_up_to_date_and_keep_what_is_in_them(db_url: str) -> None:
    config, (first, *_) = revisions()

    def upgrade(connection: Connection) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, first)

    engine = create_async_engine(database_url(db_url, Path()))
    async with engine.begin() as connection:
        await connection.run_sync(upgrade)
        await connection.execute(
            text(
                "INSERT INTO account (id, name, limited, credit_micros, created_at, updated_at)"
                " VALUES ('old', 'old', true, 5, '2026-01-01 00:00:00', '2026-01-01 00:00:00')"
            )
        )
    await engine.dispose()
    async with opened(db_url) as database, database.reading() as session:
        old = await session.get(Account, "old")
        assert old is not None
        assert (old.credit_micros, old.name) == (5, "old")


async def test_a_database_of_a_later_version_is_left_alone(db_url: str) -> None:
    async with opened(db_url) as database, database.session() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="another version of parrotfish"):
        await Database(database_url(db_url, Path())).start()


async def test_several_processes_may_start_at_once(db_url: str) -> None:
    databases = [Database(database_url(db_url, Path())) for _ in range(4)]
    await asyncio.gather(*(database.start() for database in databases))
    for database in databases:
        async with database.reading() as session:
            assert [row.id for row in await session.scalars(select(Account))] == [LOCAL_ACCOUNT]
        await database.close()


async def test_what_fails_leaves_nothing(database: Database) -> None:
    async def fail() -> None:
        async with database.session() as session:
            session.add(account())
            await session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with database.reading() as session:
        assert await session.get(Account, "a") is None


async def test_references_and_bounds_are_kept(database: Database) -> None:
    with pytest.raises(IntegrityError):
        async with database.session() as session:
            session.add(ApiKey(id="k", account_id="nobody", name="k", digest=b""))
    with pytest.raises(IntegrityError):
        async with database.session() as session:
            session.add(account(credit=-1))


async def test_who_reads_cannot_write_by_mistake_on_postgresql(database: Database) -> None:
    if "sqlite" in database.url:
        pytest.skip("SQLite has no read-only transactions")
    with pytest.raises(DBAPIError, match="read-only"):
        async with database.reading() as session:
            session.add(account())


async def test_times_are_utc(database: Database) -> None:
    there = datetime(2026, 8, 1, 12, tzinfo=timezone(timedelta(hours=5)))
    async with database.session() as session:
        session.add(Account(id="a", name="a", limited=False, created_at=there))
    async with database.reading() as session:
        back = (await session.scalars(select(Account.created_at).where(Account.id == "a"))).one()
    assert back == there
    assert back.tzinfo is UTC


async def test_writers_wait_for_each_other(db_url: str) -> None:
    """Read, think, write: from two connections' pools at once, and nothing is lost."""
    async with opened(db_url) as one, opened(db_url) as other:
        async with one.session() as session:
            session.add(account())

        async def add(database: Database) -> None:
            async with database.session() as session:
                row = (
                    await session.scalars(select(Account).where(Account.id == "a").with_for_update())
                ).one()
                credit = row.credit_micros
                await asyncio.sleep(0)
                await session.execute(
                    update(Account).where(Account.id == "a").values(credit_micros=credit + 1)
                )

        await asyncio.gather(*(add(database) for database in (one, other) for _ in range(20)))
        async with one.reading() as session:
            row = await session.get(Account, "a")
            assert row is not None
            assert row.credit_micros == 40


async def test_readers_do_not_wait_for_a_writer(database: Database) -> None:
    async with database.session() as writing:
        writing.add(account())
        await writing.flush()
        async with asyncio.timeout(5), database.reading() as reading:
            assert await reading.get(Account, "a") is None


@pytest.mark.parametrize(
    ("given", "used"),
    [
        (None, "sqlite+aiosqlite:////data/parrotfish.db"),
        ("sqlite:////tmp/a.db", "sqlite+aiosqlite:////tmp/a.db"),
        ("postgres://u:p%40@h/d", "postgresql+asyncpg://u:p%40@h/d"),
        ("postgresql+psycopg://h/d?sslmode=require", "postgresql+asyncpg://h/d?ssl=require"),
    ],
)
def test_urls_are_taken_as_people_write_them(given: str | None, used: str) -> None:
    assert database_url(given, Path("/data")) == used


@pytest.mark.parametrize(
    "url", ["mysql://h/d", "what is this", "postgres:h", "sqlite://", "sqlite:///:memory:"]
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(StoreError, match="expected"):
        database_url(url, Path())


async def test_a_database_that_is_not_there_is_told_without_the_password() -> None:
    with pytest.raises(StoreError, match="cannot be used") as caught:
        await Database("postgresql+asyncpg://me:hunter2@127.0.0.1:1/d").start()
    assert "hunter2" not in str(caught.value)


async def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "parrotfish.db").write_bytes(b"something else entirely" * 100)
    with pytest.raises(StoreError, match="not a database"):
        await Database(database_url(None, tmp_path)).start()


async def test_a_database_that_goes_away_is_told_as_such() -> None:
    database = Database("postgresql+asyncpg://me:hunter2@127.0.0.1:1/d")
    for transaction in (database.session, database.reading):
        with pytest.raises(StoreError, match="cannot be reached") as caught:
            async with transaction():
                pass
        assert "hunter2" not in str(caught.value)
    await database.close()
