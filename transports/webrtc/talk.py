"""What is said over a peer's data channel: the live protocol in JSON, with the audio on the track.

Text becomes speech on the track to the peer, and what comes on the track from it becomes transcripts.
"""

import asyncio
import contextlib
from dataclasses import dataclass, replace
from typing import Any

from engine import EngineError
from engine.audio import packet_format
from realtime import Flushed, Log, Output, SpeechRequest, SpokenWord
from realtime.ears import Ear, HearingError
from realtime.line import Heard, LinePlayed
from realtime.mouth import EndHeard, Mouth, MouthEvent, WordsHeard
from transports.accounts import Admission, Kind
from transports.errors import RequestError, failure, invalid
from transports.fish.asr_live import told
from transports.fish.casting import cast
from transports.fish.live import OPTIONAL_EVENTS
from transports.fish.schema import parse_request, speech_request
from transports.fish.timestamps import segments
from transports.services import Services
from transports.store import StoreError
from transports.webrtc.inbound import RATE
from transports.webrtc.peer import Peer

# An utterance that ended a moment ago still counts as running.
_PATIENCE_SECONDS = 1.0
# As the live ASR socket has it: the pause after which a phrase is over.
_PAUSE_SECONDS = 0.5
_REFUSALS = (RequestError, EngineError, HearingError, StoreError)


@dataclass(slots=True)
class _Utterance:
    """What is being said, or waits for its turn; ``last`` is the last word that was heard of it."""

    request: SpeechRequest
    admission: Admission
    takes_text: bool = True
    last: SpokenWord | None = None


