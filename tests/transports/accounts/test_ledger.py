"""The books, on both databases: exact, never below zero, the same from however many processes."""

import asyncio
import random
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import func, select

from tests.transports.accounts import charging
from transports.accounts import Keyring, Kind, Prices
from transports.accounts.ledger import Bill, Ledger
from transports.accounts.tables import MICROS, Account, ApiKey, Package, Usage
from transports.store import Database

PRICES = Prices(tts=Decimal(15), asr=Decimal("0.36"))
ROOT = Path(__file__).parents[3]


class Books:
    """One account, and what it was given."""

    def __init__(
        self, database: Database, account: str, key: str, credit: Decimal | None, package: int
    ) -> None:
        self.database = database
        self.ledger = Ledger(database, PRICES)
        self.account, self.key = account, key
        self._credit, self._package = credit, package

    @classmethod
    async def open(cls, database: Database, credit: str | None = None, package: int = 0) -> "Books":
        keyring = Keyring(database)
        given = None if credit is None else Decimal(credit)
        key = (await keyring.create("key", credit=given)).split("_")[1]
        if package:
            await keyring.add_package(key, package)
        async with database.reading() as session:
            account = (await session.get_one(ApiKey, key)).account_id
        return cls(database, account, key, given, package)

    def bill(self, units: int, request: str = "r", kind: Kind = Kind.TTS) -> Bill:
        return Bill(self.account, self.key, kind, request, units)

    async def left(self) -> tuple[Decimal, int]:
        """Credit and package; and what was used must be what is missing."""
        async with self.database.reading() as session:
            account = await session.get_one(Account, self.account)
            package = (
                await session.scalars(select(Package).where(Package.account_id == self.account))
            ).one_or_none()
            used = select(func.sum(Usage.cost_micros), func.sum(Usage.package_units))
            cost, units = (await session.execute(used.where(Usage.account_id == self.account))).one()
        credit = Decimal(account.credit_micros) / MICROS
        balance = package.balance if package else 0
        if account.limited:
            assert credit + Decimal(int(cost or 0)) / MICROS == (self._credit or 0)
            assert balance + int(units or 0) == self._package
        assert credit >= 0
        assert balance >= 0
        return credit, balance

    async def units(self, request: str = "r") -> int:
        async with self.database.reading() as session:
            return (await session.get_one(Usage, (self.account, request))).units


async def test_a_text_costs_its_bytes_and_audio_its_time(database: Database) -> None:
    books = await Books.open(database, "1")
    assert await books.ledger.pay(books.bill(1000, "text")) == 1000
    assert await books.left() == (Decimal("0.985"), 0)
    assert await books.ledger.pay(books.bill(90_000, "audio", Kind.ASR)) == 90_000
    assert await books.left() == (Decimal("0.976"), 0)


async def test_a_request_is_paid_once_however_often_it_is_repeated(database: Database) -> None:
    books = await Books.open(database, "1")
    for _ in range(3):
        assert await books.ledger.pay(books.bill(1000)) == 1000
        await books.ledger.settle([books.bill(1000)])
    assert await books.left() == (Decimal("0.985"), 0)


async def test_what_was_paid_ahead_and_not_used_comes_back(database: Database) -> None:
    books = await Books.open(database, "1")
    assert await books.ledger.pay(books.bill(10), 1000) == 1010
    assert await books.left() == (Decimal("0.98485"), 0)
    assert await books.ledger.pay(books.bill(20), 1000) == 1020
    await books.ledger.settle([books.bill(20)])
    assert await books.left() == (Decimal("0.9997"), 0)
    assert await books.units() == 20


async def test_whoever_is_out_of_credit_pays_nothing(database: Database) -> None:
    books = await Books.open(database, "0.0001")  # 6 bytes and two thirds
    assert await books.ledger.solvent(books.account)
    assert await books.ledger.pay(books.bill(7)) is None
    assert await books.left() == (Decimal("0.0001"), 0)
    assert await books.ledger.pay(books.bill(5), 1000) == 6
    assert await books.ledger.pay(books.bill(7), 1000) is None
    assert await books.left() == (Decimal("0.00001"), 0)


async def test_the_package_pays_first_and_for_text_only(database: Database) -> None:
    books = await Books.open(database, "1", package=100)
    assert await books.ledger.pay(books.bill(60_000, "audio", Kind.ASR)) == 60_000
    assert await books.left() == (Decimal("0.994"), 100)
    assert await books.ledger.pay(books.bill(80), 100) == 180
    assert await books.left() == (Decimal("0.9928"), 0)
    async with database.reading() as session:
        assert (await session.scalars(select(Package.finished_at))).one() is not None
    await books.ledger.settle([books.bill(80)])
    assert await books.left() == (Decimal("0.994"), 20)
    async with database.reading() as session:
        assert (await session.scalars(select(Package.finished_at))).one() is None


