"""``/v1/agent``: a conversation over a WebSocket, for clients without WebRTC.

JSON in text frames, audio in binary ones: as the first message asks for, PCM of any length up and packets of
20 ms down, or Opus packets both ways. ``docs/agent.md`` describes it.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Any, Literal

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from engine import EngineError
from engine.audio import OPUS_RATE, FormatError, OpusDecoder, OutputFormat, output_format, packet_format
from engine.speech import Pcm
from realtime.agent import ClientGone
from realtime.ears import HearingError
from realtime.line import LineFormat
from transports.accounts import Caller
from transports.agent.line import LEAD, SocketLine, read_message
from transports.agent.making import agent_for, check_room
from transports.agent.wishes import AgentWishes
from transports.errors import RequestError, failure
from transports.fields import check, given
from transports.services import Services, services_of
from transports.sockets import accept, caller_of
from transports.store import StoreError

router = APIRouter()

_START_SECONDS = 30.0
_CLOSE_SECONDS = 5.0
_NORMAL, _CLIENTS_FAULT, _OUR_FAULT, _TRY_AGAIN = 1000, 1008, 1011, 1013
_REFUSALS = (RequestError, EngineError, HearingError, StoreError)

log = logging.getLogger(__name__)


class AudioWishes(BaseModel):
    """How audio goes in both directions, by ``audio`` of a ``start``."""

    model_config = ConfigDict(extra="ignore", strict=True)

    format: Literal["pcm", "opus"] = "pcm"
    sample_rate: int = 24_000
    input_format: Literal["pcm", "opus"] = "pcm"
    input_sample_rate: int = Field(16_000, ge=8_000, le=48_000)


@router.websocket("/v1/agent")
async def converse(socket: WebSocket) -> None:
    """Hold a conversation. A closed socket ends it at once."""
    services, place = services_of(socket), contextlib.ExitStack()

    def take_place() -> None:
        check_room(services)
        place.enter_context(services.agents.place())

    if (caller := await caller_of(socket, take_place)) is None:
        return
    with place:
        await accept(socket)
        # Whoever is gone needs no answer; Starlette has both errors for that.
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await _serve(socket, services, caller)


async def _serve(socket: WebSocket, services: Services, caller: Caller) -> None:
    """The conversation, and how it ends. Raises what breaks when the client is gone."""
    try:
        message = await _start(socket)
        if message is None:
            return
        wishes = check(AgentWishes, AgentWishes.fields_of(message))
        format_, decode = _audio(message.get("audio") or {}, services.encoders.live)
        async with (
            agent_for(services, caller, format_.output, wishes) as agent,
            SocketLine(socket, format_, decode, services.ears.config.idle_seconds) as line,
        ):
            rate, mind = format_.output.sample_rate, services.agents.mind_name
            await line.say({"type": "ready", "sample_rate": rate, "mind": mind})
            try:
                async with asyncio.timeout(services.settings.agent.max_seconds) as longest:
                    await agent.run(line)
            except TimeoutError:
                if not longest.expired():
                    raise
                await line.say({"type": "error", "message": "no conversation may be longer", "status": 408})
        code = _NORMAL
    except ClientGone as error:
        log.warning("a conversation was ended: %s", error)
        code = _CLIENTS_FAULT
    except Exception as error:
        wrong = failure(error)
        if isinstance(error, _REFUSALS):
            services.turned_away(wrong)
        elif socket.client_state is WebSocketState.CONNECTED is socket.application_state:
            log.exception("a conversation broke")
        else:
            raise
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await socket.send_json({"type": "error", "message": wrong.message, "status": wrong.status})
        busy = wrong.status in (429, 503)
        code = _TRY_AGAIN if busy else _CLIENTS_FAULT if wrong.status < 500 else _OUR_FAULT
    with contextlib.suppress(RuntimeError, WebSocketDisconnect, TimeoutError):
        async with asyncio.timeout(_CLOSE_SECONDS):  # who takes nothing does not take that either
            await socket.close(code)


async def _start(socket: WebSocket) -> dict[str, Any] | None:
    """The first message; None if the client has gone. Raises RequestError."""
    try:
        async with asyncio.timeout(_START_SECONDS):
            message = await socket.receive()
    except TimeoutError:
        raise RequestError(f"start: no message for {_START_SECONDS:g} s", 408) from None
    if message["type"] == "websocket.disconnect":
        return None
    if message.get("text") is None:
        raise RequestError("start: got audio; expected it after a text frame with the start")
    fields = read_message(message["text"])
    if fields["type"] != "start":
        raise RequestError(f"type: got {fields['type'][:40]!r}; expected start in the first message")
    return fields


def _audio(fields: Any, decoders: Executor) -> tuple[LineFormat, Callable[[bytes], Awaitable[Pcm]]]:
    """How audio goes out, and how it is read. Raises RequestError."""
    wishes = check(AudioWishes, given(fields, AudioWishes) if isinstance(fields, dict) else fields, "audio")
    output: OutputFormat
    if wishes.format == "opus":
        output = packet_format()
    else:
        try:
            output = output_format("pcm", wishes.sample_rate)
        except FormatError as error:
            raise RequestError(f"audio.{error}", field=f"audio.{error.field}") from None
    if wishes.input_format == "pcm":
        return LineFormat(output, wishes.input_sample_rate, LEAD), _Samples()
    decoder = OpusDecoder()

    async def decoded(packet: bytes) -> Pcm:
        return await asyncio.get_running_loop().run_in_executor(decoders, decoder.decode, packet)

    return LineFormat(output, OPUS_RATE, LEAD), decoded


class _Samples:
    """16 bit, little-endian, cut into messages anywhere, in the middle of a sample, too."""

    def __init__(self) -> None:
        self._rest = b""

    async def __call__(self, data: bytes) -> Pcm:
        data = self._rest + data
        whole = len(data) // 2 * 2
        self._rest = data[whole:]
        return np.frombuffer(data[:whole], np.dtype("<i2")).astype(np.float32) / np.float32(32768)
