"""Moonshine tiny, the bundled recogniser: English, on any CPU."""

import ctypes
import threading
from collections.abc import Sequence

import moonshine_voice
import numpy as np
from moonshine_voice.errors import check_error
from moonshine_voice.moonshine_api import TranscriptC
from moonshine_voice.transcriber import Transcriber

from engine.speech import Pcm
from realtime.ears.recogniser import (
    HEARING_RATE,
    HeardSegment,
    RecogniserFailed,
    RecogniserInfo,
    UnknownLanguage,
    joined,
)

_SHORTEST = HEARING_RATE // 2  # what is shorter is filled up with silence, or it hears nothing


class Moonshine:
    """A recogniser; what it loads takes about 170 MB of memory."""

    def __init__(self) -> None:
        # The phrases are cut already: its own detector of voices would cut them again, in the middle of words.
        options = {"vad_threshold": "0", "return_audio_data": "false"}
        self._model = Transcriber(
            moonshine_voice.get_model_path("tiny-en"), moonshine_voice.ModelArch.TINY, options=options
        )
        self._lock = threading.Lock()  # what it hears lies in memory that its next call overwrites
        # Given more than 7 s at a time it loses words, or says a phrase twice.
        self.info = RecogniserInfo("moonshine-tiny-en", ("en",), max_seconds=7.0)

    def transcribe(self, pcm: Pcm, language: str | None) -> Sequence[HeardSegment]:
        """What is said, in one segment."""
        if language not in (None, "en"):
            raise UnknownLanguage(language, self.info.name, self.info.languages)
        seconds = len(pcm) / HEARING_RATE
        samples = np.ascontiguousarray(np.pad(pcm, (0, max(0, _SHORTEST - len(pcm)))), np.float32)
        heard = ctypes.POINTER(TranscriptC)()
        with self._lock:
            if self._model._handle is None:
                raise RecogniserFailed(f"{self.info.name} is closed")
            # Its Python method makes a list of the samples, and an array of the list: 8 ms in which no other
            # thread runs, the event loop's neither.
            error = self._model._lib.moonshine_transcribe_without_streaming(
                self._model._handle,
                samples.ctypes.data_as(ctypes.POINTER(ctypes.c_float)),
                samples.size,
                HEARING_RATE,
                0,
                ctypes.byref(heard),
            )
            try:
                check_error(error)
            except moonshine_voice.MoonshineError as failed:
                raise RecogniserFailed(self.info.name, str(failed)) from failed
            text = joined(line.text for line in self._model._parse_transcript(heard).lines)
        return [HeardSegment(0.0, seconds, text)] if text else []

    def close(self) -> None:
        """Free its memory."""
        with self._lock:
            self._model.close()
