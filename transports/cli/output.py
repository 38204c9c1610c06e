"""Where the audio goes: stdout as it comes, or a file that is there whole or not at all."""

import contextlib
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from engine.audio import OutputFormat

Output = Callable[[bytes], None]
"""Writes the next bytes. Raises :class:`ListenerGone` or OSError."""

STDOUT = 1
_WAV_HEADER = 44


class ListenerGone(Exception):
    """Whoever read our stdout has had enough."""


@contextlib.contextmanager
def open_output(path: Path | None, output: OutputFormat) -> Iterator[Output]:
    """Open a file to write, or stdout for None.

    A file appears under its name when all is written, and not at all if an error ends the block; a device or
    a named pipe is written to directly.
    """
    if path is None:
        yield _write_stdout
    elif path.exists() and not path.is_file():
        with path.open("wb", buffering=0) as device:
            yield _writer(device)
    else:
        target = path.resolve()  # a link stays one
        part = target.with_name(f".{target.name}.{os.getpid()}.part")
        try:
            with part.open("xb") as file:
                yield _writer(file)
                if output.container == "wav":
                    _complete_wav(file)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)


def _writer(file: BinaryIO) -> Output:
    def write(data: bytes) -> None:
        file.write(data)

    return write


def _write_stdout(data: bytes) -> None:
    # Past sys.stdout: its buffer would hold bytes back, and complain at exit if the reader had gone.
    left = memoryview(data)
    try:
        while left:
            left = left[os.write(STDOUT, left) :]
    except BrokenPipeError:
        raise ListenerGone from None


def _complete_wav(file: BinaryIO) -> None:
    """Put the real sizes into the header of a WAV, which was written as one without an end."""
    size = file.tell()
    if _WAV_HEADER <= size < 2**32:  # beyond, no size would be right, and the endless one is the best
        for offset, value in ((4, size - 8), (_WAV_HEADER - 4, size - _WAV_HEADER)):
            file.seek(offset)
            file.write(struct.pack("<I", value))
