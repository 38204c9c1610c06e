"""What a request holds is right again however it ends, also if that is in the middle of a payment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import pytest

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
from transports.errors import RequestError
from transports.store import Database

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


async def test_anybody_may_come_until_there_is_a_key(database: Database) -> None:
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
