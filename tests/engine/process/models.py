"""Models for worker processes: tones, some of which end their process, and a note of what was called."""

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from engine import (
    Frame,
    ModelSpec,
    ModelUnavailable,
    Reference,
    Segment,
    SpeechError,
    SpeechModel,
    StreamId,
    StreamOptions,
)
from engine.errors import UnusableVoice
from tests.tones import ToneModel

SPEC = ModelSpec(f"{__name__}:tones")


class MortalTones(ToneModel):
    """Text with "die" in it kills the process in prefill, "exit" ends it; with "hang" it never ends.

    So do recordings with such a text. ``notes`` is a file in which each call is written down, a line each.
    """

    notes: Path | None = None

    def prefill(self, stream: StreamId, segment: Segment, options: StreamOptions) -> None:
        """Take a segment."""
        if "unusable" in segment.text:
            raise UnusableVoice("the voice is too long")
        _meet_fate(segment.text)
        super().prefill(stream, segment, options)
        self._note(f"prefill {stream} {segment.text[:10]}")

    def step(self, streams: Sequence[StreamId]) -> Sequence[Frame | SpeechError]:
        """One frame of each."""
        self._note(f"step {' '.join(map(str, streams))}")
        return super().step(streams)

    def release(self, stream: StreamId) -> None:
        """Forget a stream."""
        super().release(stream)
        self._note(f"release {stream}")

    def learn(self, voice: str, references: Sequence[Reference]) -> None:
        """Learn a tone."""
        self._note(f"learn {voice}")
        _meet_fate(references[0].text)
        super().learn(voice, references)

    def forget(self, voice: str) -> None:
        """Let go of it."""
        super().forget(voice)
        self._note(f"forget {voice}")

    def close(self) -> None:
        """The last call."""
        super().close()
        self._note("close")

    def _note(self, line: str) -> None:
        if self.notes is not None:
            with self.notes.open("a") as file:
                file.write(line + "\n")


def _meet_fate(text: str) -> None:
    if "die" in text:
        os.kill(os.getpid(), signal.SIGKILL)
    if "exit" in text:
        os._exit(3)
    while "hang" in text:
        time.sleep(60)


def tones(notes: str | None = None, **attributes: object) -> ToneModel:
    """A model of tones."""
    model = MortalTones(**attributes)  # type: ignore[arg-type]
    model.notes = Path(notes) if notes else None
    return model


def tiny_s2(folder: str) -> SpeechModel:
    """A Dual-AR model of random weights."""
    from engine.models.dual_ar import DualAROptions, load_dual_ar

    return load_dual_ar(Path(folder), DualAROptions(device="cpu", max_streams=1))


def unloadable(reason: str, told: bool) -> ToneModel:
    """No model, but why not."""
    raise ModelUnavailable(reason) if told else FileNotFoundError(reason)


def loads_once(notes: str) -> ToneModel:
    """A model the first time, and never again while the file is there."""
    with contextlib.suppress(FileExistsError):
        Path(notes).touch(exist_ok=False)
        return tones()
    raise FileNotFoundError("the weights are gone")


def ends_while_loading() -> ToneModel:
    """The process is gone before there is a model."""
    os._exit(5)


def lines(path: Path) -> list[str]:
    """What was noted by now."""
    return path.read_text().splitlines() if path.exists() else []
