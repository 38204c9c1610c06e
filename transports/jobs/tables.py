"""The tables of jobs and of the files that they, and others, leave for a time."""

from datetime import datetime
from uuid import uuid4

from sqlalchemy import BigInteger, ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from transports.store.base import Base, now


def new_id() -> str:
    """An id that nobody can guess."""
    return str(uuid4())


class Job(Base):
    """Something that was promised. ``state`` is queued, running, done or failed.

    ``due_at`` is when somebody should take it: while it is queued, not before; while it runs, that is when
    whoever runs it must have died. ``owner`` is another one each time that it is taken: only its owner may end
    it. ``payload`` and ``result`` are JSON. Whoever waits at ``callback_url`` is told of its end by another job.
    """

    __tablename__ = "job"
    __table_args__ = (Index(None, "state", "due_at"), Index(None, "account_id", "state"))

    id: Mapped[str] = mapped_column(String(36), primary_key=True, default=new_id)
    account_id: Mapped[str] = mapped_column(ForeignKey("account.id"))
    kind: Mapped[str] = mapped_column(String(32))
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    callback_url: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(8), default="queued")
    attempts: Mapped[int] = mapped_column(default=0)
    owner: Mapped[str | None] = mapped_column(String(36))
    result: Mapped[bytes | None] = mapped_column(LargeBinary)
    error: Mapped[str | None] = mapped_column(Text)
    error_status: Mapped[int | None]
    due_at: Mapped[datetime] = mapped_column(default=now)
    created_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None] = mapped_column(index=True)


class File(Base):
    """A file that is served until it expires. ``key`` is that of its blob: the same content is one file."""

    __tablename__ = "file"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    mime: Mapped[str] = mapped_column(String(40))
    size: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime] = mapped_column(index=True)
