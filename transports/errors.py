"""How errors are told over HTTP: ``{"message", "status"}``, the Fish Audio API's own shape."""

from math import ceil
from reprlib import Repr

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from engine import EngineError, EngineStopped, Overloaded, UnknownVoice


class RequestError(Exception):
    """A client's request that cannot be served as it stands; its text is for that client."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


_short = Repr()
_short.maxlevel, _short.maxlist, _short.maxdict, _short.maxstring, _short.maxother = 2, 3, 3, 80, 80


def invalid(field: str, value: object, expected: str) -> RequestError:
    """The error for a field with a wrong value: names the field, the value, and what would be right."""
    if isinstance(value, str | bytes):
        value = value[:100]  # the rest would not be shown, and may be large
    return RequestError(f"{field}: got {_short.repr(value)}; expected {expected}")


def error_response(message: str, status: int, retry_after: float | None = None) -> JSONResponse:
    """An error as the API words it."""
    headers = {} if retry_after is None else {"Retry-After": str(ceil(retry_after))}
    return JSONResponse({"message": message, "status": status}, status, headers)


def engine_error_response(error: EngineError) -> JSONResponse:
    """What the engine refused or failed at, as an HTTP answer."""
    match error:
        case UnknownVoice():
            return error_response(f"reference_id: {error}", 400)
        case Overloaded():
            return error_response(str(error), 503, error.retry_after)
        case EngineStopped():
            return error_response(str(error), 503, retry_after=1)
        case _:
            return error_response(str(error), 500)


async def on_request_error(_: Request, error: Exception) -> JSONResponse:
    """Exception handler for :class:`RequestError`."""
    assert isinstance(error, RequestError)
    return error_response(str(error), error.status)


async def on_engine_error(_: Request, error: Exception) -> JSONResponse:
    """Exception handler for what the engine refuses before anything was opened."""
    assert isinstance(error, EngineError)
    return engine_error_response(error)


async def on_http_exception(request: Request, error: Exception) -> JSONResponse:
    """Exception handler for what the router refuses: unknown paths and wrong methods."""
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path}: {error.detail}"
    response = error_response(message, error.status_code)
    response.headers.update(error.headers or {})
    return response


async def on_surprise(_: Request, __: Exception) -> JSONResponse:
    """Exception handler for bugs: the log has the details, the client has not."""
    return error_response("internal error", 500)
