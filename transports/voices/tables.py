"""The tables of the voice library."""

from datetime import datetime
from typing import Literal

from sqlalchemy import Double, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from transports.store.base import Base, now

Visibility = Literal["public", "unlist", "private"]
State = Literal["created", "training", "trained", "failed"]


class VoiceRow(Base):
    """A voice, and how far its training is.

    Whoever trains it has it until ``leased_until``, under the name ``lease``; ``attempts`` have been begun.
    ``revision`` is another one whenever its recordings or texts are others: what a model learned from an earlier
    one does not count. ``folded_title`` is for searching.
    """

    __tablename__ = "voice"
    __table_args__ = (
        # A page is read off one of these, with who may see it.
        Index("ix_voice_newest", "created_at", "id", "account_id", "visibility", "state"),
        Index("ix_voice_popular", "task_count", "created_at", "id", "account_id", "visibility", "state"),
        Index("ix_voice_own_newest", "account_id", "created_at", "id"),
        Index("ix_voice_own_popular", "account_id", "task_count", "created_at", "id"),
        Index("ix_voice_state", "state", "created_at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("account.id"))
    title: Mapped[str] = mapped_column(Text)
    folded_title: Mapped[str] = mapped_column(Text)
    title_language: Mapped[str] = mapped_column(String(16))
    description: Mapped[str] = mapped_column(Text)
    visibility: Mapped[Visibility] = mapped_column(String(8))
    enhance: Mapped[bool]
    generate_sample: Mapped[bool]
    cover: Mapped[str | None] = mapped_column(String(64), index=True)
    cover_type: Mapped[str | None] = mapped_column(String(32))
    state: Mapped[State] = mapped_column(String(8))
    failure: Mapped[str] = mapped_column(Text, default="")
    revision: Mapped[int] = mapped_column(default=1)
    attempts: Mapped[int] = mapped_column(default=0)
    lease: Mapped[str | None] = mapped_column(String(32))
    leased_until: Mapped[datetime | None]
    task_count: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=now)
    updated_at: Mapped[datetime] = mapped_column(default=now)

    tags: Mapped[list["TagRow"]] = relationship(order_by="TagRow.number", cascade="all, delete-orphan")
    languages: Mapped[list["LanguageRow"]] = relationship(
        order_by="LanguageRow.language", cascade="all, delete-orphan"
    )
    samples: Mapped[list["SampleRow"]] = relationship(
        order_by="SampleRow.number", cascade="all, delete-orphan"
    )


class TagRow(Base):
    """One of a voice's tags, in the order in which they were given."""

    __tablename__ = "voice_tag"
    __table_args__ = (Index("ix_voice_tag_tag", "tag", "voice_id"),)

    voice_id: Mapped[str] = mapped_column(ForeignKey("voice.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    tag: Mapped[str] = mapped_column(String(100))


class LanguageRow(Base):
    """A language that is spoken in a voice's recordings."""

    __tablename__ = "voice_language"
    __table_args__ = (Index("ix_voice_language_language", "language", "voice_id"),)

    voice_id: Mapped[str] = mapped_column(ForeignKey("voice.id", ondelete="CASCADE"), primary_key=True)
    language: Mapped[str] = mapped_column(String(16), primary_key=True)


class SampleRow(Base):
    """A recording as it was prepared, with what is said in it; or speech ``generated`` with the voice."""

    __tablename__ = "voice_sample"

    voice_id: Mapped[str] = mapped_column(ForeignKey("voice.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    text: Mapped[str] = mapped_column(Text)
    audio: Mapped[str] = mapped_column(String(64), index=True)
    seconds: Mapped[float] = mapped_column(Double)
    generated: Mapped[bool] = mapped_column(default=False)


class KeptBlobRow(Base):
    """A blob that is there for voices, or may be: written before the blob is, and deleted after it.

    ``claims`` are those who have put it and not referred to it yet, the last of them at ``claimed_at``.
    """

    __tablename__ = "voice_blob"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    claims: Mapped[int]
    claimed_at: Mapped[datetime]
