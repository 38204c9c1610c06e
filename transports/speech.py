"""A whole text spoken for one caller, in whatever dialect it was asked for."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from time import monotonic

from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from engine import EngineError, SpeechError, UnusableVoice
from realtime import Audio, Finished, Latency, Speaker, SpeechRequest
from transports.accounts import Admission, Caller, Kind
from transports.errors import RequestError
from transports.services import Services

Encode = Callable[[Audio], bytes]
"""What is sent of a piece of audio; nothing, if it is empty."""


async def read_body(request: Request, limit: int) -> bytes:
    """The request's body. Raises :class:`RequestError` as soon as it is known to be too large."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit:
                raise RequestError(f"body: larger than the limit of {limit} bytes", 413)
    except ClientDisconnect:
        raise RequestError("body: cut off") from None  # nobody is there to read it
    return bytes(body)


def check_text(services: Services, text: str, field: str = "text") -> None:
    """Raise :class:`RequestError` for a text, which the client calls ``field``, that is empty or too long."""
    if not text:
        raise RequestError(f"{field}: got ''; expected something to speak", field=field)
    if len(text) > (limit := services.settings.max_text):
        raise RequestError(f"{field}: got {len(text)} characters; expected at most {limit}", 413, field=field)


class Speech:
    """A text that is being spoken, and whose first audio is there. To be iterated once, and closed.

    The iteration raises EngineError if the speech ends before the text does.
    """

    def __init__(self, request: SpeechRequest, speaker: Speaker, admission: Admission) -> None:
        self.request = request
        self._speaker = speaker
        self._admission = admission
        self._first: list[Audio] = []

    @classmethod
    async def begin(
        cls,
        services: Services,
        caller: Caller,
        text: str,
        voiced: Callable[[], Awaitable[SpeechRequest]],
        *,
        field: str = "text",
        voice_field: str = "reference_id",
        request_id: str | None = None,
        promised: bool = False,
    ) -> "Speech":
        """Begin to speak ``text``, which the client calls ``field``; returns with the first audio.

        ``voiced`` says how, with voices that may first have to be learned: nothing of that is done for a caller
        who is not let in. They pay, unless nothing of it can be spoken, and once for one ``request_id``. One
        that was ``promised`` is no other request than that which they were let in with then.
        Raises RequestError, EngineError or HearingError.
        """
        came = monotonic()
        check_text(services, text, field)
        admission = await services.accounts.admit(caller, Kind.TTS, request_id=request_id, promised=promised)
        speech = None
        try:
            request = await voiced()
            await admission.take(len(text.encode()))
            speech = cls(request, services.speaker(), admission)
            speech._speaker.start(request, text_came=came)
            if request.latency is Latency.NORMAL:  # who asks for prosody can wait for a whole sentence
                speech._speaker.text(text, last=True)
            else:
                speech._speaker.text(text)
                speech._speaker.stop()
            async for audio in speech._audio():
                speech._first.append(audio)
                if audio.data:
                    break
        except BaseException as error:
            admission.refund()
            if speech is not None:
                speech.close()
            admission.close()
            if isinstance(error, UnusableVoice):
                raise RequestError(f"{voice_field}: {error}", field=voice_field) from None
            raise
        return speech

    async def __aiter__(self) -> AsyncIterator[Audio]:
        for audio in self._first:
            yield audio
        async for audio in self._audio():
            yield audio

    def refund(self) -> None:
        """Nothing of it was delivered: it costs nothing."""
        self._admission.refund()

    def close(self) -> None:
        """Say no more, and free everything. Idempotent."""
        self._speaker.disconnect()
        self._admission.close()

    async def _audio(self) -> AsyncIterator[Audio]:
        async for _, event, _ in self._speaker:
            match event:
                case Audio():
                    yield event
                case Finished(error=None):
                    return
                case Finished(error, cause=cause):
                    raise cause or SpeechError(error)
                case _:
                    pass


class SpeechResponse(StreamingResponse):
    """Streams a speech, then ``end``, and frees it however the response ends.

    A failure breaks off the connection: nobody shall take it for whole.
    """

    def __init__(
        self,
        speech: Speech,
        mime: str,
        encode: Encode,
        *,
        headers: Mapping[str, str] | None = None,
        end: bytes = b"",
    ) -> None:
        notes = speech.request.notes
        noted = {"X-Parrotfish-Note": "; ".join(notes)} if notes else {}
        super().__init__(
            self._body(speech, encode, end), media_type=mime, headers={**noted, **(headers or {})}
        )
        self._speech = speech

    @staticmethod
    async def _body(speech: Speech, encode: Encode, end: bytes) -> AsyncIterator[bytes]:
        try:
            async for audio in speech:
                if data := encode(audio):
                    yield data
                    audio.sent()
        except EngineError as error:
            raise ConnectionAbortedError(str(error)) from error
        if end:
            yield end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._speech.close()
