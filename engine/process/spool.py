"""Recordings of learned voices on the disk: a worker that is started again learns them again."""

import contextlib
import fcntl
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.speech import Reference

Recordings = tuple[tuple[str, int, str], ...]
"""Of one voice: files of raw float32 samples, their rates in Hz, and what is said in them."""

_PREFIX = "parrotfish-voices-"
_LOCK = "lock"


class Spool:
    """A folder that only this user reads, from the first recording on and as long as an engine runs.

    It also removes those of engines that were killed. All of it is work for a thread.
    """

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._written = 0
        self._locked = contextlib.ExitStack()
        for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError), (folder / _LOCK).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # who holds it lives
                shutil.rmtree(folder)

    def keep(self, references: Sequence[Reference]) -> Recordings:
        """Write the recordings of a voice. Raises OSError if the disk is full; nothing is left of them then."""
        folder = self._folder = self._folder or self._make()
        files: list[Path] = []
        try:
            for reference in references:
                self._written += 1
                files.append(folder / f"{self._written}.f32")
                np.ascontiguousarray(reference.pcm, np.float32).tofile(files[-1])
        except OSError:
            _remove(files)
            raise
        return tuple(
            (str(file), reference.sample_rate, reference.text)
            for file, reference in zip(files, references, strict=True)
        )

    def drop(self, recordings: Recordings) -> None:
        """Remove those of a voice."""
        _remove([Path(file) for file, _, _ in recordings])

    def close(self) -> None:
        """Remove all of it."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._locked.close()

    def _make(self) -> Path:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        lock = self._locked.enter_context((folder / _LOCK).open("a"))
        fcntl.flock(lock, fcntl.LOCK_EX)
        return folder


def _remove(files: Sequence[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
