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
from typing import NamedTuple, cast

from sqlalchemy import Table, and_, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from transports.accounts.tables import Account, Package, Usage
from transports.store import Database, now

_ACCOUNT, _PACKAGE, _USAGE = (cast(Table, row.__table__) for row in (Account, Package, Usage))

# Made once: that takes longer than many a statement itself.
_SOLVENT = (
    select(_ACCOUNT.c.limited, _ACCOUNT.c.credit_micros, _PACKAGE.c.balance)
    .outerjoin_from(_ACCOUNT, _PACKAGE, _PACKAGE.c.account_id == _ACCOUNT.c.id)
    .where(_ACCOUNT.c.id == bindparam("account"))
)
_NAMED = _ACCOUNT.c.id.in_(bindparam("accounts", expanding=True))
_LOCK = select(_ACCOUNT.c.id).where(_NAMED).order_by(_ACCOUNT.c.id).with_for_update()
# Another statement than that of the lock: it sees what was written before it had it.
_READ = (
    select(
        *(_ACCOUNT.c.id, _ACCOUNT.c.limited, _ACCOUNT.c.credit_micros, _PACKAGE.c.balance),
        *(_USAGE.c.request_id, _USAGE.c.units, _USAGE.c.package_units, _USAGE.c.cost_micros),
    )
    .outerjoin_from(_ACCOUNT, _PACKAGE, _PACKAGE.c.account_id == _ACCOUNT.c.id)
    .outerjoin(
        _USAGE,
        and_(
            _USAGE.c.account_id == _ACCOUNT.c.id,
            _USAGE.c.request_id.in_(bindparam("requests", expanding=True)),
        ),
    )
    .where(_NAMED)
)
_SET_CREDIT = update(_ACCOUNT).where(_ACCOUNT.c.id == bindparam("account"))
_SET_PACKAGE = update(_PACKAGE).where(_PACKAGE.c.account_id == bindparam("account"))
_SET_USAGE = update(_USAGE).where(
    _USAGE.c.account_id == bindparam("account"), _USAGE.c.request_id == bindparam("request")
)
_ADD_USAGE = insert(_USAGE)


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
            books = await _Books.opened(session, [bill], self._prices)
            most = books.affordable(bill)
            if most is not None and most < bill.units:
                return None
            units = bill.units + ahead if most is None else min(bill.units + ahead, most)
            units = max(units, books.usage(bill).units)  # what was paid stays paid, until it is settled
            books.pay(bill, units)
            await books.write(session)
            return units

    async def settle(self, bills: Sequence[Bill]) -> None:
        """Requests have ended: give back what was paid beyond their units, or record what was not paid yet."""
        async with self._database.session() as session:
            books = await _Books.opened(session, bills, self._prices)
            for bill in bills:
                most = books.affordable(bill)
                books.pay(bill, bill.units if most is None else min(bill.units, most))
            await books.write(session)

    async def solvent(self, account: str) -> bool:
        """Whether the account could pay for anything at all."""
        async with self._database.reading() as session:
            limited, credit, balance = (await session.execute(_SOLVENT, {"account": account})).one()
        return not limited or credit > 0 or bool(balance)


@dataclass(slots=True)
class _Purse:
    """What an account has; ``package`` is the balance of its package, None if it has none."""

    limited: bool
    credit: int
    package: int | None


@dataclass(slots=True)
class _Usage:
    """What has been paid for one request."""

    units: int = 0
    package_units: int = 0
    cost: int = 0


class _Books:
    """Locked accounts, as they were and as they are to be, and the requests of some bills."""

    def __init__(self, prices: Prices) -> None:
        self._prices = prices
        self._purses: dict[str, _Purse] = {}
        self._found: dict[str, _Purse] = {}
        self._usages: dict[tuple[str, str], _Usage] = {}
        self._known: dict[tuple[str, str], _Usage] = {}
        self._bills: dict[tuple[str, str], Bill] = {}

    @classmethod
    async def opened(cls, session: AsyncSession, bills: Sequence[Bill], prices: Prices) -> "_Books":
        """The books, whose accounts are locked until the session ends, by everybody in the same order."""
        books = cls(prices)
        named = {
            "accounts": sorted({bill.account for bill in bills}),
            "requests": sorted({bill.request for bill in bills}),
        }
        if session.get_bind().dialect.name != "sqlite":  # there the session is the only writer as it is
            await session.execute(_LOCK, named)
        for account, limited, credit, balance, request, *paid in await session.execute(_READ, named):
            books._purses[account] = _Purse(limited, credit, balance)
            books._found[account] = _Purse(limited, credit, balance)
            if request is not None:
                books._usages[account, request] = _Usage(*paid)
                books._known[account, request] = _Usage(*paid)
        return books

    def usage(self, bill: Bill) -> _Usage:
        """What has been paid for a bill's request."""
        return self._usages.setdefault((bill.account, bill.request), _Usage())

    def affordable(self, bill: Bill) -> int | None:
        """The units that a request could have in all; None is any number."""
        purse, price = self._purses[bill.account], self._prices.micros(bill.kind)
        if not purse.limited or not price:
            return None
        return self._in_package(bill) + floor((self.usage(bill).cost + purse.credit) / price)

    def pay(self, bill: Bill, units: int) -> None:
        """Make it ``units`` that are paid for, by the package, then by credit; what is too much goes back."""
        purse, usage = self._purses[bill.account], self.usage(bill)
        if purse.limited:
            from_package = min(units, self._in_package(bill))
            cost = ceil((units - from_package) * self._prices.micros(bill.kind))
            if purse.package is not None:
                purse.package += usage.package_units - from_package
            purse.credit += usage.cost - cost
            usage.package_units, usage.cost = from_package, cost
        usage.units = units
        self._bills[bill.account, bill.request] = bill

    async def write(self, session: AsyncSession) -> None:
        """Write down what has changed."""
        for account, purse in self._purses.items():
            found = self._found[account]
            if purse.credit != found.credit:
                await session.execute(_SET_CREDIT, {"account": account, "credit_micros": purse.credit})
            if purse.package != found.package:
                package = {"balance": purse.package, "finished_at": None if purse.package else now()}
                await session.execute(_SET_PACKAGE, {"account": account, **package})
        new = []
        for (account, request), bill in self._bills.items():
            usage = self._usages[account, request]
            paid = {"units": usage.units, "package_units": usage.package_units, "cost_micros": usage.cost}
            if (account, request) not in self._known:
                kind_of = {"key_id": bill.key, "kind": bill.kind}
                new.append({"account_id": account, "request_id": request, **kind_of, **paid})
            elif usage != self._known[account, request]:
                await session.execute(_SET_USAGE, {"account": account, "request": request, **paid})
        if new:
            await session.execute(_ADD_USAGE, new)

    def _in_package(self, bill: Bill) -> int:
        """Units of a request that the package has paid or could pay."""
        usage = self.usage(bill)
        if bill.kind is not Kind.TTS:
            return usage.package_units
        return usage.package_units + (self._purses[bill.account].package or 0)
