"""How errors are told over HTTP: ``{"message", "status"}`` as in the Fish Audio API, or in a dialect's shape."""

import dataclasses
import logging
from collections.abc import Awaitable, Callable, Mapping
from math import ceil
from reprlib import Repr

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from engine import EngineError, EngineStopped, Overloaded, SpeechBusy, UnknownVoice, UnusableVoice
from realtime import ears
from realtime.observer import Missing
from transports.store import StoreError

_MISSING = "parrotfish.missing"

log = logging.getLogger(__name__)


class RequestError(Exception):
    """A client's request that cannot be served as it stands; its text is for that client.

    ``field`` is the part of the request that is wrong, if one is; after ``retry_after`` seconds it may be tried
    again. ``code`` is the word for it of a dialect that has one.
    """

    def __init__(
        self,
        message: str,
        status: int = 400,
        *,
        field: str | None = None,
        retry_after: float | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.field = field
        self.code = code
        self.retry_after = retry_after

    @property
    def brief(self) -> str:
        """What of it a log may have: not the value."""
        return f"{self.status} {self.field}" if self.field else f"{self.status}"


_short = Repr()
_short.maxlevel, _short.maxlist, _short.maxdict, _short.maxstring, _short.maxother = 2, 3, 3, 80, 80


def invalid(field: str, value: object, expected: str) -> RequestError:
    """The error for a field with a wrong value: names the field, the value, and what would be right."""
    if isinstance(value, str | bytes):
        value = value[:100]  # the rest would not be shown, and may be large
    return RequestError(f"{field}: got {_short.repr(value)}; expected {expected}", field=field)


def expectation(message: str) -> str:
    """What pydantic says should have been, as the end of "expected ..."."""
    for start in ("Input should be ", "Value error, "):
        message = message.removeprefix(start)
    return message[:1].lower() + message[1:]


@dataclasses.dataclass(frozen=True, slots=True)
class Failure:
    """What a client is told of an error, before it is put into the shape of an API.

    If it was not the client's, ``missing`` says of what there was none: for those who run the server.
    """

    message: str
    status: int
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    field: str | None = None
    code: str | None = None
    missing: Missing = "room"


class ErrorJson(BaseModel):
    """An error as the Fish Audio API words it."""

    message: str
    status: int


Teller = Callable[[Failure], Response]
"""Puts a failure into the shape of an API."""


def failure(error: Exception) -> Failure:
    """What may be said of an error. Of a bug nothing: the log has the details."""
    match error:
        case RequestError(status=401):
            return Failure(str(error), 401, {"WWW-Authenticate": "Bearer"})
        case RequestError():
            return Failure(str(error), error.status, _retry(error.retry_after), error.field, error.code)
        case UnknownVoice() | UnusableVoice():
            return Failure(f"reference_id: {error}", 400, field="reference_id")
        case Overloaded() | SpeechBusy():
            return Failure(str(error), 503, _retry(error.retry_after))
        case EngineStopped():
            return Failure(str(error), 503, _retry(1), missing="engine")
        case EngineError():
            return Failure(str(error), 500)
        case ears.UnknownLanguage():
            return Failure(f"language: {error}", 400, field="language")
        case ears.Unhearable():
            return Failure(f"audio: {error}", 400, field="audio")
        case ears.TooMuchAudio():
            return Failure(f"audio: {error}", 413, field="audio")
        case ears.HearingOverloaded():
            return Failure(str(error), 503, _retry(error.retry_after), missing="ears")
        case ears.HearingOff():
            return Failure(str(error), 501)
        case ears.HearingError():
            return Failure(str(error), 502)
        case StoreError():  # its text is for the operator
            log.error("%s", error)
            return Failure("the database cannot be used now", 503, _retry(1), missing="store")
        case RequestValidationError():
            first = error.errors()[0]
            return failure(invalid(str(first["loc"][-1]), first["input"], expectation(first["msg"])))
        case HTTPException():
            return Failure(error.detail, error.status_code, error.headers or {})
        case _:
            return Failure("internal error", 500)


def refusal(connection: HTTPConnection, error: Exception) -> Failure:
    """What may be said of an error to who is on a connection, where :func:`missing` finds what was missing."""
    failed = failure(error)
    connection.scope[_MISSING] = failed.missing
    return failed


def missing(scope: Scope) -> Missing:
    """What was missing for an answer with 503, by the ASGI scope of its request."""
    found: Missing = scope.get(_MISSING, "room")
    return found


def error_response(message: str, status: int, retry_after: float | None = None) -> JSONResponse:
    """An error as the Fish Audio API words it."""
    return tell(Failure(message, status, _retry(retry_after)))


def tell(failed: Failure) -> JSONResponse:
    """A failure as the Fish Audio API words it."""
    content = {"message": failed.message, "status": failed.status}
    return JSONResponse(content, failed.status, dict(failed.headers))


def handler(dialects: Mapping[str, Teller]) -> Callable[[Request, Exception], Awaitable[Response]]:
    """An exception handler for the whole application; ``dialects`` are the shapes by the beginnings of paths."""

    async def on_error(request: Request, error: Exception) -> Response:
        path = request.url.path
        failed = refusal(request, error)
        if isinstance(error, HTTPException):  # what the router refuses: unknown paths and wrong methods
            message = f"{request.method} {path}: {failed.message}"
            code = "not_found" if failed.status == 404 else None
            failed = Failure(message, failed.status, failed.headers, code=code)
        for start, teller in dialects.items():
            if path.startswith(start):
                return teller(failed)
        return tell(failed)

    return on_error


def _retry(seconds: float | None) -> dict[str, str]:
    return {} if seconds is None else {"Retry-After": str(ceil(seconds))}
