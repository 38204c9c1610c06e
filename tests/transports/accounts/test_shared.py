"""Limits of keys over several servers, in a real Redis that may go away."""

import asyncio
import logging
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from tests.transports.redis import Redis, redis
from transports.accounts import (
    Accounts,
    ConcurrencyExceeded,
    Keyring,
    Kind,
    Limits,
    Prices,
    make_limiter,
    shared,
)
from transports.accounts.limits import Place, RateExceeded
from transports.accounts.shared import SharedLimiter
from transports.store import Database, StoreError

ROOT = Path(__file__).parents[3]
ONE, TWO = Limits(max_concurrency=1), Limits(max_concurrency=2)


@pytest.fixture(scope="module", name="redis")
def _redis() -> Iterator[Redis]:
    with redis() as server:
        yield server


@pytest.fixture
def key() -> str:
    return uuid4().hex


@pytest.fixture
def short_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "LEASE_SECONDS", 0.4)
    monkeypatch.setattr(shared, "RENEW_SECONDS", 0.1)


@asynccontextmanager
async def limiters(redis: Redis, count: int = 2) -> AsyncIterator[list[SharedLimiter]]:
    """What so many servers count with."""
    async with AsyncExitStack() as stack:
        made = [SharedLimiter(redis.url) for _ in range(count)]
        for one in made:
            one.start()
            stack.push_async_callback(one.close)
        yield made


async def enter(limiter: SharedLimiter, key: str, limits: Limits, patience: float = 0.0) -> Place:
    return await limiter.enter(key, limits, counted=True, patience=patience)


async def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


async def test_places_are_those_of_all_servers(redis: Redis, key: str) -> None:
    async with limiters(redis) as (one, other):
        first = await enter(one, key, TWO)
        second = await enter(other, key, TWO)
        for limiter in (one, other):
            with pytest.raises(ConcurrencyExceeded) as refused:
                await enter(limiter, key, TWO)
            assert refused.value.max_concurrency == 2
        (await enter(one, "another", TWO)).leave()
        patient = asyncio.create_task(enter(other, key, TWO, patience=60))
        await asyncio.sleep(0)
        first.leave()
        (await patient).leave()
        second.leave()
        await until(lambda: not redis.client().zcard(f"parrotfish:{{{key}}}:places"))


async def test_a_minutes_requests_are_those_of_all_servers(redis: Redis, key: str) -> None:
    async with limiters(redis) as pair:
        for number in range(60):
            (await enter(pair[number % 2], key, Limits(requests_per_minute=60))).leave()
        for limiter in pair:
            with pytest.raises(RateExceeded, match="60 requests a minute") as refused:
                await enter(limiter, key, Limits(requests_per_minute=60))
            assert refused.value.retry_after is not None
            assert 0 < refused.value.retry_after <= 1
        await asyncio.sleep(refused.value.retry_after)  # whoever comes back when told is let in
        (await enter(pair[0], key, Limits(requests_per_minute=60))).leave()


async def test_who_is_refused_has_used_up_nothing(redis: Redis, key: str) -> None:
    limits = Limits(requests_per_minute=2, max_concurrency=1)
    async with limiters(redis) as (one, other):
        place = await enter(one, key, limits)
        for _ in range(5):
            with pytest.raises(ConcurrencyExceeded):
                await enter(other, key, limits)
        place.leave()
        (await enter(other, key, limits, patience=60)).leave()
        for _ in range(3):  # nor has who is refused for the rate a place
            with pytest.raises(RateExceeded):
                await enter(one, key, limits, patience=60)
        promised = await one.enter(key, limits, counted=False, patience=60)
        promised.leave()


async def test_who_is_cancelled_on_the_way_in_holds_no_place(redis: Redis, key: str) -> None:
    async with limiters(redis, 1) as (limiter,):
        for turns in range(40):
            task = asyncio.create_task(enter(limiter, key, ONE))
            for _ in range(turns):
                await asyncio.sleep(0.0001 if turns % 2 else 0)
            if not task.cancel():
                (await task).leave()
            await asyncio.gather(task, return_exceptions=True)
        # Behind all of them: what they have left was told before this is asked.
        (await enter(limiter, key, ONE)).leave()


