"""What an endpoint says of itself, at the start: which models and voices it has."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import httpx

from engine.errors import EngineError
from engine.models.openai_speech.config import OpenAISpeechConfig

_USUAL_MODEL = "tts-1"  # the name that most programs have built in, so that most servers know it
_SHOWN = 8  # names in an error

_log = logging.getLogger(__name__)


class EndpointError(EngineError):
    """The endpoint cannot be used as it was configured; the text tells the operator why.

    ``missing`` is the field of its config that has to be set, if that would help.
    """

    def __init__(self, message: str, missing: str = "") -> None:
        super().__init__(message)
        self.missing = missing


def discover(config: OpenAISpeechConfig) -> OpenAISpeechConfig:
    """The same with a model and voices, which the endpoint is asked for where they are not given.

    Takes as long as two short requests. Raises :class:`EndpointError` if it cannot be reached, refuses the key,
    or does not say what it has to.
    """
    try:
        with httpx.Client(base_url=config.url, headers=config.headers, timeout=config.timeout) as client:
            models = _names(_asked(client, config, "models"), "data")
            voices = config.voices or _names(_asked(client, config, "audio/voices"), "voices")
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):  # which may quote a password
        raise EndpointError(
            f"{config.place} is no URL of an endpoint; expected http://host:port/v1"
        ) from None
    return replace(config, model=config.model or _model(config, models), voices=_voices(config, voices))


def _asked(client: httpx.Client, config: OpenAISpeechConfig, path: str) -> Any:
    """The JSON at a path, None if there is nothing of the kind."""
    try:
        response = client.get(path)
    except httpx.UnsupportedProtocol:
        raise
    except httpx.HTTPError as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise EndpointError(f"the speech endpoint {config.place} cannot be reached: {reason}") from None
    if response.status_code == 401:
        why = "does not accept the key" if config.key else "wants a key"
        raise EndpointError(f"the speech endpoint {config.place} {why} (401)", "key")
    if not response.is_success:
        # Among these is 403: a key may be for speech, and not for lists.
        _log.info("%s has no /%s (%d)", config.place, path, response.status_code)
        return None
    try:
        return response.json()
    except ValueError:
        return None


def _names(found: Any, field: str) -> tuple[str, ...]:
    """The names in a list of names, or of objects that have an ``id`` or a ``name``."""
    if isinstance(found, dict):
        found = found.get(field)
    if not isinstance(found, list):
        return ()
    ids = [item.get("id") or item.get("name") if isinstance(item, dict) else item for item in found]
    return tuple(dict.fromkeys(name for name in ids if isinstance(name, str) and name))


def _model(config: OpenAISpeechConfig, models: Sequence[str]) -> str:
    if not models or _USUAL_MODEL in models:
        return _USUAL_MODEL
    if len(models) > 1:
        raise EndpointError(f"{config.place} has several models: choose one of {_listed(models)}", "model")
    return models[0]


def _voices(config: OpenAISpeechConfig, voices: Sequence[str]) -> tuple[str, ...]:
    if not voices:
        raise EndpointError(f"{config.place} does not list its voices: name those that it has", "voices")
    return tuple(voices)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} others" if more > 0 else "")
