"""``/v1/webrtc``: WHIP (RFC 9725) and WHEP in one, for who listens, for who speaks, and for both."""

from time import time
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from transports.accounts.auth import Authenticated
from transports.description import refuses
from transports.errors import RequestError
from transports.fields import check
from transports.services import Services, services_of
from transports.speech import read_body
from transports.webrtc.conversing import converse
from transports.webrtc.peer import Peer
from transports.webrtc.sdp import read_fragment, read_offer
from transports.webrtc.servers import links
from transports.webrtc.talk import Talk

router = APIRouter(tags=["WebRTC"])

PATH = "/v1/webrtc"
EXPOSED = ("Location", "ETag", "Link", "Accept-Post", "Accept-Patch")
"""Headers of ours that a page of another site has to be allowed to read."""
_SDP = "application/sdp"
_FRAGMENT = "application/trickle-ice-sdpfrag"


class Wishes(BaseModel):
    """The query of an offer: what a client without a data channel can ask for."""

    model_config = ConfigDict(extra="ignore")

    agent: bool = False
    language: str | None = None
    text: str = Field("", max_length=10_000)
    reference_id: str | None = None


_OFFER: dict[str, Any] = {
    "parameters": [
        {"name": name, "in": "query", "schema": schema}
        for name, schema in Wishes.model_json_schema()["properties"].items()
    ],
    "requestBody": {"required": True, "content": {_SDP: {"schema": {"type": "string"}}}},
    "responses": {"201": {"description": "The answer.", "content": {_SDP: {"schema": {"type": "string"}}}}},
}
_CANDIDATES = {"requestBody": {"required": True, "content": {_FRAGMENT: {"schema": {"type": "string"}}}}}


@router.post(
    PATH,
    summary="Begin a WebRTC session",
    status_code=201,
    response_class=Response,
    responses=refuses(400, 402, 413, 415, 429, 501),
    openapi_extra=_OFFER,
)
async def begin(request: Request, caller: Authenticated) -> Response:
    """Answer an SDP offer. Its direction says who speaks; a data channel in it carries text and transcripts."""
    services = services_of(request)
    services.peers.check_room()
    wishes = check(Wishes, dict(request.query_params), "query")
    text = await _text(request, _SDP, services)
    offer = read_offer(text, services.peers.config.max_candidates)
    if offer.sends:
        services.ears.check_room(wishes.language)
    if wishes.agent and not (offer.sends and offer.receives):
        raise RequestError("agent: a conversation needs an offer whose audio is sendrecv", field="agent")
    if not services.engine.ready:
        raise RequestError("the server takes no new stream now", 503, retry_after=1)
    fields: dict[str, Any] | None = None
    if wishes.text:
        fields = {"text": wishes.text, "reference_id": wishes.reference_id}

    async def serve(peer: Peer) -> None:
        if wishes.agent:
            await converse(services, peer)
            return
        await Talk(services, peer, language=wishes.language, fields=fields).run()

    peer = Peer(services, caller, serve)
    answer = await services.peers.take(peer, offer)
    headers = {"Location": f"{PATH}/{peer.id}", "ETag": peer.etag, "Accept-Patch": _FRAGMENT}
    response = Response(answer, 201, headers, _SDP)
    return _with_servers(response, services, caller.account)


@router.patch(
    PATH + "/{id_}",
    summary="More ICE candidates",
    status_code=204,
    responses=refuses(400, 404, 412, 413, 415, 422, 428),
    openapi_extra=_CANDIDATES,
)
async def trickle(id_: str, request: Request, caller: Authenticated) -> Response:
    """Take candidates that the client found after its offer (RFC 8838). ICE cannot be restarted."""
    services = services_of(request)
    peer = services.peers.get(id_, caller.account)
    match request.headers.get("if-match"):
        case None:
            raise RequestError(f"If-Match: missing; expected {peer.etag}, the ETag of the answer", 428)
        case "*":
            raise RequestError(
                "If-Match: got '*', which restarts ICE; that cannot be done here: DELETE this session and POST a "
                "new offer",
                422,
            )
        case etag if etag.strip() != peer.etag:
            raise RequestError(f"If-Match: got {etag[:100]!r}; expected {peer.etag}", 412)
        case _:
            pass
    text = await _text(request, _FRAGMENT, services)
    peer.trickle(read_fragment(text, services.peers.config.max_candidates))
    return Response(status_code=204, headers={"ETag": peer.etag})


@router.delete(
    PATH + "/{id_}",
    summary="End a WebRTC session",
    status_code=200,
    response_class=Response,
    responses=refuses(404),
)
async def end(id_: str, request: Request, caller: Authenticated) -> Response:
    """Hang up."""
    services = services_of(request)
    await services.peers.end(services.peers.get(id_, caller.account))
    return Response(status_code=200)


@router.options(PATH, summary="What is taken, and the STUN and TURN servers", status_code=204)
async def options(request: Request, caller: Authenticated) -> Response:
    """The headers that a client may want before its offer."""
    headers = {"Allow": "OPTIONS, POST", "Accept-Post": _SDP}
    response = Response(status_code=204, headers=headers)
    return _with_servers(response, services_of(request), caller.account)


async def _text(request: Request, kind: str, services: Services) -> str:
    """The body, which has to be of this kind."""
    got = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if got != kind:
        raise RequestError(f"Content-Type: got {got[:80]!r}; expected {kind}", 415, field="Content-Type")
    body = await read_body(request, services.peers.config.max_sdp_bytes)
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise RequestError(f"body: not UTF-8: {error.reason} at byte {error.start}") from None


def _with_servers(response: Response, services: Services, account: str) -> Response:
    for link in links(services.peers.config, account, time()):
        response.headers.append("Link", link)
    return response
