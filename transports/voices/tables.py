"""The tables of the voice library."""

import json
from datetime import datetime
from typing import Any, Literal

import orjson
from sqlalchemy import Boolean, ColumnElement, Dialect, Double, ForeignKey, Index, String, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Mapped, mapped_column, relationship
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

from transports.store.base import Base, now

Visibility = Literal["public", "unlist", "private"]
State = Literal["created", "training", "trained", "failed"]


class Texts(TypeDecorator[tuple[str, ...]]):
    """A few texts in the voice's own row, which is looked at anyway: JSON, on a line of its own each.

    JSON has no line breaks in a text. So :meth:`line` of a text is part of the column if, and only if, the text
    is one of its texts.
    """

    impl = Text
    cache_ok = True

    @staticmethod
    def line(text: str) -> str:
        """What is part of the column if the text is one of its texts."""
        return f"\n{json.dumps(text, ensure_ascii=False)}\n"

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: Dialect) -> str | None:
        """To lines. What one text ends with, the next one begins with."""
        if value is None:
            return None
        return "".join(self.line(text)[:-1] for text in value) + "\n"

    def process_result_value(self, value: str | None, dialect: Dialect) -> tuple[str, ...] | None:
        """From lines."""
        return None if value is None else tuple(map(orjson.loads, value.split("\n")[1:-1]))


class Within(FunctionElement[bool]):
    """Whether the first text has the second one in it. Unlike SQLite's LIKE it knows "a" from "A"."""

    type = Boolean()
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any], part: ColumnElement[str]) -> None:
        super().__init__(column, part)


@compiles(Within)
def _strpos(element: Within, compiler: SQLCompiler, **options: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **options)}) > 0"


@compiles(Within, "sqlite")
def _instr(element: Within, compiler: SQLCompiler, **options: Any) -> str:
    return f"instr({compiler.process(element.clauses, **options)}) > 0"


class VoiceRow(Base):
    """A voice, and how far its training is.

    Whoever trains it has it until ``leased_until``, under the name ``lease``; ``attempts`` have been begun.
    ``revision`` is another one whenever its recordings or texts are others: what a model learned from an earlier
    one does not count. ``folded_title`` is for searching. ``tags`` are in the order in which they were given,
    ``languages`` those that are spoken in its recordings.
    """

    __tablename__ = "voice"
    __table_args__ = (
        # A page is read off one of these, with who may see it.
        Index("ix_voice_newest", "created_at", "id", "account_id", "visibility", "state"),
        Index("ix_voice_popular", "task_count", "created_at", "id", "account_id", "visibility", "state"),
        Index("ix_voice_own_newest", "account_id", "created_at", "id", "visibility", "state"),
        Index("ix_voice_own_popular", "account_id", "task_count", "created_at", "id", "visibility", "state"),
        Index("ix_voice_state", "state", "created_at"),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("account.id"))
    title: Mapped[str] = mapped_column(Text)
    folded_title: Mapped[str] = mapped_column(Text)
    title_language: Mapped[str] = mapped_column(String(16))
    languages: Mapped[tuple[str, ...]] = mapped_column(Texts)
    tags: Mapped[tuple[str, ...]] = mapped_column(Texts)
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

    samples: Mapped[list["SampleRow"]] = relationship(
        order_by="SampleRow.number", cascade="all, delete-orphan"
    )


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
