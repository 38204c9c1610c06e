"""``GET /metrics``, for operators: what it tells is nobody else's business."""

from secrets import compare_digest
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from transports.accounts.auth import is_direct, is_loopback
from transports.description import answers, refuses
from transports.errors import RequestError
from transports.services import services_of
from transports.settings import Settings

router = APIRouter()

_DOCUMENTED: dict[str, Any] = {
    "responses": answers("Prometheus' text format.", "text/plain", "application/openmetrics-text")
    | refuses(401, 403),
    "response_class": Response,
}


@router.get("/metrics", summary="What happens here in numbers", **_DOCUMENTED)
async def metrics(request: Request) -> Response:
    """All metrics, for whoever bears the operator's token; without one, for programs of this machine."""
    services = services_of(request)
    check_reader(request, services.settings)
    page = await services.metrics.page(request.headers.get("accept", ""))
    return Response(page.data, media_type=page.mime, headers={"Cache-Control": "no-store"})


def check_reader(request: Request, settings: Settings) -> None:
    """Raise RequestError if the metrics are none of this one's business."""
    if (token := settings.metrics.token) is not None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not compare_digest(given.strip().encode(), token.encode()):
            raise RequestError(
                "Authorization: expected the operator's --metrics-token as a Bearer token", 401
            )
    elif not (is_loopback(settings.host) and is_direct(request, ())):
        raise RequestError(
            "metrics are for the operator: start the server with --metrics-token, or read them at --metrics-port",
            403,
        )