async def test_who_runs_for_long_keeps_the_place(redis: Redis, key: str, short_lease: None) -> None:
    async with limiters(redis) as (one, other):
        place = await enter(one, key, ONE)
        begun = time.monotonic()
        while time.monotonic() < begun + 3 * shared.LEASE_SECONDS:
            with pytest.raises(ConcurrencyExceeded):
                await enter(other, key, ONE, patience=shared.LEASE_SECONDS)
        place.leave()
        (await enter(other, key, ONE, patience=60)).leave()


@pytest.fixture
def holder(redis: Redis, key: str) -> Iterator["subprocess.Popen[str]"]:
    """A server of its own process that has a place of the key."""
    command = [sys.executable, "-m", "tests.transports.accounts.holding", redis.url, key, "1", "1.0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in\n"
        yield process
        process.kill()


async def test_a_server_that_is_killed_gives_its_places_back(
    redis: Redis, key: str, holder: "subprocess.Popen[str]"
) -> None:
    async with limiters(redis, 1) as (limiter,):
        with pytest.raises(ConcurrencyExceeded):
            await enter(limiter, key, ONE)
        holder.kill()
        (await enter(limiter, key, ONE, patience=60)).leave()


async def test_while_redis_is_away_each_server_counts_for_itself(
    redis: Redis, key: str, short_lease: None, caplog: pytest.LogCaptureFixture
) -> None:
    limits = Limits(requests_per_minute=100, max_concurrency=2)
    async with limiters(redis) as (one, other):
        before = await enter(one, key, limits)
        redis.stop()
        try:
            during = await enter(one, key, limits)
            with pytest.raises(ConcurrencyExceeded):  # what ran before is not forgotten
                await enter(one, key, limits)
            elsewhere = [await enter(other, key, limits) for _ in range(2)]
            with pytest.raises(ConcurrencyExceeded):
                await enter(other, key, limits)
            elsewhere.pop().leave()
        finally:
            redis.start()
        places = f"parrotfish:{{{key}}}:places"
        await until(lambda: redis.client().zcard(places) == 3)  # what runs is known again
        with pytest.raises(ConcurrencyExceeded):
            await enter(other, key, limits)
        for place in (before, during, *elsewhere):
            place.leave()
        (await enter(other, key, limits, patience=60)).leave()
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(told) == 2  # once on each server
    assert "Redis cannot be used" in told[0]


async def test_a_redis_that_does_not_answer_is_not_waited_for(
    redis: Redis, key: str, short_lease: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "REDIS_SECONDS", 0.1)
    async with limiters(redis, 1) as (limiter,):
        (await enter(limiter, key, ONE)).leave()
        redis.freeze()
        try:
            waiting = [asyncio.create_task(enter(limiter, key, TWO)) for _ in range(3)]
            outcomes = await asyncio.gather(*waiting, return_exceptions=True)
            assert sum(isinstance(one, ConcurrencyExceeded) for one in outcomes) == 1
        finally:
            redis.thaw()
        for outcome in outcomes:
            if not isinstance(outcome, BaseException):
                outcome.leave()


async def test_accounts_of_two_servers_share_a_keys_limits(redis: Redis, database: Database) -> None:
    key = await Keyring(database).create("key", limits=Limits(max_concurrency=1))
    servers = [
        Accounts(
            database,
            Prices(),
            open_to_all=False,
            open_without_keys=False,
            limiter=make_limiter(redis.url),
        )
        for _ in range(2)
    ]
    for server in servers:
        server.start()
    one, other = servers
    caller = await one.authenticate(key)
    with await one.admit(caller, Kind.TTS), pytest.raises(ConcurrencyExceeded):
        await other.admit(caller, Kind.TTS)
    (await other.admit(caller, Kind.TTS, patience=60)).close()
    for server in servers:
        await server.close()
    assert not redis.client().exists(f"parrotfish:{{{caller.key}}}:places")


@pytest.mark.parametrize("url", ["localhost:6379", "http://localhost", "redis://localhost:port/0"])
def test_a_url_that_is_none_is_told(url: str) -> None:
    with pytest.raises(StoreError, match="expected redis://"):
        make_limiter(url)


async def test_the_password_is_not_logged(key: str, caplog: pytest.LogCaptureFixture) -> None:
    limiter = make_limiter("redis://:very-secret@127.0.0.1:1/0")
    limiter.start()
    (await limiter.enter(key, ONE, counted=True, patience=0)).leave()
    await limiter.close()
    assert "cannot be used" in caplog.text
    assert "very-secret" not in caplog.text
