"""What an operator does with keys and accounts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from uuid import uuid4

from sqlalchemy import exists, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import make_transient

from transports.accounts.ledger import Kind
from transports.accounts.limits import Limits
from transports.accounts.secret import new_key
from transports.accounts.tables import MICROS, Account, ApiKey, Package, Usage
from transports.store import Database, now

# Names are for people: long enough for any, and short enough for a line.
MAX_NAME = 100
MAX_TYPE = 40
# Far from what 64 bits hold, as sums of what requests use are.
MAX_STORED = 2**62


class KeyringError(Exception):
    """What was asked for cannot be done; the text is for the operator."""


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """A key and its account, as they are listed. ``credit`` is None for an account that needs none.

    ``package`` is what is left of the account's prepaid units. The usage is that of the key.
    """

    id: str
    name: str
    account: str
    account_name: str
    state: str
    limits: Limits
    credit: Decimal | None
    package: int | None
    created_at: datetime
    expires_at: datetime | None
    text_bytes: int
    audio_seconds: float


class Keyring:
    """The keys of a database that has been started."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self,
        name: str,
        *,
        account: str | None = None,
        credit: Decimal | None = None,
        limits: Limits | None = None,
        expires_in: timedelta | None = None,
    ) -> str:
        """Create a key; its text is returned, and kept nowhere.

        The account named ``account``, or else after the key, is created if there is none. A new account without
        ``credit`` needs none; with it, it can use so much. Raises :class:`KeyringError`.
        """
        key = new_key()
        _check_line("name", name, MAX_NAME)
        if account is not None:
            _check_line("account", account, MAX_NAME)
        row = ApiKey(
            id=key.id,
            name=name,
            digest=key.digest,
            requests_per_minute=limits.requests_per_minute if limits else None,
            max_concurrency=limits.max_concurrency if limits else None,
            expires_at=now() + expires_in if expires_in else None,
        )
        try:
            await self._create(row, account, credit)
        except IntegrityError:  # somebody else has just made the account
            make_transient(row)
            await self._create(row, account, credit)
        return key.text

    async def _create(self, key: ApiKey, account: str | None, credit: Decimal | None) -> None:
        wanted = account or key.name
        async with self._database.session() as session:
            locked = select(Account).where(Account.name == wanted).with_for_update()
            owner = (await session.scalars(locked)).one_or_none()
            if owner is not None and account is None:
                raise KeyringError(
                    f"name: there is an account {wanted!r}; for another key of it add --account, "
                    "else another name"
                )
            if owner is None:
                owner = Account(id=uuid4().hex, name=wanted, limited=False, credit_micros=0)
                session.add(owner)
            if credit is not None:
                _add_credit(owner, credit)
            await session.flush()
            key.account_id = owner.id
            session.add(key)

    async def revoke(self, key: str) -> None:
        """Void a key; running servers know within seconds. Raises :class:`KeyringError` if there is none."""
        async with self._database.session() as session:
            found = await _key(session, key)
            found.revoked_at = found.revoked_at or now()

    async def add_credit(self, key: str, amount: Decimal) -> Decimal:
        """Add to the credit of a key's account, or take from it; returns what is left.

        From then on the account is limited to its credit. Raises :class:`KeyringError`.
        """
        async with self._database.session() as session:
            owner = await _owner(session, key)
            _add_credit(owner, amount)
            return Decimal(owner.credit_micros) / MICROS

    async def add_package(self, key: str, units: int, type_: str = "prepaid") -> int:
        """Add prepaid units (UTF-8 bytes of text) to a key's account; returns what is left of them.

        From then on the account is limited. Raises :class:`KeyringError`.
        """
        if units <= 0:
            raise KeyringError(f"units: got {units}; expected 1 or more")
        _check_line("type", type_, MAX_TYPE)
        async with self._database.session() as session:
            owner = await _owner(session, key)
            owner.limited = True
            found = (
                await session.scalars(select(Package).where(Package.account_id == owner.id))
            ).one_or_none()
            if found is None:
                found = Package(id=uuid4().hex, account_id=owner.id, type=type_, total=0, balance=0)
                session.add(found)
            if found.total + units >= MAX_STORED:
                raise KeyringError(f"units: got {units}; expected less")
            found.total += units
            found.balance += units
            found.finished_at = None
            return found.balance

    async def any_key(self) -> bool:
        """Whether a key was ever created."""
        async with self._database.reading() as session:
            return bool(await session.scalar(select(exists(select(ApiKey.id)))))

    async def list(self) -> Sequence[KeyInfo]:
        """All keys, the oldest first."""
        used = (
            select(
                Usage.key_id,
                func.sum(Usage.units).filter(Usage.kind == Kind.TTS).label("bytes"),
                func.sum(Usage.units).filter(Usage.kind == Kind.ASR).label("milliseconds"),
            )
            .group_by(Usage.key_id)
            .subquery()
        )
        query = (
            select(ApiKey, Account, Package.balance, used.c.bytes, used.c.milliseconds)
            .join(Account, Account.id == ApiKey.account_id)
            .outerjoin(Package, Package.account_id == Account.id)
            .outerjoin(used, used.c.key_id == ApiKey.id)
            .order_by(ApiKey.created_at, ApiKey.id)
        )
        async with self._database.reading() as session:
            return [
                KeyInfo(
                    id=key.id,
                    name=key.name,
                    account=owner.id,
                    account_name=owner.name,
                    state=state(key, now()),
                    limits=Limits(key.requests_per_minute, key.max_concurrency),
                    credit=Decimal(owner.credit_micros) / MICROS if owner.limited else None,
                    package=balance,
                    created_at=key.created_at,
                    expires_at=key.expires_at,
                    text_bytes=int(spoken or 0),
                    audio_seconds=float(heard or 0) / 1000,
                )
                for key, owner, balance, spoken, heard in await session.execute(query)
            ]


def state(key: ApiKey, at: datetime) -> str:
    """Whether a key is "valid" at a time, or else why not."""
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= at:
        return "expired"
    return "valid"


def _check_line(field: str, value: str, most: int) -> None:
    if not 0 < len(value) <= most or not value.isprintable():
        raise KeyringError(f"{field}: got {value[:most]!r}; expected 1 to {most} characters on a line")


async def _key(session: AsyncSession, key: str) -> ApiKey:
    found = await session.get(ApiKey, key)
    if found is None:
        raise KeyringError(f"key: there is no {key[:20]!r}; parrotfish keys list shows all ids")
    return found


async def _owner(session: AsyncSession, key: str) -> Account:
    found = await _key(session, key)
    locked = select(Account).where(Account.id == found.account_id).with_for_update()
    return (await session.scalars(locked)).one()


def _add_credit(account: Account, amount: Decimal) -> None:
    added = Fraction(amount) * MICROS
    if added.denominator != 1:
        raise KeyringError(f"credit: got {amount}; expected at most 6 decimal places")
    micros = account.credit_micros + int(added)
    if micros < 0:
        left = Decimal(account.credit_micros) / MICROS
        raise KeyringError(f"credit: got {amount}; expected at least -{left}, which is all there is")
    if micros >= MAX_STORED:
        raise KeyringError(f"credit: got {amount}; expected less")
    account.limited = True
    account.credit_micros = micros
