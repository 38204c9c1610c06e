"""Content-addressed files: each is named by the SHA-256 of what is in it, in a folder or in a bucket.

A name is only ever a hash, so nothing that a client calls its file reaches a path.
"""

import asyncio
import contextlib
import hashlib
import io
import os
import re
import shutil
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from uuid import uuid4

from engine.urls import without_secrets
from transports.store.errors import BlobMissing, StoreError

CHUNK_BYTES = 256 * 1024
# A file that has been in the making for this long was given up by a process that died.
STALE_SECONDS = 3600.0
_KEY = re.compile(r"[0-9a-f]{64}")


class _Place(Protocol):
    """Where blobs are kept. Every method blocks."""

    def start(self) -> None: ...
    def put(self, key: str, content: bytes | Path) -> None: ...
    def open(self, key: str) -> BinaryIO: ...
    def size(self, key: str) -> int: ...
    def delete(self, key: str) -> None: ...


class Blobs:
    """The blobs of a folder, or of any URL that fsspec can open ("s3://bucket/prefix").

    A blob is there whole or not at all, and the same content is kept once: who deletes one has made sure that
    nothing else refers to it. Everything runs in threads. Raises ValueError for what is no key, and
    :class:`StoreError` where nothing can be written.
    """

    def __init__(self, where: str | Path) -> None:
        url = str(where).removeprefix("file://")
        self._where = without_secrets(url) if "://" in url else url  # as it is told
        self._folder = None if "://" in url else _Folder(Path(url))
        self._place: _Place = self._folder or _Bucket(url)

    async def start(self) -> None:
        """Make the folder, and clear away what a killed process left unfinished."""
        await asyncio.to_thread(self._place.start)

    async def put(self, content: bytes | Path) -> str:
        """Keep the content, or that of a file; returns its key. From then on it survives a power failure."""
        return await asyncio.to_thread(self._put, content)

    async def get(self, key: str) -> bytes:
        """The content. Raises :class:`BlobMissing`."""

        def read() -> bytes:
            with self._place.open(_checked(key)) as file:
                return file.read()

        return await asyncio.to_thread(read)

    async def stream(self, key: str, start: int = 0) -> AsyncIterator[bytes]:
        """The content from the byte ``start`` on, in pieces. Raises :class:`BlobMissing` with the first."""
        file = await asyncio.to_thread(self._place.open, _checked(key))
        try:
            await asyncio.to_thread(file.seek, start)
            while piece := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield piece
        finally:
            file.close()

    async def size(self, key: str) -> int:
        """How many bytes it has. Raises :class:`BlobMissing`."""
        return await asyncio.to_thread(self._place.size, _checked(key))

    async def exists(self, key: str) -> bool:
        """Whether it is there."""
        try:
            await self.size(key)
        except BlobMissing:
            return False
        return True

    async def delete(self, key: str) -> None:
        """Forget it; no error if it is not there."""
        await asyncio.to_thread(self._place.delete, _checked(key))

    def path(self, key: str) -> Path | None:
        """The file, for programs that read files; None in a bucket."""
        return None if self._folder is None else self._folder.path(_checked(key))

    def _put(self, content: bytes | Path) -> str:
        digest, size = hashlib.sha256(), 0
        with _opened(content) as file:
            while piece := file.read(CHUNK_BYTES):
                digest.update(piece)
                size += len(piece)
        key = digest.hexdigest()
        try:
            there = self._place.size(key) == size
        except BlobMissing:
            there = False
        if not there:
            try:
                self._place.put(key, content)
            except OSError as error:  # a disk that is full, or gone, or not to be written
                raise StoreError(f"{self._where} cannot be written: {error.strerror or error}") from error
        return key


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError(f"blob key: got {key[:80]!r}; expected 64 hexadecimal digits")
    return key


def _opened(content: bytes | Path) -> BinaryIO:
    return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")


class _Folder:
    """A local folder: ``ab/cd/<key>``, so that no folder holds too many files."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._parts = root / "parts"

    def path(self, key: str) -> Path:
        return self._root / key[:2] / key[2:4] / key

    def start(self) -> None:
        self._parts.mkdir(parents=True, exist_ok=True, mode=0o700)
        for part in self._parts.iterdir():
            with contextlib.suppress(FileNotFoundError):
                if part.stat().st_mtime < time.time() - STALE_SECONDS:
                    part.unlink()

    def put(self, key: str, content: bytes | Path) -> None:
        target = self.path(key)
        part = self._parts / uuid4().hex
        try:
            with _opened(content) as source, part.open("xb") as file:
                shutil.copyfileobj(source, file, CHUNK_BYTES)
                file.flush()
                os.fsync(file.fileno())
            target.parent.mkdir(parents=True, exist_ok=True)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
        for folder in (target.parent, target.parent.parent, self._root):
            _sync(folder)

    def open(self, key: str) -> BinaryIO:
        with _missing(key):
            return self.path(key).open("rb")

    def size(self, key: str) -> int:
        with _missing(key):
            return self.path(key).stat().st_size

    def delete(self, key: str) -> None:
        self.path(key).unlink(missing_ok=True)


class _Bucket:
    """A place that fsspec knows. What was left half written there has no reader, and the wrong size."""

    def __init__(self, url: str) -> None:
        scheme, separator, place = url.partition("://")
        self._url = f"{scheme}{separator}{place.rstrip('/')}"
        self._fs: Any = None
        self._root = ""

    def start(self) -> None:
        try:
            from fsspec.core import url_to_fs  # only for those who have a bucket

            self._fs, self._root = url_to_fs(self._url, use_listings_cache=False)
        except ImportError as error:
            raise self._unusable(f"{error}; for s3:// pip install 'parrotfish[s3]'") from None
        except (OSError, ValueError) as error:
            raise self._unusable(getattr(error, "strerror", None) or str(error)) from None
        if not self._root:
            raise self._unusable("it names no bucket; expected one such as s3://bucket/prefix")

    def _unusable(self, reason: str) -> StoreError:
        return StoreError(f"--blobs-url: {without_secrets(self._url)} cannot be used: {reason}")

    def put(self, key: str, content: bytes | Path) -> None:
        target = self._path(key)
        try:
            self._write(target, content)
        except FileNotFoundError:  # a place that has folders
            self._fs.makedirs(target.rpartition("/")[0], exist_ok=True)
            self._write(target, content)

    def _write(self, target: str, content: bytes | Path) -> None:
        if isinstance(content, bytes):
            self._fs.pipe_file(target, content)
        else:
            self._fs.put_file(str(content), target)

    def _path(self, key: str) -> str:
        return f"{self._root}/{key[:2]}/{key[2:4]}/{key}"

    def open(self, key: str) -> BinaryIO:
        with _missing(key):
            file: BinaryIO = self._fs.open(self._path(key), "rb")
            return file

    def size(self, key: str) -> int:
        with _missing(key):
            return int(self._fs.size(self._path(key)))

    def delete(self, key: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._path(key))


@contextlib.contextmanager
def _missing(key: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise BlobMissing(key) from None


def _sync(folder: Path) -> None:
    """Make sure that a name in the folder survives a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
