"""``/v1/tts/live``: the Fish Audio live protocol, msgpack maps in binary frames, both ways.

What we add to it, and its known clients do not mind:

- any event may name a ``context`` (a string): several utterances side by side on one socket; what we send about
  one names it, too. Without the key there is the one context of Fish's own protocol.
- ``cancel`` ends a context's utterance at once; ``cancelled`` answers how much of it was heard.
- ``played`` with ``seconds`` reports how much of the audio the client has really played.
- ``start`` may ask for ``events``: ``flushed`` when all text up to a flush has left, ``alignment`` with the times
  of the words.

- ``error`` with ``error`` comes before the ``finish`` of an utterance that the account's credit or its key's rate
  does not allow, and before the socket is closed if its concurrency (then with ``max_concurrency``), or the key
  itself, does not.

``/v1/tts/live/with-timestamp`` is the same with the words' times in each audio event.
"""

import asyncio
import logging
from dataclasses import dataclass, field, replace
from time import time
from typing import Any, NamedTuple

import ormsgpack
from fastapi import APIRouter
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from engine import EngineError, EngineStopped, UnknownVoice, UnusableVoice
from realtime import DEFAULT_CONTEXT, Audio, Cancelled, Event, Finished, Flushed, Log, SpeechRequest
from realtime.ears import HearingError
from transports.accounts import Admission, Caller, ConcurrencyExceeded, Kind, OutOfCredit
from transports.errors import RequestError, failure, invalid
from transports.fields import LARGE_BYTES, unpack
from transports.fish.backlog import Backlog
from transports.fish.casting import cast, own_voices
from transports.fish.schema import parse_request, speech_request
from transports.fish.timestamps import Alignment, segments
from transports.services import Services, services_of
from transports.sockets import accept, caller_of
from transports.store import StoreError

router = APIRouter()

log = logging.getLogger(__name__)

# Pipecat's client dropped audio messages of 1024 bytes and fewer for long, so none so small is sent as PCM. It
# cannot ask for G.711, of which as much is an eighth of a second: that leaves as it comes.
MIN_PCM_BYTES = 1026
MAX_CONTEXT_NAME = 100
# Events that may wait for voices to be learned.
MAX_WAITING = 10_000
# An utterance that was cut off, or its socket closed, a moment ago still counts as running.
PATIENCE_SECONDS = 1.0
OPTIONAL_EVENTS = ("flushed", "alignment")


@router.websocket("/v1/tts/live")
async def live(socket: WebSocket) -> None:
    """Any number of utterances over one socket. A closed socket cancels at once."""
    await _serve(socket, timestamps=False)


@router.websocket("/v1/tts/live/with-timestamp")
async def live_with_timestamps(socket: WebSocket) -> None:
    """The same, with the times of the words in each audio event."""
    await _serve(socket, timestamps=True)


async def _serve(socket: WebSocket, *, timestamps: bool) -> None:
    services = services_of(socket)
    if (caller := await caller_of(socket, services.check_room)) is None:
        return
    await accept(socket)
    connection = _Connection(socket, services, caller, timestamps=timestamps)
    tasks = asyncio.create_task(connection.read()), asyncio.create_task(connection.send_events())
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        connection.speaker.disconnect()
        tasks[0].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await connection.close()
    for task in tasks:
        if not task.cancelled() and (error := task.exception()):
            raise error


class PcmPackets:
    """Cuts raw PCM into messages that no known client drops, without a delay that can be heard.

    The last :data:`MIN_PCM_BYTES` are kept back while more is to come, so that the last message is never too
    small either; only speech shorter than one such message is filled up with silence.
    """

    def __init__(self) -> None:
        self._held = b""

    def push(self, data: bytes, *, silence: bool) -> bytes:
        """What may be sent now; ``silence`` says that nothing follows for the time being."""
        held = self._held + data
        if silence:
            self._held = b""
            return held.ljust(MIN_PCM_BYTES, b"\0") if held else b""
        if len(held) < 2 * MIN_PCM_BYTES:
            self._held = held
            return b""
        self._held = held[-MIN_PCM_BYTES:]
        return held[:-MIN_PCM_BYTES]


