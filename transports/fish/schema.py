"""The request of the Fish Audio API, and its translation into ours.

Field by field after the official SDK 1.3.0 and the API's documentation of August 2026; where the two differ
both are taken. Null means "not given", unknown fields are ignored.
"""

from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from engine import ModelInfo, Sampling, StreamOptions
from engine.audio import FormatError, output_format
from engine.audio.formats import MP3_KBPS, OPUS_AUTO, OPUS_KBPS, RATES
from realtime import Latency, SpeechRequest
from realtime.normalizer import MULTILINGUAL
from transports.errors import RequestError
from transports.fields import check, given

MAX_SPEAKERS = 64
MAX_REFERENCES = 64

Format = Literal["wav", "pcm", "mp3", "opus", "mulaw", "alaw"]
FORMATS: tuple[Format, ...] = get_args(Format)


def _reference_bytes(value: Any) -> Any:
    """Reference audio is bytes in msgpack, base64 in JSON."""
    return b64decode(value, validate=True) if isinstance(value, str) else value


def _one_of(values: Sequence[int | None]) -> WithJsonSchema:
    """Describes a number that is checked with others later."""
    return WithJsonSchema({"enum": list(values)})


class Reference(BaseModel):
    """A recording to clone, and what is said in it."""

    model_config = ConfigDict(extra="ignore", strict=True)

    audio: Annotated[
        bytes,
        BeforeValidator(_reference_bytes),
        WithJsonSchema({"type": "string", "format": "byte", "description": "Base64; in msgpack bytes."}),
    ]
    text: str = ""


def _number(value: Any) -> Any:
    """One gateway documents speed as a string, and shows it as a number."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _flag(value: Any) -> Any:
    """The same of loudness."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


class Prosody(BaseModel):
    """Pace and level of the speech."""

    model_config = ConfigDict(extra="ignore", strict=True)

    speed: Annotated[float, BeforeValidator(_number)] = Field(1.0, ge=0.5, le=2.0)
    volume: float = Field(0.0, ge=-20.0, le=20.0)
    normalize_loudness: Annotated[bool, BeforeValidator(_flag)] = True

    @model_validator(mode="before")
    @classmethod
    def _given(cls, fields: Any) -> Any:
        return given(fields, cls) if isinstance(fields, dict) else fields


class TTSRequest(BaseModel):
    """Body of ``POST /v1/tts`` and ``request`` of the live socket's ``start``."""

    model_config = ConfigDict(extra="ignore", strict=True)

    text: str = Field(json_schema_extra={"minLength": 1})
    chunk_length: int = Field(200, ge=100, le=300)
    min_chunk_length: int = Field(50, ge=0, le=100)
    format: Format = "mp3"
    sample_rate: Annotated[
        int | None, _one_of((None, *sorted({rate for each in FORMATS for rate in RATES[each]})))
    ] = None
    mp3_bitrate: Annotated[int, _one_of(MP3_KBPS)] = 128
    opus_bitrate: Annotated[int, _one_of((OPUS_AUTO, *OPUS_KBPS))] = 32
    references: (
        Annotated[list[Reference], Field(max_length=MAX_REFERENCES)]
        | Annotated[list[list[Reference]], Field(max_length=MAX_SPEAKERS)]
    ) = []
    reference_id: str | Annotated[list[str], Field(min_length=1, max_length=MAX_SPEAKERS)] | None = None
    normalize: bool = True
    latency: Literal["low", "normal", "balanced"] = "balanced"
    prosody: Prosody = Prosody()
    top_p: float = Field(0.7, ge=0.0, le=1.0)
    temperature: float = Field(0.7, ge=0.0, le=1.0)
    max_new_tokens: int = Field(1024, ge=0)
    repetition_penalty: float = Field(1.2, gt=0.0, allow_inf_nan=False)
    condition_on_previous_chunks: bool = True
    early_stop_threshold: float = Field(1.0, ge=0.0, le=1.0)
    features: Annotated[list[Any], Field(max_length=64)] = []
    seed: int | None = Field(None, ge=0, lt=1 << 63)


@dataclass(frozen=True, slots=True)
class Cast:
    """The voices of a request, which the engine knows, one for each speaker; and what its client should know."""

    voices: tuple[str, ...]
    notes: tuple[str, ...] = ()


def parse_request(fields: Any, where: str = "") -> TTSRequest:
    """Check the fields of a request. Raises :class:`RequestError` that names the first wrong one."""
    return check(TTSRequest, fields, where)


def speech_request(request: TTSRequest, info: ModelInfo, cast: Cast, *, paced: bool) -> SpeechRequest:
    """The request in our own terms. Raises :class:`RequestError`."""
    try:
        output = output_format(
            request.format,
            request.sample_rate,
            mp3_bitrate=request.mp3_bitrate,
            opus_bitrate=request.opus_bitrate,
        )
    except FormatError as error:
        raise RequestError(str(error), field=error.field) from None
    options = StreamOptions(
        voices=cast.voices,
        speed=request.prosody.speed,
        sampling=Sampling(
            temperature=request.temperature,
            top_p=request.top_p,
            repetition_penalty=request.repetition_penalty,
            max_new_tokens=request.max_new_tokens,
            seed=request.seed,
        ),
        condition_on_previous=request.condition_on_previous_chunks,
        paced=paced,
    )
    return SpeechRequest(
        options=options,
        output=output,
        latency=Latency(request.latency),
        chunk_length=request.chunk_length,
        min_chunk_length=request.min_chunk_length,
        volume_db=request.prosody.volume,
        normalize_loudness=request.prosody.normalize_loudness,
        normalize=request.normalize,
        # A model of many languages reads numbers itself, and better than we do in a language we have to guess.
        language=info.languages[0] if len(info.languages) == 1 else MULTILINGUAL,
        reads_tags=info.reads_tags,
        notes=cast.notes,
    )