class Talk:
    """Serves one peer for a client that drives it. ``language`` is that of what it says, None to find out.

    ``text`` is spoken as soon as the peer is there, as the request ``fields`` have it.
    """

    def __init__(
        self,
        services: Services,
        peer: Peer,
        *,
        language: str | None = None,
        fields: dict[str, Any] | None = None,
    ) -> None:
        self._services = services
        self._peer = peer
        self._language = language
        self._fields = fields
        self._mouth = Mouth(services.speaker(), peer.line, self._told, self._said)
        self._utterances: dict[str, _Utterance] = {}
        self._number = 0
        self._deaf = False  # what the peer says is not heard any more

    async def run(self) -> None:
        """Until the peer has gone."""
        try:
            async with self._mouth, asyncio.TaskGroup() as group:
                reading = group.create_task(self._read())
                await self._hear()
                reading.cancel()
        finally:
            for utterance in self._utterances.values():
                utterance.admission.close()

    # -- what the client writes ---------------------------------------------------------------------

    async def _read(self) -> None:
        if self._fields is not None:
            await self._do({"type": "start", "request": self._fields})
            await self._do({"type": "stop"})
        async for message in self._peer.channel:
            await self._do(message)

    async def _do(self, message: dict[str, Any] | RequestError) -> None:
        try:
            if isinstance(message, RequestError):
                raise message
            await self._dispatch(message)
        except _REFUSALS as error:
            self._refuse(error)

    async def _dispatch(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "start":
                await self._start(message)
            case "text":
                text = message.get("text")
                if not isinstance(text, str):
                    raise invalid("text", text, "a string")
                await self._text(text)
            case "flush":
                self._mouth.flush(self._open("flush"))
            case "stop":
                name = self._open("stop")
                self._utterances[name].takes_text = False
                self._mouth.stop(name)
            case "cancel":
                self._cancel()
            case "played":
                pass  # the peer's own reports say it
            case other:
                raise invalid("type", other, "start, text, flush, stop, cancel or played")

    async def _start(self, message: dict[str, Any]) -> None:
        """Begin an utterance, to be heard after those before it."""
        if any(utterance.takes_text for utterance in self._utterances.values()):
            raise RequestError("start: an utterance is open; stop it or cancel it before the next")
        most = self._services.settings.max_contexts
        if len(self._utterances) >= most:
            raise RequestError(f"start: {most} utterances wait to be heard; cancel, or wait for a finish")
        # Voices may have to be learned: who does not want to wait for that cancels.
        asking = asyncio.create_task(self._asked(message))
        cancelled = asyncio.create_task(self._peer.channel.void_until("cancel"))
        try:
            await asyncio.wait((asking, cancelled), return_when=asyncio.FIRST_COMPLETED)
            if cancelled.done():
                self._tell_cancelled(None)
                return
            request, text = asking.result()
        finally:
            asking.cancel()
            cancelled.cancel()
            await asyncio.gather(asking, cancelled, return_exceptions=True)
        caller = self._peer.caller
        admission = await self._services.accounts.admit(caller, Kind.TTS, patience=_PATIENCE_SECONDS)
        self._number += 1
        name = str(self._number)
        self._utterances[name] = _Utterance(request, admission)
        self._peer.quiet.clear()
        self._mouth.start(request, name)
        if text:
            await self._text(text)

    async def _asked(self, message: dict[str, Any]) -> tuple[SpeechRequest, str]:
        """What a start asks for, with voices that the engine knows; and the text in it."""
        fields = message.get("request") or {}
        if not isinstance(fields, dict):
            raise invalid("request", fields, "a map of request fields")
        wants = message.get("events") or []
        if not isinstance(wants, list) or not all(want in OPTIONAL_EVENTS for want in wants):
            raise invalid("events", wants, f"a list of {' and '.join(OPTIONAL_EVENTS)}")
        wire = parse_request({"text": "", **fields, "format": "opus", "sample_rate": None}, "request")
        voices = await cast(self._services, self._peer.caller, wire)
        request = speech_request(wire, self._services.engine.info, voices, paced=True)
        output = packet_format(request.output.bitrate)
        return replace(request, output=output, events=frozenset(wants)), wire.text

    async def _text(self, text: str) -> None:
        """Have a text spoken that is paid for."""
        name = self._open("text")
        await self._utterances[name].admission.take(len(text.encode()), streamed=True)
        self._mouth.text(text, name)

    def _cancel(self) -> None:
        """Be silent at once; whatever waits is dropped, too."""
        self._mouth.notice()
        if not self._utterances:
            raise RequestError("cancel: nothing is being said")
        current = next(iter(self._utterances.values()))
        for name in reversed(list(self._utterances)):
            self._mouth.drop(name)  # which may turn out to have been heard to its end this very moment
        for name in list(self._utterances):
            self._over(name)
        self._tell_cancelled(current.last)

    def _tell_cancelled(self, last: SpokenWord | None) -> None:
        """Nothing more is heard; ``last`` is the last word that was."""
        self._peer.channel.tell(
            {
                "type": "cancelled",
                "heard_seconds": round(last.end, 3) if last else 0.0,
                "heard_characters": last.end_char if last else 0,
                "last_word": last.text if last else "",
            }
        )

    def _open(self, verb: str) -> str:
        """The utterance that takes text now."""
        for name, utterance in self._utterances.items():
            if utterance.takes_text:
                return name
        raise RequestError(f"{verb}: no utterance is open; start one first")

    # -- what it is told ----------------------------------------------------------------------------

    def _told(self, event: MouthEvent) -> None:
        """Something was heard."""
        match event:
            case WordsHeard(name, words) if utterance := self._utterances.get(name):
                utterance.last = words[-1]
                if "alignment" in utterance.request.events:
                    self._peer.channel.tell({"type": "alignment", "segments": segments(words)})
            case EndHeard(name, error) if name in self._utterances:
                self._over(name)
                self._peer.channel.tell({"type": "finish", "reason": "error" if error else "stop"})
            case _:
                pass

    def _said(self, output: Output) -> None:
        """The speaker has something to tell."""
        match output.event:
            case Log(message):
                self._peer.channel.tell({"type": "log", "message": message})
            case Flushed() if output.request and "flushed" in output.request.events:
                self._peer.channel.tell({"type": "flushed"})
            case _:
                pass

    def _over(self, name: str) -> None:
        self._utterances.pop(name).admission.close()
        if not self._utterances:
            self._peer.quiet.set()

    # -- what it says -------------------------------------------------------------------------------

    async def _hear(self) -> None:
        """Take what comes from the peer until it has gone."""
        async with contextlib.AsyncExitStack() as stack:
            ear, admission = None, None
            try:
                if self._peer.sends:
                    admission = await self._services.accounts.admit(self._peer.caller, Kind.ASR)
                    stack.callback(admission.close)
                    listening = self._services.ears.listen(RATE, self._language, pause=_PAUSE_SECONDS)
                    ear = await stack.enter_async_context(listening)
                    telling = asyncio.create_task(self._tell(ear))
                    stack.callback(telling.cancel)
            except _REFUSALS as error:
                self._refuse_hearing(error)
            async for event in self._peer.line:
                match event:
                    case Heard(pcm) if ear is not None and admission is not None and not self._deaf:
                        try:
                            await admission.take(pcm.size / RATE, streamed=True)
                            await ear.push(pcm)
                        except _REFUSALS as error:
                            self._refuse_hearing(error)
                    case LinePlayed():
                        self._mouth.played(event)
                    case _:
                        pass

    async def _tell(self, ear: Ear) -> None:
        """Tell what is heard."""
        try:
            async for event in ear:
                self._peer.channel.tell(told(event))
        except HearingError as error:
            self._refuse_hearing(error)

    def _refuse_hearing(self, error: Exception) -> None:
        self._deaf = True
        self._refuse(error)

    def _refuse(self, error: Exception) -> None:
        failed = failure(error)
        self._services.turned_away(failed)
        self._peer.channel.tell({"type": "error", "message": failed.message, "status": failed.status})
