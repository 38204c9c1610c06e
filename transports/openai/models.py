"""``/v1/models``: the names that clients may ask for; each is the one voice or the one ear that there is.

``/v1/audio/voices`` is no path of OpenAI's, but SGLang-Omni, vLLM-Omni, Kokoro-FastAPI and Open WebUI have it.
"""

from typing import Any

from fastapi import APIRouter, Request

from transports.accounts.auth import Authenticated
from transports.description import refuses
from transports.errors import RequestError
from transports.services import services_of

router = APIRouter()

SPEECH_MODELS = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts")
HEARING_MODELS = ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe")
"""OpenAI's own names, which many programs have built in."""


@router.get("/v1/models", summary="List the models")
async def list_models(request: Request, _: Authenticated) -> dict[str, Any]:
    """All models, in OpenAI's form."""
    return {"object": "list", "data": _models(request)}


@router.get("/v1/models/{name:path}", summary="One model", responses=refuses(404))
async def get_model(name: str, request: Request, _: Authenticated) -> dict[str, Any]:
    """The model of this name; 404 if there is none."""
    for model in _models(request):
        if model["id"] == name:
            return model
    known = ", ".join(model["id"] for model in _models(request))
    raise RequestError(
        f"model: got {name[:80]!r}; expected one of {known}", 404, field="model", code="model_not_found"
    )


@router.get("/v1/audio/voices", summary="List the model's voices")
async def list_voices(request: Request, _: Authenticated) -> dict[str, Any]:
    """The model's own voices, the default one first."""
    info = services_of(request).engine.info
    voices = sorted(info.voices, key=lambda voice: voice.id != info.default_voice)
    return {"voices": [{"id": voice.id, "name": voice.name} for voice in voices]}


def _models(request: Request) -> list[dict[str, Any]]:
    services = services_of(request)
    names = dict.fromkeys((services.engine.info.name, *SPEECH_MODELS))
    if services.ears.info is not None:
        names |= dict.fromkeys((services.ears.info.name, *HEARING_MODELS))
    return [{"id": name, "object": "model", "created": 0, "owned_by": "parrotfish"} for name in names]
