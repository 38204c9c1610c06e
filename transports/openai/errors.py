"""Errors in OpenAI's shape: ``{"error": {"message", "type", "param", "code"}}``."""

from pydantic import BaseModel
from starlette.responses import JSONResponse

from transports.errors import Failure

_KINDS = {
    401: ("invalid_request_error", "invalid_api_key"),
    402: ("insufficient_quota", "insufficient_quota"),
    403: ("invalid_request_error", "permission_denied"),
    404: ("invalid_request_error", "not_found"),
    429: ("requests", "rate_limit_exceeded"),
    503: ("server_error", "overloaded"),
}


class OpenAIErrorDetail(BaseModel):
    """What is wrong: ``param`` is the field, ``code`` the word for it, if there is one."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIErrorJson(BaseModel):
    """An error as OpenAI words it."""

    error: OpenAIErrorDetail


def tell(failed: Failure) -> JSONResponse:
    """A failure as OpenAI words it, who answers 429 when no money is left."""
    default = ("server_error" if failed.status >= 500 else "invalid_request_error", None)
    kind, code = _KINDS.get(failed.status, default)
    code = failed.code or code
    headers = dict(failed.headers)
    status = failed.status
    if status == 402:
        status = 429
        headers["x-should-retry"] = "false"  # their clients try a 429 again unless they are told not to
    error = {"message": failed.message, "type": kind, "param": failed.field, "code": code}
    return JSONResponse({"error": error}, status, headers)
