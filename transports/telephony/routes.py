"""``/v1/telephony/...``: what providers of telephone numbers ask when somebody calls, and the calls themselves.

``POST`` is the webhook, which answers with markup that connects the call to a WebSocket below the same path. That
address holds a ticket, good for one call within a minute. A socket without a ticket, as markup of an operator's
own may ask for, has to bear the provider's signature.
"""

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from time import time
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fastapi import APIRouter, Request
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.websockets import WebSocket

from engine import EngineError
from realtime.ears import HearingError
from realtime.line import Line
from transports.accounts import Caller
from transports.accounts.auth import is_direct, welcome
from transports.agent.making import agent_for
from transports.agent.wishes import AgentWishes
from transports.description import answers, refuses, takes
from transports.errors import RequestError, failure, refusal, tell
from transports.fields import check
from transports.services import Services, services_of
from transports.speech import read_body
from transports.store import StoreError
from transports.telephony import telnyx, twilio
from transports.telephony.calls import Converse
from transports.telephony.media import MediaStream
from transports.telephony.signatures import Ticket, telnyx_signed, twilio_signed

router = APIRouter()

WISHES = ("voice", "language", "greeting", "instructions")
"""What the query of a webhook, or the parameters of a socket, may say of the agent."""

log = logging.getLogger(__name__)

TWILIO = "/v1/telephony/twilio"
TELNYX = "/v1/telephony/telnyx"
_MAX_FIELDS = 200
_CALL = {"type": "object", "properties": {"CallSid": {"type": "string", "minLength": 1}}}
_FORM = "application/x-www-form-urlencoded"
_MARKUP = answers("What to do with the call.", "application/xml") | refuses(400, 403, 413)


@router.post(
    TWILIO,
    summary="Twilio: a call comes in",
    responses=_MARKUP,
    openapi_extra=takes(_CALL | {"required": ["CallSid"]}, _FORM),
    response_class=Response,
)
async def twilio_webhook(request: Request) -> Response:
    """Connect the call to an agent, or let the caller hear that all are busy."""
    services = services_of(request)
    fields = _fields(await _body(request, services))
    await _check_twilio(request, services, fields)
    call = dict(fields).get("CallSid", "")
    if not call:
        raise RequestError("CallSid: missing; expected the id of the call", field="CallSid")
    ticket = Ticket("twilio", call, _wishes(request.query_params))
    return await _answer(request, services, ticket, twilio.connect)


@router.post(
    TELNYX,
    summary="Telnyx: a call comes in",
    responses=_MARKUP,
    openapi_extra=takes(_CALL, _FORM),
    response_class=Response,
)
async def telnyx_webhook(request: Request, codec: telnyx.Codec = "PCMU") -> Response:
    """Connect the call to an agent, or let the caller hear that all are busy. ``?codec=PCMA`` is for A-law."""
    services = services_of(request)
    body = await _body(request, services)
    key, headers = services.calls.config.telnyx_key, request.headers
    if key is None:
        await _check_open(request, services, "--telnyx-key")
    else:
        signature, timestamp = headers.get("telnyx-signature-ed25519"), headers.get("telnyx-timestamp")
        if not telnyx_signed(key, signature, timestamp, body, time()):
            raise RequestError("telnyx-signature-ed25519: not that of this request, or it is too old", 403)
    # Its socket does not say for certain which of its ids of the call it means.
    ticket = Ticket("telnyx", "", _wishes(request.query_params))
    return await _answer(request, services, ticket, lambda url: telnyx.connect(url, codec))


@router.websocket(TWILIO)
@router.websocket(TWILIO + "/{ticket}")
async def twilio_call(socket: WebSocket, ticket: str | None = None) -> None:
    """One call of Twilio's."""
    await _serve(socket, twilio.TwilioStream(), "twilio", ticket)


@router.websocket(TELNYX)
@router.websocket(TELNYX + "/{ticket}")
async def telnyx_call(socket: WebSocket, ticket: str | None = None) -> None:
    """One call of Telnyx's."""
    await _serve(socket, telnyx.TelnyxStream(), "telnyx", ticket)


async def _answer(
    request: Request, services: Services, ticket: Ticket, connect: Callable[[str], str]
) -> Response:
    """The markup for a call whose webhook is genuine: a socket for it, or that we are busy."""
    await _payer(services)
    try:
        _check_room(services)
    except (RequestError, HearingError) as busy:
        services.turned_away(failure(busy))
        return Response(twilio.busy(), media_type="application/xml")
    base = called(request, services.settings.public_url).partition("?")[0].replace("http", "ws", 1)
    try:
        url = f"{base}/{services.calls.tickets.make(ticket, time())}"
    except ValueError as error:
        raise RequestError(f"what was said of the call: {error}") from None
    return Response(connect(url), media_type="application/xml")


