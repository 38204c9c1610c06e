"""A whole text spoken for one caller, in whatever dialect it was asked for."""

from collections.abc import AsyncIterator, Callable, Mapping

from starlette.requests import ClientDisconnect, Request
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from engine import EngineError, SpeechError
from realtime import Audio, Finished, Speaker, SpeechRequest
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
        request: SpeechRequest,
        text: str,
        *,
        field: str = "text",
        request_id: str | None = None,
    ) -> "Speech":
        """Begin to speak ``text``, which the client calls ``field``; returns with the first audio.

        The caller pays for it, unless nothing of it can be spoken, and once for one ``request_id``.
        Raises RequestError or EngineError.
        """
        if not text:
            raise RequestError(f"{field}: got ''; expected something to speak", field=field)
        if len(text) > (limit := services.settings.max_text):
            raise RequestError(
                f"{field}: got {len(text)} characters; expected at most {limit}", 413, field=field
            )
        admission = await services.accounts.admit(caller, Kind.TTS, request_id=request_id)
        speech = cls(request, services.speaker(), admission)
        try:
            await admission.take(len(text.encode()))
            speech._speaker.start(request)
            speech._speaker.text(text)
            speech._speaker.stop()
            async for audio in speech._audio():
                speech._first.append(audio)
                if audio.data:
                    break
        except BaseException:
            admission.refund()
            speech.close()
            raise
        return speech

    async def __aiter__(self) -> AsyncIterator[Audio]:
        for audio in self._first:
            yield audio
        async for audio in self._audio():
            yield audio

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
