"""``/files/...``: what was made for somebody, and where its address begins."""

import re
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from transports.description import answers, refuses
from transports.errors import invalid
from transports.jobs.files import Kept
from transports.services import services_of

router = APIRouter()


def base_of(request: Request) -> str:
    """Where this server is for clients, with a slash: as its operator says, or else as this one has called it."""
    url = services_of(request).settings.public_url
    return f"{url.rstrip('/')}/" if url else str(request.base_url)


_QUERY = [
    {"name": name, "in": "query", "required": True, "schema": {"type": "string"}}
    for name in ("expires", "signature")
]
_DOCUMENTED: dict[str, Any] = {
    "response_class": Response,
    "responses": answers("The file.", "audio/*") | refuses(400, 403, 404, 410),
    "openapi_extra": {"parameters": _QUERY},
}


@router.get("/files/{name}", summary="A file that was made for somebody", **_DOCUMENTED)
@router.head("/files/{name}", summary="Is that file there?", **_DOCUMENTED)
async def get_file(name: str, request: Request) -> Response:
    """A file by its signed address; ranges may be asked for."""
    query = request.query_params
    expires = query.get("expires", "")
    if not re.fullmatch(r"[0-9]{1,12}", expires):
        raise invalid("expires", expires, "a time in seconds since 1970")
    files = services_of(request).files
    return await files.response(Kept(name, int(expires)), query.get("signature", ""))
