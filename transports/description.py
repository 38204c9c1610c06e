"""``/openapi.json``: FastAPI's description of the routes, with what it cannot know of them.

A route says by :func:`refuses` with what it may refuse; in which shape that is told is its dialect's, and so
known by its path. The bodies that we decode ourselves are described by :func:`takes`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel

Described = dict[str, Any]

ABOUT = """\
Voices for programs, by the Fish Audio API and those of OpenAI, yuntts, CloudsWay MaaS and Ace Data Cloud.

Sockets cannot be described here: `/v1/tts/live` (docs/live-protocol.md) speaks a text while it is being written,
`/v1/asr/realtime` (docs/asr-realtime.md) hears live audio, `/v1/agent` (docs/agent.md) converses, `/v1/dub`
(docs/dubbing.md) speaks captions on their own timeline, and calls come to `/v1/telephony/` (docs/telephony.md).
"""

_REFUSALS = {
    400: "Something in the request is wrong; the message names the field, its value, and what would be right.",
    401: "The API key is missing, or not or no longer good.",
    402: "The account has no credit left.",
    403: "It belongs to another account.",
    404: "There is none.",
    410: "It is gone.",
    412: "It is not the one of the header If-Match.",
    413: "The body, a text or a recording is too large.",
    415: "The Content-Type is none of those above.",
    422: "It is understood, and not done here.",
    428: "The header If-Match is missing.",
    429: "Too many requests in a minute or at once, by the limits of the API key.",
    500: "The model failed.",
    501: "The server was started without recognition.",
    502: "The recogniser failed.",
    503: "The server is full, loading its model, or shutting down.",
}
_SCHEMAS = "#/components/schemas/"


def refuses(*statuses: int) -> dict[int | str, Described]:
    """The errors of a route, for its ``responses``. A missing key, and a database that is away, go without."""
    return {status: {"description": _REFUSALS[status]} for status in statuses}


def answers(description: str, *kinds: str, **headers: str) -> dict[int | str, Described]:
    """What a route answers that is no JSON: its media types, and its headers with what they say."""
    told: Described = {"description": description, "content": {kind: {} for kind in kinds}}
    if headers:
        told["headers"] = {
            name.replace("_", "-"): {"description": text, "schema": {"type": "string"}}
            for name, text in headers.items()
        }
    return {200: told}


def takes(model: type[BaseModel] | Described, *kinds: str) -> Described:
    """A body that may come in several media types, for ``openapi_extra``: a model, or a schema."""
    schema = model if isinstance(model, dict) else model.model_json_schema(ref_template=_SCHEMAS + "{model}")
    return {"requestBody": {"required": True, "content": {kind: {"schema": schema} for kind in kinds}}}


class DescribedApp(FastAPI):
    """An application that describes itself; ``errors`` are the shapes of errors by the beginnings of paths.

    The last of them is "", for all other paths.
    """

    def __init__(self, errors: Mapping[str, type[BaseModel]], **options: Any) -> None:
        super().__init__(**options)
        self._errors = errors

    def openapi(self) -> Described:
        """The description; the first time takes a moment."""
        if self.openapi_schema is None:
            self.openapi_schema = _describe(self, self._errors)
        return self.openapi_schema


def _describe(app: FastAPI, errors: Mapping[str, type[BaseModel]]) -> Described:
    description = get_openapi(
        title=app.title, version=app.version, summary=app.summary, description=ABOUT, routes=app.routes
    )
    schemas: Described = description.setdefault("components", {}).setdefault("schemas", {})
    for path, operation in _operations(description):
        for content in operation.get("requestBody", {}).get("content", {}).values():
            content["schema"] = _named(content["schema"], schemas)
        responses = operation["responses"]
        if "HTTPValidationError" in str(responses.get("422")):
            del responses["422"]  # FastAPI's word for what is 400 here
        if "security" in operation:
            responses |= {str(status): told for status, told in refuses(401, 503).items()}
        model = next(model for start, model in errors.items() if path.startswith(start))
        schema = _named(model.model_json_schema(ref_template=_SCHEMAS + "{model}"), schemas)
        for status, told in responses.items():
            if int(status) >= 400:
                told.setdefault("content", {"application/json": {"schema": schema}})
                if header := _HEADERS.get(status):
                    told["headers"] = header
        operation["responses"] = dict(sorted(responses.items()))
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    return description


_RETRY = {"Retry-After": {"description": "In so many seconds.", "schema": {"type": "integer"}}}
_HEADERS: Described = {"429": _RETRY, "503": _RETRY}


def _operations(description: Described) -> Iterator[tuple[str, Described]]:
    for path, methods in description["paths"].items():
        for operation in methods.values():
            yield path, operation


def _named(schema: Described, schemas: Described) -> Described:
    """The schema by its name, which it has among all from now on, like those within it."""
    if "title" not in schema:
        return schema
    schemas |= schema.get("$defs", {})
    schemas[schema["title"]] = {name: value for name, value in schema.items() if name != "$defs"}
    return {"$ref": _SCHEMAS + schema["title"]}
