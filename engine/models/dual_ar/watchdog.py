"""Notices that a segment has gone astray: the model repeats itself, or has fallen silent and does not end."""

from engine.models.words import SILENCE

FRAME_SECONDS = 2048 / 44_100
LONGEST_PERIOD = 8
"""Frames after which a loop comes round at most; longer ones do not occur while tokens are drawn at random."""
LOOP_SECONDS = 3.0
"""Nobody holds a sound, or repeats a syllable exactly, for so long: sung vowels end within a second."""
SILENT_SECONDS = 4.0
"""No pause within a segment is so long: those of speech, paragraphs included, end within two seconds."""
RELATIVE_SILENCE = 0.02
"""A frame is silent below SILENCE in any case, and below this share of the loudest one of its segment (-34 dB): a
recording has its noise."""


class Watchdog:
    """Watches one segment as it is generated, frame by frame."""

    def __init__(self, frame_seconds: float = FRAME_SECONDS) -> None:
        self._frame_seconds = frame_seconds
        self._frames = 0
        self._recent: list[int] = []  # the latest first
        self._runs = [0] * LONGEST_PERIOD  # frames for which code 0 has been that of 1, 2, ... frames before
        self._silent = 0
        self._loudest = 0.0

    def push(self, code_0: int, rms: float) -> str | None:
        """The next frame's first code and loudness; why the segment has to end now, in words for its caller."""
        self._frames += 1
        self._loudest = max(self._loudest, rms)
        silent = rms < max(SILENCE, RELATIVE_SILENCE * self._loudest)
        self._silent = self._silent + 1 if silent else 0
        for index, before in enumerate(self._recent):
            self._runs[index] = self._runs[index] + 1 if code_0 == before and not silent else 0
        self._recent = [code_0, *self._recent[: LONGEST_PERIOD - 1]]

        if self._silent * self._frame_seconds > SILENT_SECONDS:
            return self._reason(f"was silent for {SILENT_SECONDS:g} s without coming to an end")
        if max(self._runs) * self._frame_seconds > LOOP_SECONDS:
            return self._reason(f"repeated the same sound for {LOOP_SECONDS:g} s")
        return None

    def _reason(self, what: str) -> str:
        return (
            f"the voice {what} and was stopped after {self._frames * self._frame_seconds:.1f} s; try again with "
            "another seed, a higher temperature or repetition_penalty, or a shorter text"
        )
