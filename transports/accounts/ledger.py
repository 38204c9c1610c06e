"""What requests use, and what is paid for it.

A request's row says how much is paid for. Who begins pays ahead, in blocks while the amount is not known; at the
end what was not used is given back. Every step is one transaction under the account's row lock, and says what the
total shall be, not what is to be added: repeated, it does nothing. A process that dies between two steps leaves
each account right but for the one block of a stream that was paid ahead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from math import ceil, floor
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from transports.accounts.tables import Account, Package, Usage
from transports.store import Database, now


class Kind(StrEnum):
    """What is metered."""

    TTS = "tts"
    ASR = "asr"


@dataclass(frozen=True, slots=True)
class Prices:
    """In credit: for a million UTF-8 bytes of text that is spoken, and for an hour of audio that is recognised.

    The defaults are only a starting point, taken from no price list: an operator sets their own.
    """

    tts: Decimal = Decimal("15")
    asr: Decimal = Decimal("0.36")

    def micros(self, kind: Kind) -> Fraction:
        """Micro-credits for a unit: a byte, or a millisecond."""
        return Fraction(self.tts) if kind is Kind.TTS else Fraction(self.asr) * 1_000_000 / 3_600_000


class Bill(NamedTuple):
    """Whose request it is, and how many units it has used: bytes or milliseconds."""

    account: str
    key: str
    kind: Kind
    request: str
    units: int


class Ledger:
    """The books of all accounts."""

    def __init__(self, database: Database, prices: Prices) -> None:
        self._database = database
        self._prices = prices

    async def pay(self, bill: Bill, ahead: int = 0) -> int | None:
        """Pay for a request's units so far, and for up to ``ahead`` more if the account can.

        Returns the units that are paid for now; None, and nothing is paid, if it cannot even pay for the first.
        """
        async with self._database.session() as session:
            books = await self._open(session, bill)
            most = books.affordable()
            if most is not None and most < bill.units:
                return None
            units = bill.units + ahead if most is None else min(bill.units + ahead, most)
            units = max(units, books.usage.units)  # what was paid stays paid, until it is settled
            books.pay(units)
            return units

    async def settle(self, bills: Sequence[Bill]) -> None:
        """Requests have ended: give back what was paid beyond their units, or record what was not paid yet."""
        async with self._database.session() as session:
            for bill in sorted(bills):  # everybody locks accounts in the same order
                books = await self._open(session, bill)
                most = books.affordable()
                books.pay(bill.units if most is None else min(bill.units, most))

    async def solvent(self, account: str) -> bool:
        """Whether the account could pay for anything at all."""
        async with self._database.reading() as session:
            row = await session.get_one(Account, account)
            if not row.limited or row.credit_micros > 0:
                return True
            package = await _package(session, account)
            return package is not None and package.balance > 0

    async def _open(self, session: AsyncSession, bill: Bill) -> "_Books":
        locked = select(Account).where(Account.id == bill.account).with_for_update()
        account = (await session.scalars(locked.execution_options(populate_existing=True))).one()
        package = await _package(session, bill.account) if bill.kind is Kind.TTS else None
        usage = await session.get(Usage, (bill.account, bill.request))
        if usage is None:
            usage = Usage(
                account_id=bill.account,
                request_id=bill.request,
                key_id=bill.key,
                kind=bill.kind,
                units=0,
                package_units=0,
                cost_micros=0,
            )
            session.add(usage)
        return _Books(account, package, usage, self._prices.micros(bill.kind))


async def _package(session: AsyncSession, account: str) -> Package | None:
    return (await session.scalars(select(Package).where(Package.account_id == account))).one_or_none()


class _Books(NamedTuple):
    """A locked account, its package if that may pay, and one request of it."""

    account: Account
    package: Package | None
    usage: Usage
    price: Fraction

    @property
    def _in_package(self) -> int:
        """Units of this request that the package has paid or could pay."""
        return self.usage.package_units + (self.package.balance if self.package else 0)

    def affordable(self) -> int | None:
        """The units that this request could have in all; None is any number."""
        if not self.account.limited or not self.price:
            return None
        return self._in_package + floor((self.usage.cost_micros + self.account.credit_micros) / self.price)

    def pay(self, units: int) -> None:
        """Make it ``units`` that are paid for, by the package, then by credit; what is too much goes back."""
        usage = self.usage
        if self.account.limited:
            from_package = min(units, self._in_package)
            cost = ceil((units - from_package) * self.price)
            if self.package is not None:
                self.package.balance += usage.package_units - from_package
                self.package.finished_at = None if self.package.balance else now()
            self.account.credit_micros += usage.cost_micros - cost
            usage.package_units, usage.cost_micros = from_package, cost
        usage.units = units
