"""A request that has been let in: what it uses is paid for, and its place is free when it ends."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import ceil
from typing import Self

from transports.accounts.ledger import Bill, Kind, Ledger
from transports.accounts.limits import Place
from transports.errors import RequestError
from transports.store import StoreError

# What a stream whose length is not known pays ahead: about a minute of speech.
BLOCK_UNITS = {Kind.TTS: 1024, Kind.ASR: 60_000}
# The ledger's whole units in one of a request's: bytes of text, and milliseconds in a second of audio.
WHOLE_UNITS = {Kind.TTS: 1, Kind.ASR: 1000}
SETTLED_AT_ONCE = 200
# Requests that wait to be settled while the database is away. Beyond, the oldest are given up.
MAX_WAITING = 100_000
RETRY_SECONDS = 1.0
CLOSE_SECONDS = 5.0

log = logging.getLogger(__name__)


class OutOfCredit(RequestError):
    """The account cannot pay."""

    def __init__(self) -> None:
        super().__init__("credit is out: the account of this API key cannot pay for this", 402)


class Till:
    """Settles requests that have ended, many in one transaction, while those who made them need not wait."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._ended: deque[Bill] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._writer: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._writer = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Settle what is left, if that can be done soon."""
        assert self._writer is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._idle.wait()
        self._writer.cancel()
        await asyncio.gather(self._writer, return_exceptions=True)
        if self._ended:
            log.error("the usage of %d requests could not be recorded", len(self._ended))

    def settle(self, bill: Bill) -> None:
        """Settle this one soon."""
        if len(self._ended) == MAX_WAITING:
            log.error("the usage of request %s could not be recorded", self._ended.popleft().request)
        self._ended.append(bill)
        self._idle.clear()
        self._wake.set()

    async def _run(self) -> None:
        while True:
            if not self._ended:
                self._idle.set()
                self._wake.clear()
                await self._wake.wait()
            bills = [self._ended.popleft() for _ in range(min(len(self._ended), SETTLED_AT_ONCE))]
            try:
                await self.ledger.settle(bills)
            except StoreError as error:
                log.error("usage waits to be recorded: %s", error)
                self._ended.extendleft(reversed(bills))
                await asyncio.sleep(RETRY_SECONDS)
            except Exception:
                log.exception("the usage of %d requests could not be recorded", len(bills))


@dataclass(frozen=True, slots=True)
class Charge:
    """Who pays for a request, and where; and where it is counted as long as it runs.

    One that is ``repeated`` may have been begun before, and its end may still be on the way to the books.
    """

    account: str
    key: str
    kind: Kind
    request: str
    limited: bool
    repeated: bool
    place: Place
    till: Till

    def bill(self, units: int) -> Bill:
        """The bill for so many units in all."""
        return Bill(self.account, self.key, self.kind, self.request, units)


class Admission:
    """One request. What it takes is paid for before :meth:`take` returns, if its account is limited.

    To be closed, or used as a context: who leaves that by an exception has delivered nothing, and pays nothing.
    """

    def __init__(
        self, kind: Kind, check: Callable[[], Awaitable[object]], charge: Charge | None = None
    ) -> None:
        self._kind = kind
        self._check = check
        self._charge = charge
        self._units = 0.0
        self._paid: int | None = 0  # None: not known, the payment was broken off

    async def take(self, units: float, *, streamed: bool = False) -> None:
        """Use so many bytes of text, or seconds of audio. Raises :class:`OutOfCredit`, and then uses nothing.

        Of what is ``streamed`` there will be more: it is paid for in blocks.
        Raises RequestError if the caller's key has become void.
        """
        with contextlib.suppress(StoreError):  # while the database is away, who was let in goes on
            await self._check()
        used = self._whole(self._units + units)
        charge = self._charge
        if charge and charge.limited and (self._paid is None or used > self._paid):
            self._paid = None
            ahead = BLOCK_UNITS[self._kind] if streamed else 0
            paid = await charge.till.ledger.pay(charge.bill(used), ahead)
            if self._charge is None:  # closed meanwhile: that settled less than has been paid now
                charge.till.settle(charge.bill(self._used))
                return
            if paid is None:
                raise OutOfCredit
            self._paid = paid
        self._units += units

    def untake(self, units: float) -> None:
        """So much of what was taken was not used after all."""
        self._units -= units

    def refund(self) -> None:
        """Nothing of it was used."""
        self._units = 0.0

    def close(self) -> None:
        """The request has ended. Idempotent."""
        charge, self._charge = self._charge, None
        if charge is not None:
            charge.place.leave()
            if self._used != self._paid or charge.repeated:
                charge.till.settle(charge.bill(self._used))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self.refund()
        self.close()

    @property
    def _used(self) -> int:
        return self._whole(self._units)

    def _whole(self, units: float) -> int:
        # A part of a unit counts as one, but not what a sum of floats has too much.
        return ceil(round(units * WHOLE_UNITS[self._kind], 6))
