"""Files that are served for a time, to whoever has their signed address."""

import asyncio
import hashlib
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from starlette.responses import FileResponse, Response, StreamingResponse

from transports.errors import RequestError
from transports.jobs.secret import Signer
from transports.jobs.tables import File
from transports.store import BlobMissing, Blobs, Database, StoreError, now

SWEEP_SECONDS = 60.0
_SWEPT_AT_ONCE = 100

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """A file as it is to be asked for: by its name, until the time ``expires`` (seconds since 1970)."""

    name: str
    expires: int


class Files:
    """Keeps files for ``seconds``, then deletes them. ``blobs`` is theirs alone."""

    def __init__(self, database: Database, blobs: Blobs, signer: Signer, seconds: float) -> None:
        self._database = database
        self._blobs = blobs
        self._signer = signer
        self._life = timedelta(seconds=seconds)
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to delete what has expired."""
        await self._blobs.start()
        self._sweeper = asyncio.create_task(self._sweep_now_and_then())

    async def close(self) -> None:
        """Leave the rest to the next process."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)

    async def keep(self, path: Path, mime: str, suffix: str) -> Kept:
        """Keep a copy of a file; its name will end in ``suffix``.

        Its row is there before its content, and holds off whoever deletes the same content, which has expired.
        """
        key, size = await asyncio.to_thread(_digest, path)
        until = now() + self._life
        try:
            await self._note(key, mime, size, until)
        except IntegrityError:  # somebody else was first
            await self._note(key, mime, size, until)
        await self._blobs.put(path)
        return Kept(f"{key}{suffix}", int(until.timestamp()))

    async def _note(self, key: str, mime: str, size: int, until: datetime) -> None:
        async with self._database.session() as session:
            query = select(File).where(File.key == key).with_for_update()
            if (file := await session.scalar(query)) is None:
                session.add(File(key=key, mime=mime, size=size, expires_at=until))
            else:
                file.expires_at = max(file.expires_at, until)

    def url(self, base: str, kept: Kept) -> str:
        """The address of a file below the server's own, ``base``."""
        signature = self._signer.sign(kept.name, kept.expires)
        query = urlencode({"expires": kept.expires, "signature": signature})
        return f"{base.rstrip('/')}/files/{kept.name}?{query}"

    async def response(self, kept: Kept, signature: str) -> Response:
        """The file. Raises RequestError for an address that was not, or is no longer, good."""
        if not self._signer.knows(signature, kept.name, kept.expires):
            raise RequestError("signature: not that of this address", 403, field="signature")
        if kept.expires < now().timestamp():
            raise RequestError("expires: this address is no longer good", 410, field="expires")
        key = kept.name.partition(".")[0]
        async with self._database.reading() as session:
            file = await session.get(File, key)
        try:
            if file is None or await self._blobs.size(key) != file.size:
                raise BlobMissing(key)
        except BlobMissing:
            raise RequestError(f"{kept.name}: this file is gone", 404) from None
        headers = {
            "Cache-Control": "private, immutable",
            "X-Content-Type-Options": "nosniff",
            "Content-Disposition": f'inline; filename="{kept.name}"',
        }
        if path := self._blobs.path(key):
            return FileResponse(path, headers=headers, media_type=file.mime)
        headers["Content-Length"] = str(file.size)
        return StreamingResponse(self._blobs.stream(key), headers=headers, media_type=file.mime)

    async def sweep(self) -> None:
        """Delete what has expired."""
        expired = select(File.key).where(File.expires_at < now()).order_by(File.key).limit(_SWEPT_AT_ONCE)
        last = ""
        while True:
            async with self._database.reading() as session:
                keys = list(await session.scalars(expired.where(File.key > last)))
            if not keys:
                return
            for last in keys:
                try:
                    await self._delete(last)
                except Exception as error:  # of a bucket, of any class: the others need not stay for it
                    log.error("a file that has expired cannot be deleted: %s", error)

    async def _delete(self, key: str) -> None:
        """Delete a file that has expired."""
        # Within the transaction: nobody may keep the same content between the two deletions.
        async with self._database.session() as session:
            query = select(File).where(File.key == key, File.expires_at < now()).with_for_update()
            if (file := await session.scalar(query)) is not None:
                await self._blobs.delete(key)
                await session.delete(file)

    async def _sweep_now_and_then(self) -> None:
        while True:
            try:
                await self.sweep()
            except StoreError as error:
                log.error("files that have expired cannot be deleted: %s", error)
            await asyncio.sleep(SWEEP_SECONDS)


def _digest(path: Path) -> tuple[str, int]:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
