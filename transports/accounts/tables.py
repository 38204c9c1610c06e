"""The tables of accounts. Money is whole micro-credits: sums are exact, on every database."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from transports.store.base import Base, now

MICROS = 1_000_000
# The account that all callers of an open server share; the first migration creates it.
LOCAL_ACCOUNT = "local"


class Account(Base):
    """Who owns keys, voices and money. Who is not ``limited`` needs none."""

    __tablename__ = "account"
    __table_args__ = (CheckConstraint("credit_micros >= 0", name="credit"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    limited: Mapped[bool]
    credit_micros: Mapped[int] = mapped_column(BigInteger, default=0)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)


class ApiKey(Base):
    """A key: the SHA-256 of its secret, and what its bearer may. Never deleted: usage refers to it."""

    __tablename__ = "api_key"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("account.id"))
    name: Mapped[str] = mapped_column(String(100))
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    requests_per_minute: Mapped[int | None]
    max_concurrency: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class Package(Base):
    """Units paid in advance, at most one package for each account. A unit is a UTF-8 byte of text to speak."""

    __tablename__ = "package"
    __table_args__ = (CheckConstraint("balance >= 0 AND balance <= total", name="balance"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("account.id"), unique=True)
    type: Mapped[str] = mapped_column(String(40))
    total: Mapped[int] = mapped_column(BigInteger)
    balance: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)
    finished_at: Mapped[datetime | None]


class Usage(Base):
    """What one request used: ``package_units`` and ``cost_micros`` have been taken from the account for it.

    While the request runs more may have been taken than ``units`` cost: that is held, and what is not used of it
    is given back. Nothing sets ``held_until`` by now.
    """

    __tablename__ = "usage"

    account_id: Mapped[str] = mapped_column(ForeignKey("account.id"), primary_key=True)
    request_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[str | None] = mapped_column(ForeignKey("api_key.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    units: Mapped[int] = mapped_column(BigInteger)
    package_units: Mapped[int] = mapped_column(BigInteger)
    cost_micros: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(default=now)
    held_until: Mapped[datetime | None] = mapped_column(index=True)
