"""What a request holds is right again however it ends, also if that is in the middle of a payment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import update

from tests.transports.postgres import Postgres
from transports.accounts import (
    Accounts,
    Caller,
    ConcurrencyExceeded,
    Keyring,
    Kind,
    Limits,
    OutOfCredit,
    Prices,
)
from transports.accounts import accounts as accounts_module
from transports.accounts.tables import ApiKey
from transports.errors import RequestError
from transports.store import Database, StoreError, database_url, now

PRICE = Decimal("0.000015")


@asynccontextmanager
async def running(database: Database) -> AsyncIterator[Accounts]:
    accounts = Accounts(database, Prices(), open_to_all=False, open_without_keys=True)
    accounts.start()
    yield accounts
    await accounts.close()


async def welcome(accounts: Accounts, token: str) -> bool:
    try:
        await accounts.authenticate(token)
    except RequestError:
        return False
    return True


async def left(database: Database) -> Decimal | None:
    (key,) = await Keyring(database).list()
    return key.credit


async def test_a_request_ends_in_five_ways_and_pays_for_what_it_took(database: Database) -> None:
    key = await Keyring(database).create("key", credit=Decimal(1))
    async with running(database) as accounts:
        caller = await accounts.authenticate(key)
        with await accounts.admit(caller, Kind.TTS) as admission:
            await admission.take(100)
        failed = await accounts.admit(caller, Kind.TTS)
        await failed.take(100)
        with pytest.raises(ZeroDivisionError), failed:
            raise ZeroDivisionError
        untaken = await accounts.admit(caller, Kind.TTS)
        await untaken.take(100, streamed=True)
        await untaken.take(50, streamed=True)
        untaken.untake(50)
        untaken.close()
        untaken.close()
        refunded = await accounts.admit(caller, Kind.TTS)
        await refunded.take(100)
        refunded.refund()
        refunded.close()
        with await accounts.admit(caller, Kind.ASR) as heard:
            await heard.take(0.5)
    assert await left(database) == 1 - 200 * PRICE - Decimal("0.00005")


async def test_a_request_that_is_done_again_after_a_crash_is_paid_once(database: Database) -> None:
    key = await Keyring(database).create("key", credit=Decimal(1))
    async with running(database) as accounts:
        caller = await accounts.authenticate(key)
        crashed = await accounts.admit(caller, Kind.TTS, request_id="job")
        await crashed.take(100)  # and is never closed
        with await accounts.admit(caller, Kind.TTS, request_id="job") as again:
            await again.take(100)
    assert await left(database) == 1 - 100 * PRICE


async def test_a_payment_may_be_broken_off_at_any_point(database: Database) -> None:
    key = await Keyring(database).create("key", credit=Decimal(1))
    taken = 0
    async with running(database) as accounts:
        caller = await accounts.authenticate(key)
        for turns in range(60):
            admission = await accounts.admit(caller, Kind.TTS)
            task = asyncio.create_task(admission.take(10, streamed=True))
            for _ in range(turns):
                await asyncio.sleep(0.0002 if turns % 3 else 0)
            taken += 10 * (task.done() and not task.cancelled())
            if turns % 2:
                admission.close()  # while it pays
                await task
            else:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                admission.close()
    assert await left(database) == 1 - taken * PRICE


async def test_what_ends_while_the_database_is_away_is_recorded_when_it_is_back(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.database()
    database = Database(database_url(url, Path()))
    await database.start()
    keyring = Keyring(database)
    key, unlimited = await keyring.create("key", credit=Decimal(1)), await keyring.create("unlimited")
    async with running(database) as accounts:
        caller = await accounts.authenticate(key)
        admission = await accounts.admit(caller, Kind.TTS)
        await admission.take(100, streamed=True)
        free = await accounts.admit(await accounts.authenticate(unlimited), Kind.TTS)
        monkeypatch.setattr(accounts_module, "CACHE_SECONDS", 0.0)
        await asyncio.to_thread(postgres.take_away, url)
        admission.close()
        await free.take(100, streamed=True)  # who needs nothing of it is not interrupted
        free.close()
        with pytest.raises(StoreError):
            await keyring.list()  # it was tried, as this is, and failed
        await asyncio.to_thread(postgres.give_back, url)
    listed = await keyring.list()
    assert [(key.credit, key.text_bytes) for key in listed] == [(1 - 100 * PRICE, 100), (None, 100)]
    await database.close()


async def test_whoever_cannot_pay_is_not_let_in(database: Database) -> None:
    key = await Keyring(database).create("key", credit=10 * PRICE)
    async with running(database) as accounts:
        caller = await accounts.authenticate(key)
        with await accounts.admit(caller, Kind.TTS) as admission:
            await admission.take(4)
            with pytest.raises(OutOfCredit):
                await admission.take(7)
            await admission.take(6)
        with pytest.raises(OutOfCredit):
            await accounts.admit(caller, Kind.TTS)


async def test_places_are_free_as_soon_as_requests_end(database: Database) -> None:
    key = await Keyring(database).create("key", limits=Limits(max_concurrency=2))
    async with running(database) as accounts:
        caller = await accounts.authenticate(key)
        first, second = [await accounts.admit(caller, Kind.TTS) for _ in range(2)]
        with pytest.raises(ConcurrencyExceeded) as refused:
            await accounts.admit(caller, Kind.TTS)
        assert refused.value.max_concurrency == 2
        patient = [asyncio.create_task(accounts.admit(caller, Kind.TTS, patience=60)) for _ in range(2)]
        await asyncio.sleep(0)
        first.close()
        first.close()
        second.close()
        for admission in await asyncio.gather(*patient):
            admission.close()


async def test_who_is_refused_a_place_has_used_up_nothing(database: Database) -> None:
    """A job, or a client, that tries again until there is a place takes nothing from the key's other requests."""
    key = await Keyring(database).create("key", limits=Limits(requests_per_minute=2, max_concurrency=1))
    async with running(database) as accounts:
        caller = await accounts.authenticate(key)
        with await accounts.admit(caller, Kind.TTS):
            for _ in range(5):
                with pytest.raises(ConcurrencyExceeded):
                    await accounts.admit(caller, Kind.TTS)
        (await accounts.admit(caller, Kind.TTS)).close()
        for _ in range(2):  # nor has who is refused for the rate a place
            with pytest.raises(RequestError, match="2 requests a minute"):
                await accounts.admit(caller, Kind.TTS)


