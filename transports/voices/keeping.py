"""The blobs of the library: none that a voice refers to is ever missing, and none is left that nothing refers to.

A blob is registered before it is written and until it is deleted, so that what a killed process left behind is
found without looking through the whole store.
"""

import asyncio
import hashlib
from collections.abc import Iterable
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, case, delete, exists, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from transports.store import Blobs, Database, now
from transports.voices.tables import KeptBlobRow, SampleRow, VoiceRow

GRACE = timedelta(hours=1)
"""Who has put a blob and refers to it no sooner than this is thought to be dead."""


class Keeper:
    """Puts blobs for those who will refer to them, and deletes them when nobody does any more."""

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs

    async def put(self, content: bytes) -> str:
        """Keep the content and return its key, with a claim to it: to be settled, or released."""
        key = await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest())
        async with self._database.session() as session:
            await session.execute(_claim(session, key))
        await self._blobs.put(content)
        return key

    async def settle(self, session: AsyncSession, keys: Iterable[str]) -> None:
        """End a claim to each key, in the transaction that refers to them."""
        for key in sorted(keys):
            row = update(KeptBlobRow).where(KeptBlobRow.key == key)
            await session.execute(
                row.values(claims=case((KeptBlobRow.claims > 0, KeptBlobRow.claims - 1), else_=0))
            )

    async def release(self, keys: Iterable[str]) -> None:
        """Give up a claim to each key: nothing will refer to it."""
        keys = sorted(keys)
        async with self._database.session() as session:
            await self.settle(session, keys)
        await self.collect(keys)

    async def collect(self, keys: Iterable[str]) -> None:
        """Delete those that nothing refers to, and nobody is about to refer to."""
        for key in sorted(set(keys)):
            async with self._database.session() as session:
                # Whoever puts the same content, or refers to it, waits for this row or is waited for; only then
                # is it known whether anybody does.
                mine = select(KeptBlobRow.key).where(KeptBlobRow.key == key)
                await session.execute(mine.with_for_update())
                if await session.scalar(mine.where(_orphaned())):
                    await self._blobs.delete(key)
                    await session.execute(delete(KeptBlobRow).where(KeptBlobRow.key == key))

    async def sweep(self) -> None:
        """Delete what killed processes left behind."""
        async with self._database.reading() as session:
            orphans = list(await session.scalars(select(KeptBlobRow.key).where(_orphaned())))
        await self.collect(orphans)


def _claim(session: AsyncSession, key: str) -> sqlite.Insert | postgresql.Insert:
    """Register a blob with one claim, or one claim more."""
    insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    at = now()
    return (
        insert(KeptBlobRow)
        .values(key=key, claims=1, claimed_at=at)
        .on_conflict_do_update(
            index_elements=[KeptBlobRow.key], set_={"claims": KeptBlobRow.claims + 1, "claimed_at": at}
        )
    )


def _orphaned() -> ColumnElement[bool]:
    """Whether a registered blob is one that nothing refers to or will."""
    return and_(
        or_(KeptBlobRow.claims <= 0, KeptBlobRow.claimed_at < now() - GRACE),
        ~exists().where(SampleRow.audio == KeptBlobRow.key),
        ~exists().where(VoiceRow.cover == KeptBlobRow.key),
    )
