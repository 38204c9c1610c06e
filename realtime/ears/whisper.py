"""Whisper in any size and of any make, by faster-whisper; the extra ``[whisper]``."""

from collections.abc import Sequence

from engine.speech import Pcm
from realtime.ears.recogniser import HeardSegment, RecogniserFailed, RecogniserInfo

_WINDOW = 30.0  # seconds that Whisper looks at, however few it is given


class Whisper:
    """A recogniser from ``model``: a folder in CTranslate2's layout, or a name that faster-whisper knows.

    On a GPU if there is one, else on the CPU in 8 bits. Raises ValueError if it cannot be loaded.
    """

    def __init__(self, model: str) -> None:
        try:
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise ValueError("Whisper needs more: pip install 'parrotfish[whisper]'") from error
        try:
            self._model = WhisperModel(model, compute_type="auto")
        except Exception as error:  # of its own, of CTranslate2, of the hub
            raise ValueError(f"{model}: no Whisper model could be loaded from there: {error}") from error
        # Two thirds of a window: room for the word that is being said.
        self.info = RecogniserInfo(
            f"whisper ({model.rstrip('/').rpartition('/')[2]})",
            tuple(self._model.supported_languages),
            max_seconds=_WINDOW,
            min_seconds=_WINDOW * 2 / 3,
        )

    def transcribe(self, pcm: Pcm, language: str | None) -> Sequence[HeardSegment]:
        """What is said, sentence by sentence."""
        try:
            segments, _ = self._model.transcribe(pcm, language=language, condition_on_previous_text=False)
            return [HeardSegment(part.start, part.end, part.text.strip()) for part in segments]
        except RuntimeError as error:
            raise RecogniserFailed(self.info.name, str(error)) from error

    def close(self) -> None:
        """Free its memory."""
        self._model.model.unload_model()
