"""``POST /v1/audio/speech``: OpenAI's text to speech."""

import contextlib
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any, Literal, get_args

import orjson
from fastapi import APIRouter, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.responses import Response

from engine import ModelInfo, UnknownVoice
from engine.audio import Container, output_format
from realtime import Audio, SpeechRequest
from realtime.tags import style_of
from transports.accounts import Caller
from transports.accounts.auth import Authenticated
from transports.description import answers, refuses, takes
from transports.errors import RequestError
from transports.fields import JSON, parse
from transports.fish.casting import cast
from transports.fish.http import NOTE
from transports.fish.schema import TTSRequest, speech_request
from transports.openai.voices import reference_id
from transports.services import Services, services_of
from transports.speech import Speech, SpeechResponse, read_body

router = APIRouter()

# What OpenAI documents for pcm, and what its clients take a WAV to have; the others say their rate.
_RATES: dict[Container, int] = {"pcm": 24_000, "wav": 24_000}
MAX_INSTRUCTIONS = 400
"""Characters of the instructions that are followed: they go with every chunk of the text."""
# How our names of fields are called here.
_FIELDS = {"reference_id": "voice", "text": "input"}


def _voice_name(value: Any) -> Any:
    """A voice is a name, or for one that was made, ``{"id": ...}``."""
    return value.get("id") if isinstance(value, dict) else value


class OpenAISpeechRequest(BaseModel):
    """Body of ``POST /v1/audio/speech``."""

    model_config = ConfigDict(extra="ignore", strict=True)

    input: str
    voice: Annotated[str, BeforeValidator(_voice_name)] = ""
    model: str = ""
    instructions: str = ""
    response_format: Container = "mp3"
    speed: float = Field(1.0, ge=0.25, le=4.0)
    stream_format: Literal["audio", "sse"] = "audio"


_DOCUMENTED: dict[str, Any] = {
    "response_class": Response,
    "responses": answers(
        "The audio, or events with it, as it is made.",
        *dict.fromkeys(output_format(name).mime for name in get_args(Container)),
        "text/event-stream",
        X_Parrotfish_Note=NOTE,
    )
    | refuses(400, 413, 415, 429, 500, 503),
    "openapi_extra": takes(OpenAISpeechRequest, *JSON),
}


@router.post("/v1/audio/speech", summary="Text to speech, as OpenAI has it", **_DOCUMENTED)
@router.post("/compat/v1/audio/speech", summary="The same, where Fish Audio has it", **_DOCUMENTED)
async def create_speech(request: Request, caller: Authenticated) -> Response:
    """Speak ``input``. The response begins with the first audio; an error before that is a JSON answer."""
    services = services_of(request)
    body = await read_body(request, services.settings.max_message_bytes)
    wire = await parse(OpenAISpeechRequest, body, request.headers.get("content-type", ""), JSON)
    with _our_names():
        speech = await Speech.begin(services, caller, wire.input, lambda: _translated(wire, services, caller))
    if wire.stream_format == "audio":
        return SpeechResponse(speech, speech.request.output.mime, lambda audio: audio.data)
    return SpeechResponse(speech, "text/event-stream", _delta, end=_done(wire.input))


async def _translated(wire: OpenAISpeechRequest, services: Services, caller: Caller) -> SpeechRequest:
    info, aliases = services.engine.info, services.settings.voice_aliases
    ours = TTSRequest(text=wire.input, reference_id=reference_id(wire.voice, info, aliases))
    request = speech_request(ours, info, await cast(services, caller, ours), paced=False)
    manner, notes = _manner(wire.instructions, info)
    return replace(
        request,
        options=replace(request.options, speed=wire.speed),
        output=output_format(wire.response_format, _RATES.get(wire.response_format)),
        manner=manner,
        notes=(*request.notes, *notes),
    )


def _manner(instructions: str, info: ModelInfo) -> tuple[str, list[str]]:
    """How to speak, and what cannot be heeded of it. What could be a tag's end or a control token is left out."""
    words = " ".join("".join(char for char in instructions if char not in "[]<>|{}").split())
    if words and not info.reads_tags and style_of(words) is None:
        return "", [f"instructions: nothing in them that {info.name} can do"]
    if len(words) > MAX_INSTRUCTIONS:
        return words[:MAX_INSTRUCTIONS], [
            f"instructions: {len(words)} characters; only the first {MAX_INSTRUCTIONS} are followed"
        ]
    return words, []


@contextlib.contextmanager
def _our_names() -> Iterator[None]:
    """Have errors name fields as this API does."""
    try:
        yield
    except RequestError as error:
        field = _FIELDS.get(error.field or "")
        if field is None:
            raise
        message = f"{field}{str(error).removeprefix(error.field or '')}"
        raise RequestError(
            message, error.status, field=field, code=error.code, retry_after=error.retry_after
        ) from None
    except UnknownVoice as error:
        raise RequestError(f"voice: {error}", field="voice") from None


def _delta(audio: Audio) -> bytes:
    if not audio.data:
        return b""
    return _event({"type": "speech.audio.delta", "audio": b64encode(audio.data).decode()})


def _done(text: str) -> bytes:
    """The last event. What we count is bytes of text; audio is not counted."""
    units = len(text.encode())
    usage = {"input_tokens": units, "output_tokens": 0, "total_tokens": units}
    return _event({"type": "speech.audio.done", "usage": usage})


def _event(fields: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(fields) + b"\n\n"
