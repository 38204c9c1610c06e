"""Recordings of learned voices on the disk: a worker that is started again learns them again."""

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from engine.speech import Reference

Recordings = tuple[tuple[str, int, str], ...]
"""Of one voice: files of raw float32 samples, their rates in Hz, and what is said in them."""


class Spool:
    """A folder that only this user reads, for as long as an engine runs. All of it is work for a thread."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="parrotfish-voices-"))
        self._written = 0

    def keep(self, references: Sequence[Reference]) -> Recordings:
        """Write the recordings of a voice. Raises OSError if the disk is full; nothing is left of them then."""
        files: list[Path] = []
        try:
            for reference in references:
                self._written += 1
                files.append(self.folder / f"{self._written}.f32")
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
        shutil.rmtree(self.folder, ignore_errors=True)


def _remove(files: Sequence[Path]) -> None:
    for file in files:
        file.unlink(missing_ok=True)
