"""The text to speak, piece by piece as it comes in."""

import asyncio
import codecs
import contextlib
import os
import threading
from collections.abc import AsyncIterator

import click

_READ_BYTES = 65_536
_READS_AHEAD = 4  # for a text that comes in faster than it is spoken


async def spelled_text(text: str) -> AsyncIterator[str]:
    """A text that is there."""
    yield text


async def piped_text(descriptor: int) -> AsyncIterator[str]:
    """UTF-8 from a pipe, a file or a terminal: each read is passed on at once, whatever it breaks off in.

    Raises :class:`click.ClickException` for what is not UTF-8.
    """
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    try:
        async for data in _reads(descriptor):
            if text := decoder.decode(data):
                yield text
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise click.ClickException(
            f"stdin is not UTF-8 text ({error.reason}); if it is text in another encoding, pass it through "
            "iconv, for instance: iconv -f latin1 -t utf8"
        ) from None


async def _reads(descriptor: int) -> AsyncIterator[bytes]:
    """What each read returns, up to the end.

    A daemon thread reads, since asyncio can wait for a pipe but not for a file, and since no other thread can
    be left behind in a read that never returns.
    """
    loop = asyncio.get_running_loop()
    results: asyncio.Queue[bytes | OSError] = asyncio.Queue()
    room = threading.Semaphore(_READS_AHEAD)

    def read() -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know any more
            data: bytes | OSError = b"-"
            while data and not isinstance(data, OSError):
                room.acquire()
                try:
                    data = os.read(descriptor, _READ_BYTES)
                except OSError as error:
                    data = error
                loop.call_soon_threadsafe(results.put_nowait, data)

    threading.Thread(target=read, name="parrotfish-stdin", daemon=True).start()
    try:
        while data := await results.get():
            if isinstance(data, OSError):
                raise click.ClickException(f"stdin: {data.strerror}")
            yield data
            room.release()
    finally:
        room.release(_READS_AHEAD)  # let the thread run to its end