async def test_a_request_that_was_promised_was_counted_then(database: Database) -> None:
    key = await Keyring(database).create("key", limits=Limits(requests_per_minute=1))
    async with running(database) as accounts:
        caller = await accounts.authenticate(key)
        (await accounts.admit(caller, Kind.TTS)).close()
        for _ in range(3):
            (await accounts.admit(caller, Kind.TTS, promised=True)).close()
        with pytest.raises(RequestError, match="1 requests a minute"):
            await accounts.admit(caller, Kind.TTS)


async def test_who_is_cancelled_on_the_way_in_holds_no_place(database: Database) -> None:
    key = await Keyring(database).create("key", credit=Decimal(1), limits=Limits(max_concurrency=1))
    async with running(database) as accounts:
        caller = await accounts.authenticate(key)
        for turns in range(30):
            task = asyncio.create_task(accounts.admit(caller, Kind.TTS))
            for _ in range(turns):
                await asyncio.sleep(0.0002 if turns % 2 else 0)
            task.cancel()
            for admission in await asyncio.gather(task, return_exceptions=True):
                if not isinstance(admission, BaseException):
                    admission.close()
        (await accounts.admit(caller, Kind.TTS)).close()


async def test_a_key_that_is_void_is_so_in_the_middle_of_a_request(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever never ends an utterance could go on for as long as they like."""
    monkeypatch.setattr(accounts_module, "CACHE_SECONDS", 0.0)
    keyring = Keyring(database)
    async with running(database) as accounts:
        anybody = await accounts.admit(await accounts.authenticate(None), Kind.ASR)
        await anybody.take(1, streamed=True)
        revoked, expiring = await keyring.create("revoked"), await keyring.create("expiring")
        ways = [
            await accounts.admit(await accounts.authenticate(key), Kind.TTS) for key in (revoked, expiring)
        ]
        for admission in ways:
            await admission.take(1, streamed=True)
        await keyring.revoke(revoked.split("_")[1])
        async with database.session() as session:
            await session.execute(
                update(ApiKey)
                .where(ApiKey.name == "expiring")
                .values(expires_at=now() - timedelta(seconds=1))
            )
        for admission, told in zip((*ways, anybody), ("revoked", "expired", "has come to ask"), strict=True):
            with pytest.raises(RequestError, match=told) as refused:
                await admission.take(1, streamed=True)
            assert refused.value.status == 401
            admission.close()
    assert [key.text_bytes for key in await keyring.list()] == [1, 1]


async def test_time_is_rounded_once_for_a_request(database: Database) -> None:
    key = await Keyring(database).create("key", credit=Decimal(1))
    async with running(database) as accounts:
        caller = await accounts.authenticate(key)
        with await accounts.admit(caller, Kind.ASR) as admission:
            for _ in range(160):
                await admission.take(1000 / 16_000, streamed=True)
        with await accounts.admit(caller, Kind.ASR) as admission:
            for _ in range(100):
                await admission.take(0.07, streamed=True)
    (listed,) = await Keyring(database).list()
    assert listed.audio_seconds == 10 + 7


async def test_a_late_refund_of_one_attempt_does_not_undo_the_next(database: Database) -> None:
    key = await Keyring(database).create("key", credit=Decimal(1))
    accounts = Accounts(database, Prices(), open_to_all=False, open_without_keys=True)
    caller = await accounts.authenticate(key)
    failed = await accounts.admit(caller, Kind.TTS, request_id="job")
    await failed.take(100)
    failed.refund()
    failed.close()
    with await accounts.admit(caller, Kind.TTS, request_id="job") as done:
        await done.take(100)
    accounts.start()  # only now is anything settled
    await accounts.close()
    assert await left(database) == 1 - 100 * PRICE


async def test_anybody_may_come_until_there_is_a_key(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts_module, "CACHE_SECONDS", 0.1)
    async with running(database) as accounts:
        anybody = await accounts.authenticate(None)
        assert anybody == await accounts.authenticate("whatever")
        assert (anybody.account, anybody.key) == ("local", None)
        with await accounts.admit(anybody, Kind.TTS) as admission:
            await admission.take(10**9)
        key = await Keyring(database).create("key")
        known = await accounts.authenticate(key)
        assert known.key is not None
        async with asyncio.timeout(5):
            while await welcome(accounts, "whatever"):
                pass
        with pytest.raises(RequestError, match="has come to ask"):
            await accounts.admit(anybody, Kind.TTS)


async def test_a_key_that_is_not_there_is_let_in_nowhere(database: Database) -> None:
    await Keyring(database).create("key")
    async with running(database) as accounts:
        with pytest.raises(RequestError, match="gone"):
            await accounts.admit(Caller("x", "nobody", "x", Limits()), Kind.TTS)
