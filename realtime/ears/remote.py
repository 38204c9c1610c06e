"""Any server with OpenAI's ``/audio/transcriptions`` as a recogniser."""

import io
import wave
from collections.abc import Sequence
from typing import Any

import httpx
import numpy as np
from pydantic import BaseModel, ValidationError

from engine.origin import trace_headers
from engine.speech import Pcm
from realtime.ears.recogniser import (
    HEARING_RATE,
    HeardSegment,
    HearingOverloaded,
    RecogniserFailed,
    RecogniserInfo,
)

_TIMEOUT = httpx.Timeout(120.0, connect=5.0)
_SHOWN = 300  # characters of what the other server says of an error


class _Segment(BaseModel):
    start: float
    end: float
    text: str


class _Answer(BaseModel):
    text: str
    segments: list[_Segment] | None = None


class Remote:
    """A recogniser at ``url``, such as https://api.openai.com/v1, where it is called ``model``.

    It is asked for segments with times; if it has none, a piece is one segment.
    """

    def __init__(self, url: str, model: str, key: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._client = httpx.Client(
            base_url=url, headers=headers, timeout=_TIMEOUT, transport=httpx.HTTPTransport(retries=1)
        )
        self._model = model
        self._format = "verbose_json"
        # Pieces as long as Whisper's windows, which most of such servers have.
        self.info = RecogniserInfo(model, (), max_seconds=30.0, min_seconds=20.0, parallel=8)

    def transcribe(self, pcm: Pcm, language: str | None) -> Sequence[HeardSegment]:
        """What the other server hears."""
        audio = _wav(pcm)
        response = self._ask(audio, language, self._format)
        if response.status_code == 400 and self._format == "verbose_json":
            response = self._ask(audio, language, "json")  # some models give no times
            if response.is_success:
                self._format = "json"
        if response.status_code in (429, 503):
            raise HearingOverloaded(_seconds(response.headers.get("retry-after")))
        if not response.is_success:
            brief = f"{self.info.name}: the recogniser answered {response.status_code}"
            raise RecogniserFailed(brief, response.text[:_SHOWN])
        try:
            answer = _Answer.model_validate_json(response.content)
        except ValidationError as error:
            raise RecogniserFailed(f"{self.info.name}: the recogniser gave no transcript") from error
        if answer.segments is None:
            text = answer.text.strip()
            return [HeardSegment(0.0, len(pcm) / HEARING_RATE, text)] if text else []
        return [HeardSegment(part.start, part.end, part.text.strip()) for part in answer.segments]

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def _ask(self, audio: bytes, language: str | None, kind: str) -> httpx.Response:
        fields: dict[str, Any] = {"model": self._model, "response_format": kind}
        if language:
            fields["language"] = language
        try:
            return self._client.post(
                "audio/transcriptions",
                data=fields,
                files={"file": ("audio.wav", audio, "audio/wav")},
                headers=trace_headers(),
            )
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise RecogniserFailed(f"{self.info.name}: the recogniser cannot be reached: {reason}") from error


def _wav(pcm: Pcm) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(HEARING_RATE)
        out.writeframes((np.clip(pcm, -1.0, 1.0) * 32767).astype("<i2").tobytes())
    return file.getvalue()


def _seconds(retry_after: str | None) -> float:
    """The header's value, within reason."""
    return float(retry_after) if retry_after and retry_after.isdecimal() and len(retry_after) < 4 else 5.0