@dataclass(slots=True)
class _Channel:
    """How one utterance is told to the client."""

    request: SpeechRequest
    packets: PcmPackets | None
    alignment: Alignment | None = field(default=None)


class _Asked(NamedTuple):
    """What a start asks for, with voices that the engine knows; its text, and who pays."""

    request: SpeechRequest
    text: str
    admission: Admission


class _Connection:
    """One client's socket: a reader and a sender around one speaker."""

    def __init__(self, socket: WebSocket, services: Services, caller: Caller, *, timestamps: bool) -> None:
        self.speaker = services.speaker()
        self._caller = caller
        self._socket = socket
        self._services = services
        self._timestamps = timestamps
        # By the identity of the request: a context may start anew before its last finish has been sent.
        self._channels: dict[int, _Channel] = {}
        self._admissions: dict[int, Admission] = {}
        self._latest: dict[str, Admission] = {}  # by context, for text
        self._backlogs: dict[str, Backlog] = {}  # by context

    # -- what the client says -----------------------------------------------------------------------

    async def read(self) -> None:
        """Take in what the client sends until the socket closes.

        Never waits for speech: a socket that is not read does not answer pings, and its end is not noticed. But
        it waits for the client to be told what it has provoked.
        """
        limit = self._services.settings.max_message_bytes
        while True:
            await self.speaker.heeded()
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            data = message.get("bytes")
            if data is None:
                self.speaker.reject("message: got a text frame; expected a binary frame with a msgpack map")
            elif len(data) > limit:
                self.speaker.reject(f"message: got {len(data)} bytes; expected at most {limit}")
            elif not await self._handle(data):
                return

    async def close(self) -> None:
        """The socket is closed: whatever was still being spoken, or waited for, ends."""
        backlogs = list(self._backlogs.values())
        for backlog in backlogs:
            backlog.drop()
        await asyncio.gather(*(backlog.task for backlog in backlogs if backlog.task), return_exceptions=True)
        for admission in self._admissions.values():
            admission.close()

    async def _handle(self, data: bytes) -> bool:
        """Do what a message says, or have it done after those before it; false if it was the last."""
        try:
            if len(data) < LARGE_BYTES:
                event = unpack(data, "message")
            else:
                event = await asyncio.to_thread(unpack, data, "message")
        except RequestError as error:
            self.speaker.reject(str(error))
            return True
        if not isinstance(event, dict) or not isinstance(event.get("event"), str):
            self.speaker.reject('message: expected a map with "event": start, text, flush or stop')
            return True
        context = event.get("context")
        if context is None:
            context = DEFAULT_CONTEXT
        elif not isinstance(context, str) or not 0 < len(context) <= MAX_CONTEXT_NAME:
            self.speaker.reject(
                str(invalid("context", context, f"a name of 1 to {MAX_CONTEXT_NAME} characters"))
            )
            return True
        if context in self._backlogs or (event["event"] == "start" and self._learns(event)):
            self._wait(event, len(data), context)
            return True
        return await self._do(event, context)

    def _learns(self, start: dict[Any, Any]) -> bool:
        """Whether a voice may have to be learned before the utterance begins."""
        fields, services = start.get("request"), self._services
        if not isinstance(fields, dict):
            return False
        own = own_voices(fields.get("reference_id"), services.engine.info, services.settings.voice_aliases)
        return own is None or bool(fields.get("references"))

    def _wait(self, event: dict[Any, Any], size: int, context: str) -> None:
        """Have an event done after those before it, while the socket is being read."""
        backlog = self._backlogs.setdefault(context, Backlog())
        if event["event"] == "cancel" and backlog.beginning:
            backlog.drop()
            self.speaker.tell(Cancelled(0.0, 0, ""), context)
            return
        backlog.add(event, size)
        backlogs = self._backlogs.values()
        most = 2 * self._services.settings.max_message_bytes
        if sum(map(len, backlogs)) > MAX_WAITING or sum(one.size for one in backlogs) > most:
            backlog.drop()
            self.speaker.reject("too much was sent before a voice was learned", context, start=True)
        if backlog.task is None:
            backlog.task = asyncio.create_task(self._catch_up(backlog, context))

    async def _catch_up(self, backlog: Backlog, context: str) -> None:
        """Do what waits, until nothing does."""
        try:
            while (event := backlog.next()) is not None:
                await self.speaker.heeded()
                asked = None
                if event["event"] == "start":
                    asked = backlog.asking = asyncio.create_task(self._asked(event))
                    await asyncio.wait([asked])
                    backlog.asking = None
                    if asked.cancelled():
                        continue
                if not await self._do(event, context, asked):
                    return
        except (WebSocketDisconnect, RuntimeError):
            self.speaker.disconnect()
        except Exception:
            log.exception("a live socket failed")
            self.speaker.disconnect()
        finally:
            del self._backlogs[context]

    async def _do(
        self,
        event: dict[Any, Any],
        context: str,
        asked: "asyncio.Task[_Asked] | None" = None,
    ) -> bool:
        """Do what an event says; false if it was the last. What a start asks for may be known."""
        try:
            if event["event"] == "start":
                await self._begin(await (asked or self._asked(event)), context)
            else:
                await self._dispatch(event, context)
        except (RequestError, EngineError, HearingError, StoreError) as error:
            return await self._refuse(error, context, start=event["event"] == "start")
        return True

    async def _dispatch(self, event: dict[Any, Any], context: str) -> None:
        """Carry out a client's event. Raises what is wrong with it."""
        match event["event"]:
            case "text":
                text = event.get("text")
                if not isinstance(text, str):
                    raise invalid("text", text, "a string")
                await self._text(text, context)
            case "flush":
                self.speaker.flush(context)
            case "stop":
                self.speaker.stop(context)
            case "cancel":
                self.speaker.cancel(context)
            case "played":
                seconds = event.get("seconds")
                if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not seconds >= 0:
                    raise invalid("seconds", seconds, "seconds of audio, at least 0")
                self.speaker.played(float(seconds), context)
            case name:
                known = "start, text, flush, stop, cancel or played"
                self.speaker.warn(f"event: got {name[:40]!r}; expected {known}; ignored", context)

    async def _asked(self, event: dict[Any, Any]) -> _Asked:
        """What a start asks for, of a caller who has been let in. Raises what is wrong."""
        fields = event.get("request")
        if not isinstance(fields, dict):
            raise invalid("request", fields, "a map of request fields")
        wants = event.get("events") or []
        if not isinstance(wants, list) or not all(want in OPTIONAL_EVENTS for want in wants):
            raise invalid("events", wants, f"a list of {' and '.join(OPTIONAL_EVENTS)}")
        wire = parse_request({"text": "", **fields}, "request")
        services = self._services
        admission = await services.accounts.admit(self._caller, Kind.TTS, patience=PATIENCE_SECONDS)
        try:
            voices = await cast(services, self._caller, wire)
            request = speech_request(wire, services.engine.info, voices, paced=True)
        except BaseException:
            admission.close()
            raise
        return _Asked(replace(request, events=frozenset(wants)), wire.text, admission)

    async def _begin(self, asked: _Asked, context: str) -> None:
        """Begin an utterance."""
        self.speaker.start(asked.request, context)
        if not self.speaker.takes_text(context):  # it was not begun, and the client is told why
            asked.admission.close()
            return
        self._admissions[id(asked.request)] = self._latest[context] = asked.admission
        if asked.text:
            await self._text(asked.text, context)

    async def _text(self, text: str, context: str) -> None:
        """Have a text spoken that is paid for. What is not spoken costs nothing."""
        size = len(text.encode())
        admission = self._latest[context] if self.speaker.takes_text(context) else None
        if admission:
            await admission.take(size, streamed=True)
        self.speaker.text(text, context)
        if admission and not self.speaker.takes_text(context):
            admission.untake(size)

    async def _refuse(self, error: Exception, context: str, *, start: bool) -> bool:
        """Tell why something cannot be done; false if nothing more can be."""
        told = failure(error)
        self._services.turned_away(told)
        match error:
            case ConcurrencyExceeded(max_concurrency=most):
                message = {"event": "error", "error": "Concurrency limit exceeded", "max_concurrency": most}
                await self._send(message, context)
                if self._admissions:
                    self.speaker.reject(told.message, context, start=start)
                    return True
                await self._socket.close(1013, "Concurrency limit exceeded")
                return False
            case RequestError(status=401):
                await self._send({"event": "error", "error": told.message}, context)
                await self._socket.close(1008, "the API key is void")
                return False
            case OutOfCredit() | RequestError(status=429):
                await self._send({"event": "error", "error": told.message}, context)
            case _:
                pass
        self.speaker.reject(told.message, context, start=start)
        return True

    # -- what the client is told --------------------------------------------------------------------

    async def send_events(self) -> None:
        """Send what the speaker says until the socket closes."""
        try:
            async for context, event, request in self.speaker:
                if isinstance(event, Finished | Cancelled):
                    self._ended(context, request)  # first: the client may start the next as soon as it knows
                for message in self._messages(event, request):
                    await self._send(message, context)
                    if isinstance(event, Audio) and message["event"] == "audio":
                        event.sent()
                if isinstance(event, Finished) and self._hopeless(event, context):
                    reason = "nothing was sent for too long" if event.forgotten else "the engine failed"
                    await self._socket.close(1011, reason)
                    return
            if self.speaker.heedless:
                await self._socket.close(1008, "too much was provoked, and not read")
        except (WebSocketDisconnect, RuntimeError):
            if self._socket.client_state is WebSocketState.CONNECTED is self._socket.application_state:
                raise
        finally:
            self.speaker.disconnect()

    def _hopeless(self, finished: Finished, context: str) -> bool:
        """Whether a client whose utterance has ended like this does better with another socket.

        Everybody does whose engine is dead. Pipecat, which sends one start for a whole call, would go on with a
        socket on which nothing is open; but who names contexts, or has others open, knows what a finish means.
        """
        match finished.cause:
            case None | UnknownVoice() | UnusableVoice() if not finished.forgotten:  # the client's doing
                return False
            case EngineStopped():
                return True
            case _:
                return context == DEFAULT_CONTEXT and not self._admissions and not self._backlogs

    async def _send(self, message: dict[str, Any], context: str) -> None:
        if context != DEFAULT_CONTEXT:
            message["context"] = context
        await self._socket.send_bytes(ormsgpack.packb(message))

    def _ended(self, context: str, request: SpeechRequest | None) -> None:
        """An utterance is over, and so is what it may use."""
        if admission := self._admissions.pop(id(request), None):
            admission.close()
            if self._latest.get(context) is admission:
                del self._latest[context]

    def _messages(self, event: Event, request: SpeechRequest | None) -> list[dict[str, Any]]:
        match event:
            case Audio() if request:
                return self._audio(self._channel(request), event)
            case Log(message):
                return [{"event": "log", "message": message}]
            case Flushed():
                return [{"event": "flushed"}] if request and "flushed" in request.events else []
            case Cancelled(seconds, characters, word):
                self._channels.pop(id(request), None)
                heard = {"heard_seconds": seconds, "heard_characters": characters, "last_word": word}
                return [{"event": "cancelled", **heard}]
            case Finished(error):
                channel = self._channels.pop(id(request), None)
                finish: dict[str, Any] = {"event": "finish", "reason": "error" if error else "stop"}
                if self._timestamps:
                    finish["time"] = time()
                tail = channel.packets.push(b"", silence=True) if channel and channel.packets else b""
                return [{"event": "audio", "audio": tail}, finish] if tail else [finish]
            case _:
                return []

    def _channel(self, request: SpeechRequest) -> _Channel:
        """How the audio of a request's utterance is told; made with its first."""
        if (channel := self._channels.get(id(request))) is None:
            channel = self._channels[id(request)] = _Channel(
                request,
                PcmPackets() if request.output.container == "pcm" else None,
                Alignment() if self._timestamps else None,
            )
        return channel

    def _audio(self, channel: _Channel, audio: Audio) -> list[dict[str, Any]]:
        data = audio.data
        if channel.packets is not None:
            data = channel.packets.push(data, silence=audio.silence)
        messages: list[dict[str, Any]] = []
        if channel.alignment is not None:
            fields = channel.alignment.snapshot(audio)
            if data or audio.words:
                messages.append({"event": "audio", "audio": data, **fields, "time": time()})
        elif data:
            messages.append({"event": "audio", "audio": data})
        if audio.words and "alignment" in channel.request.events:
            messages.append({"event": "alignment", "segments": segments(audio.words)})
        return messages