async def test_who_has_only_a_package_can_spend_that(database: Database) -> None:
    books = await Books.open(database, package=100)
    assert await books.ledger.solvent(books.account)
    assert await books.ledger.pay(books.bill(101)) is None
    assert await books.ledger.pay(books.bill(100)) == 100
    assert not await books.ledger.solvent(books.account)


async def test_an_account_without_limits_is_counted_and_pays_nothing(database: Database) -> None:
    books = await Books.open(database)
    await books.ledger.settle([books.bill(123, "a"), books.bill(0, "b")])
    assert await books.units("a") == 123
    assert await books.left() == (Decimal(0), 0)


async def test_random_lives_of_requests_leave_the_books_right(database: Database) -> None:
    rng = random.Random(5)
    books = await Books.open(database, "0.05", package=500)
    used: dict[str, int] = {}
    for step in range(120):
        name = str(rng.randrange(8))
        units = used.get(name, 0) + rng.randrange(60)
        kind = Kind.ASR if int(name) % 4 == 3 else Kind.TTS
        if rng.random() < 0.7:
            paid = await books.ledger.pay(books.bill(units, name, kind), rng.choice((0, 64)))
            if paid is not None:
                assert paid >= units
                used[name] = units
        else:
            await books.ledger.settle([books.bill(used.get(name, 0), name, kind)])
            assert await books.units(name) == used.get(name, 0)
        if step % 10 == 0:
            await books.left()
    await books.left()


async def test_many_at_once_spend_exactly_what_there_is(database: Database, db_url: str) -> None:
    books = await Books.open(database, "0.0015")  # 100 bytes
    paid = await asyncio.gather(*(books.ledger.pay(books.bill(3, str(n))) for n in range(50)))
    assert paid.count(3) == 33
    assert await books.left() == (Decimal("0.000015"), 0)


async def charge(url: str, books: Books, name: str) -> "subprocess.Popen[bytes]":
    """A process that is ready to charge the account."""
    command = [
        sys.executable,
        "-m",
        "tests.transports.accounts.charging",
        url,
        books.account,
        books.key,
        name,
    ]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: ASYNC220
    assert process.stdout is not None
    assert await asyncio.to_thread(process.stdout.readline) == b"ready\n"
    return process


async def test_two_processes_spend_exactly_what_there_is(database: Database, db_url: str) -> None:
    requests = 50
    left = Decimal(14) / MICROS  # not enough for a byte
    books = await Books.open(database, str(Decimal(requests * charging.UNITS * 15) / MICROS + left))
    processes = await asyncio.gather(*(charge(db_url, books, name) for name in "ab"))
    ended = await asyncio.gather(*(asyncio.to_thread(process.communicate, b"go\n") for process in processes))
    assert [process.returncode for process in processes] == [0, 0]
    assert sum(len(out.split()) for out, _ in ended) == requests
    assert await books.left() == (left, 0)


async def test_a_killed_process_leaves_the_books_right(database: Database, db_url: str) -> None:
    books = await Books.open(database, "100")
    process = await charge(db_url, books, "a")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"go\n")
    process.stdin.flush()
    printed = [await asyncio.to_thread(process.stdout.readline) for _ in range(20)]
    process.kill()
    rest, _ = await asyncio.to_thread(process.communicate)
    told = {line.decode().strip() for line in (*printed, *rest.splitlines(True)) if line.endswith(b"\n")}
    await books.left()
    async with database.reading() as session:
        rows = {row.request_id: row.units for row in await session.scalars(select(Usage))}
    assert all(rows[request] == charging.UNITS for request in told)  # what was settled is exact
    # Of the one under way no more is paid than the block that it held.
    assert all(units <= charging.UNITS + charging.AHEAD for units in rows.values())
    assert len(rows) <= len(told) + 2
    assert await books.ledger.pay(books.bill(1, "next")) == 1


@pytest.mark.parametrize("price", [Decimal(0), Decimal("0.000001"), Decimal("33.333333")])
async def test_any_price_is_exact(database: Database, price: Decimal) -> None:
    books = await Books.open(database, "1")
    ledger = Ledger(database, Prices(tts=price))
    await ledger.pay(books.bill(1001))
    credit, _ = await books.left()
    assert Decimal(1) - credit >= 1001 * price / MICROS
    assert Decimal(1) - credit < 1001 * price / MICROS + Decimal(1) / MICROS
    await ledger.settle([books.bill(0)])
    assert await books.left() == (Decimal(1), 0)
