"""What is asked of an endpoint: the JSON of a request. Pure."""

import io
import wave
from base64 import b64encode
from collections.abc import Sequence

import numpy as np
import orjson

from engine.errors import SpeechError
from engine.models.openai_speech.config import OpenAISpeechConfig
from engine.speech import Reference, StreamOptions

LONGEST_REFERENCES = 60.0
"""Seconds of a voice's recordings: they travel with every request, 0.12 MB for each second."""


def speech_body(
    config: OpenAISpeechConfig,
    text: str,
    voice: str,
    speed: float,
    options: StreamOptions,
    references: bytes | None = None,
) -> bytes:
    """The request for a text. ``references`` are a cloned voice's recordings, made by :func:`encoded`."""
    fields: dict[str, object] = {**config.standing_fields, "input": text, "voice": voice}
    if config.speeds != (1.0, 1.0):
        fields["speed"] = round(speed, 3)
    if config.sampling:
        sampling = options.sampling
        fields |= {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "repetition_penalty": sampling.repetition_penalty,
        }
        if sampling.max_new_tokens:
            fields["max_new_tokens"] = sampling.max_new_tokens
        if sampling.seed is not None:
            fields["seed"] = sampling.seed
    body = orjson.dumps(fields)
    return body if references is None else body[:-1] + b',"references":' + references + b"}"


def encoded(references: Sequence[Reference]) -> bytes:
    """Recordings as JSON: WAV in data URLs, as SGLang-Omni and vLLM-Omni take them.

    Raises :class:`SpeechError` if they are too long together.
    """
    seconds = sum(len(reference.pcm) / reference.sample_rate for reference in references)
    if seconds > LONGEST_REFERENCES:
        raise SpeechError(
            f"the recordings last {seconds:.0f} s; expected at most {LONGEST_REFERENCES:g} s of a voice"
        )
    return orjson.dumps(
        [
            {
                "audio_path": f"data:audio/wav;base64,{b64encode(_wav(reference)).decode()}",
                "text": reference.text,
            }
            for reference in references
        ]
    )


def _wav(reference: Reference) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(reference.sample_rate)
        out.writeframes((np.clip(reference.pcm, -1.0, 1.0) * 32767).astype("<i2").tobytes())
    return file.getvalue()