async def _serve(socket: WebSocket, stream: MediaStream, provider: str, text: str | None) -> None:
    services = services_of(socket)
    calls, places = services.calls, ExitStack()
    try:
        if not welcome(socket, services.settings.allowed_origins):
            raise RequestError("Origin: not among the allowed origins", 403)
        ticket = None
        if text is not None and (ticket := calls.tickets.take(text, provider, time())) is None:
            raise RequestError("the address of this call was used, or it is too old", 403)
        if provider == "twilio" and (ticket is None or "x-twilio-signature" in socket.headers):
            await _check_twilio(socket, services, ())
        elif ticket is None:
            if calls.config.telnyx_key is not None:
                raise RequestError("a call comes to the address that the webhook has answered", 403)
            await _check_open(socket, services, "--telnyx-key")
        caller = await _payer(services)
        _check_room(services)
        places.enter_context(calls.place())
        places.enter_context(services.agents.place())
    except (RequestError, HearingError, StoreError) as refused:
        places.close()
        await socket.send_denial_response(tell(refusal(socket, refused)))
        return
    with places:
        await socket.accept()
        await calls.run(socket, stream, ticket, _conversation(services, caller))


def _conversation(services: Services, caller: Caller) -> Converse:
    """What a call is for."""

    async def converse(line: Line, parameters: Mapping[str, str]) -> None:
        try:
            wishes = _agent_wishes(parameters)
            async with agent_for(services, caller, line.format.output, wishes) as agent:
                await agent.run(line)
        except (RequestError, EngineError, HearingError, StoreError) as error:
            services.turned_away(failure(error))
            log.warning("a call was ended: %s", error)

    return converse


def _agent_wishes(parameters: Mapping[str, str]) -> AgentWishes:
    """How the agent of a call is to be. Raises RequestError."""
    fields: dict[str, Any] = {name: parameters[name] for name in WISHES if name in parameters}
    if voice := fields.pop("voice", ""):
        fields["request"] = {"reference_id": voice}
    return check(AgentWishes, fields)


async def _check_twilio(
    connection: HTTPConnection, services: Services, fields: list[tuple[str, str]] | tuple[()]
) -> None:
    """Raise RequestError with 403 unless this comes from Twilio, or from anybody on a server that is open."""
    token = services.calls.config.twilio_token
    if token is None:
        await _check_open(connection, services, "--twilio-token")
        return
    try:
        url = called(connection, services.settings.public_url)
        addresses = variants(url)
    except ValueError:
        raise RequestError("Host: not the name of a host, with a port or without", field="Host") from None
    if not twilio_signed(token, connection.headers.get("x-twilio-signature"), addresses, fields):
        raise RequestError(f"X-Twilio-Signature: not that of a request to {url.partition('?')[0]}", 403)


async def _check_open(connection: HTTPConnection, services: Services, instead: str) -> None:
    """Raise RequestError with 403 unless this server is open to whoever this is."""
    try:
        direct = is_direct(connection, services.settings.allowed_origins)
        await services.accounts.authenticate(None, direct=direct)
    except RequestError:
        raise RequestError(f"who this comes from cannot be known without {instead}", 403) from None


async def _payer(services: Services) -> Caller:
    """On whose account calls are. Raises RequestError with 403."""
    try:
        return await services.accounts.authenticate(services.calls.config.api_key)
    except RequestError:
        raise RequestError("no account pays for calls: give an API key as --phone-key", 403) from None


def _check_room(services: Services) -> None:
    """Raise RequestError or HearingError if no call can be taken now."""
    services.calls.check_room()
    with services.agents.place():
        pass
    services.ears.check_room()
    services.check_room()


def _wishes(query: Mapping[str, str]) -> dict[str, str]:
    return {name: query[name] for name in WISHES if name in query}


def called(connection: HTTPConnection, public_url: str | None) -> str:
    """The address that a provider has called: behind a proxy only the operator knows how it begins."""
    url = connection.url
    scheme = "https" if url.scheme in ("https", "wss") else "http"
    base = (public_url or f"{scheme}://{url.netloc}").rstrip("/")
    if connection.scope["type"] == "websocket":
        base = base.replace("http", "ws", 1)
    return f"{base}{url.path}" + (f"?{url.query}" if url.query else "")


def variants(url: str) -> list[str]:
    """How Twilio may write an address when it signs it: with a port or without, a socket's with a slash."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    port = parts.port or (443 if parts.scheme in ("https", "wss") else 80)
    written = [url, *(parts._replace(netloc=netloc).geturl() for netloc in (host, f"{host}:{port}"))]
    if parts.scheme in ("ws", "wss"):
        written += [f"{way}/" for way in written]
    return written


async def _body(request: Request, services: Services) -> bytes:
    return await read_body(
        request, min(services.calls.config.max_message_bytes, services.settings.max_message_bytes)
    )


def _fields(body: bytes) -> list[tuple[str, str]]:
    """The fields of a webhook. Raises RequestError."""
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError:
        raise RequestError(f"body: not a form of at most {_MAX_FIELDS} fields", field="body") from None
