"""Rate and concurrency of keys over all servers of a fleet, counted in Redis.

Redis keeps two things of a key: the requests that run, each with the time until which it is known to run, and
the time up to which its requests are used up (the "theoretical arrival time" of the generic cell rate algorithm,
which is a token bucket in one number). All times are of Redis's own clock. A server says every second or so which
of its requests still run; what a server that died has left there runs out within :data:`LEASE_SECONDS`.

One task speaks to Redis, and takes along what has come up since its last time: so commands keep their order, and
many requests share a round trip. While Redis is away each server counts for itself, as it would without.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from time import monotonic
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import RedisError

from engine.urls import without_secrets
from transports.accounts.limits import (
    ConcurrencyExceeded,
    Limits,
    LocalLimiter,
    Meter,
    Place,
    RateExceeded,
)
from transports.store import StoreError

LEASE_SECONDS = 5.0
RENEW_SECONDS = 1.5
REDIS_SECONDS = 0.5
"""What takes Redis longer than this, it is not waited for."""
POLL_SECONDS = 0.05
"""How often who waits for a place looks: it may become free on another server, which tells nobody."""
CLOSE_SECONDS = 2.0

_ENTER = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local most, rate, lease = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[4])
if most then
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
  if redis.call('ZCARD', KEYS[1]) >= most then return {'full', 0} end
end
if rate then
  local used = math.max(tonumber(redis.call('GET', KEYS[2]) or 0), now) + 60000000 / rate
  local wait = used - now - 60000000
  if wait > 1 then return {'wait', math.ceil(wait)} end
  redis.call('SET', KEYS[2], string.format('%.0f', used), 'PX', math.ceil((used - now) / 1000))
end
if most then
  redis.call('ZADD', KEYS[1], now + lease, ARGV[3])
  redis.call('PEXPIRE', KEYS[1], math.ceil(lease / 1000))
end
return {'in', 0}
"""
_RENEW = """
local time = redis.call('TIME')
local now, lease = time[1] * 1000000 + time[2], tonumber(ARGV[1])
for place = 2, #ARGV do redis.call('ZADD', KEYS[1], now + lease, ARGV[place]) end
redis.call('PEXPIRE', KEYS[1], math.ceil(lease / 1000))
"""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What became of who asked; ``wait`` is in seconds. Nobody ``counted`` if Redis is away."""

    outcome: str
    wait: float = 0.0


_NOBODY = _Answer("away")


@dataclass(frozen=True, eq=False, slots=True)
class _Asked:
    """A request that wants a place, and who waits to know."""

    key: str
    place: str
    most: int | None
    rate: int | None
    answer: "asyncio.Future[_Answer]"


@dataclass(eq=False, slots=True)
class _SharedPlace:
    """A request that runs: counted here, and in Redis too if its key may only have so many at once."""

    limiter: "SharedLimiter"
    key: str
    id: str
    here: Place

    def leave(self) -> None:
        """It has ended."""
        self.here.leave()
        self.limiter.left(self)


@dataclass(slots=True)
class _Waiting:
    """What the next round trip takes along."""

    asked: deque[_Asked] = field(default_factory=deque)
    left: deque[tuple[str, str]] = field(default_factory=deque)  # keys, and places of theirs


class SharedLimiter:
    """Counts what all servers with this Redis serve. Raises StoreError for a URL that is none."""

    def __init__(self, url: str) -> None:
        try:
            self._redis = Redis.from_url(
                url,
                socket_timeout=REDIS_SECONDS,
                socket_connect_timeout=REDIS_SECONDS,
                # Once again, for a connection that broke while nothing was to be said.
                retry=Retry(NoBackoff(), 1, supported_errors=(NoConnection,)),
                decode_responses=True,
            )
        except ValueError:  # which may quote a password
            raise StoreError(
                f"--redis-url: got {without_secrets(url)}; expected redis://:password@host:6379/0"
            ) from None
        self._local = LocalLimiter()
        self._held: dict[str, _SharedPlace] = {}
        self._waiting = _Waiting()
        self._wake = asyncio.Event()
        self._away = False
        self._renewed = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to speak to Redis."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Tell Redis what has ended, if that can be done soon."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._refuse()
        with contextlib.suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                held = [(one.key, one.id) for one in self._held.values()]
                if not self._away:
                    await self._tell([], [*self._waiting.left, *held])
                await self._redis.aclose()

    async def enter(self, key: str, limits: Limits, *, counted: bool, patience: float) -> Place:
        """A place: see :class:`~transports.accounts.limits.Limiter`."""
        most, rate = limits.max_concurrency, limits.requests_per_minute if counted else None
        if most is None and rate is None:
            return await self._local.enter(key, limits, counted=counted, patience=patience)
        meter, end = self._local.meter(key), monotonic() + patience
        id_ = uuid4().hex
        while (answer := await self._ask(key, id_, most, rate)).outcome == "full":
            if (left := end - monotonic()) <= 0:
                raise ConcurrencyExceeded(most or 0)
            meter.freed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(POLL_SECONDS, left)):
                    await meter.freed.wait()
        here: Place
        match answer.outcome:
            case "in":
                here = _note(meter, rate)
            case "wait":
                raise RateExceeded(rate or 0, answer.wait)
            case _:
                left = max(0.0, end - monotonic())
                here = await self._local.enter(key, limits, counted=counted, patience=left)
        if most is None:
            return here
        place = self._held[id_] = _SharedPlace(self, key, id_, here)
        return place

    def left(self, place: _SharedPlace) -> None:
        """A request has ended: its place is to be free for all."""
        del self._held[place.id]
        self._give_back(place.key, place.id)

    async def _ask(self, key: str, place: str, most: int | None, rate: int | None) -> _Answer:
        if self._away or self._task is None or self._task.done():
            return _NOBODY
        asked = _Asked(key, place, most, rate, asyncio.get_running_loop().create_future())
        self._waiting.asked.append(asked)
        self._wake.set()
        try:
            return await asked.answer
        except asyncio.CancelledError:
            if asked in self._waiting.asked:
                self._waiting.asked.remove(asked)
            else:  # whether it was let in is known only after the round trip; behind that comes this
                self._give_back(key, place)
            raise

    def _give_back(self, key: str, place: str) -> None:
        if not self._away:  # else it runs out by itself
            self._waiting.left.append((key, place))
            self._wake.set()

    async def _run(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, self._renewed + RENEW_SECONDS - monotonic())):
                    await self._wake.wait()
            self._wake.clear()
            asked, self._waiting.asked = list(self._waiting.asked), deque()
            left, self._waiting.left = list(self._waiting.left), deque()
            try:
                answers = await self._tell(asked, left)
            except (RedisError, OSError) as error:
                self._lost(error)
                answers = [_NOBODY] * len(asked)
            except asyncio.CancelledError:
                self._waiting.asked.extendleft(asked)
                raise
            for one, answer in zip(asked, answers, strict=True):
                if not one.answer.done():
                    one.answer.set_result(answer)

    async def _tell(self, asked: Sequence[_Asked], left: Sequence[tuple[str, str]]) -> list[_Answer]:
        """One round trip. What has been left is told before somebody else wants it."""
        lease = int(LEASE_SECONDS * 1_000_000)
        pipeline = self._redis.pipeline(transaction=False)
        if renewing := monotonic() >= self._renewed + RENEW_SECONDS:
            held = sorted((place.key, place.id) for place in self._held.values())
            for key, places in groupby(held, lambda pair: pair[0]):
                pipeline.eval(_RENEW, 1, _places(key), lease, *(id_ for _, id_ in places))
            pipeline.ping()  # whether it is back, if nothing is to be said
        for key, id_ in left:
            pipeline.zrem(_places(key), id_)
        for one in asked:
            numbers: list[Any] = ["" if one.most is None else one.most, "" if one.rate is None else one.rate]
            pipeline.eval(_ENTER, 2, _places(one.key), _rate(one.key), *numbers, one.place, lease)
        told: list[Any] = await pipeline.execute() if len(pipeline) else []
        if renewing:
            self._renewed = monotonic()
        if self._away:
            self._away = False
            log.warning("Redis is back: requests are counted over all servers again")
        answers = told[len(told) - len(asked) :]
        return [_Answer(outcome, wait / 1_000_000) for outcome, wait in answers]

    def _lost(self, error: Exception) -> None:
        if not self._away:
            log.error(
                "Redis cannot be used: %s; until it is back each server counts requests for itself, so that a "
                "key may do as much on every one",
                error,
            )
        self._away = True
        self._renewed = monotonic()  # tried again as often as places are renewed
        self._waiting.left.clear()
        self._refuse()

    def _refuse(self) -> None:
        """Have those who wait counted here."""
        while self._waiting.asked:
            if not (answer := self._waiting.asked.popleft().answer).done():
                answer.set_result(_NOBODY)


def _note(meter: Meter, rate: int | None) -> Meter:
    """Count here what Redis has let in, for the time when it is away."""
    meter.enter(None)
    if rate is not None:
        meter.request(rate, monotonic())
    return meter


def _places(key: str) -> str:
    return f"parrotfish:{{{key}}}:places"  # braces: on a cluster both are on one node


def _rate(key: str) -> str:
    return f"parrotfish:{{{key}}}:rate"
