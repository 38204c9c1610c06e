"""An endpoint as the engine sees it: segments become requests, and frames arrive by themselves."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import aclosing
from dataclasses import dataclass, field

import numpy as np

from engine.audio import Stretcher
from engine.errors import SpeechError
from engine.models.arrivals import Arrivals, Box
from engine.models.openai_speech.body import encoded, speech_body
from engine.models.openai_speech.config import OpenAISpeechConfig
from engine.models.openai_speech.endpoint import Endpoint
from engine.models.openai_speech.loop import LoopThread
from engine.models.words import SegmentWords, WordEstimator
from engine.scheduler import OVERBOOKING
from engine.speech import Frame, ModelInfo, Pcm, Reference, Segment, StreamId, StreamOptions, Voice

_FRAME_SECONDS = 0.1
_HELD_SECONDS = 30.0  # of speech that has arrived for a stream; then the endpoint has to wait
_LONGEST = 600.0  # seconds of speech for one segment: more is a voice that has gone astray
_AWAIT_SECONDS = 0.005  # how long a step waits for speech; somebody else may come meanwhile
_UNSPEAKABLE_SECONDS = 0.2  # what is heard of a segment without text

_log = logging.getLogger(__name__)


def voices_of(config: OpenAISpeechConfig) -> tuple[Voice, ...]:
    """The voices of an endpoint, the default one first. In which languages they speak it does not say."""
    return tuple(Voice(voice, voice, f"A voice of {config.model}", "") for voice in config.voices)


@dataclass(slots=True)
class _Spoken:
    """The segment that a stream speaks now."""

    box: "Box[Pcm] | None"  # None: there is nothing to say, only a pause
    request: "Future[None] | None"
    pause: int  # samples of silence still to be handed out before it
    words: SegmentWords
    gain: float
    stretcher: Stretcher | None
    seconds: float = 0.0  # handed out so far, without the pause

    @property
    def ready(self) -> bool:
        """Whether there is something to hand out."""
        return self.pause > 0 or self.box is None or self.box.ready


@dataclass(slots=True)
class _Stream:
    words: WordEstimator = field(default_factory=WordEstimator)
    now: _Spoken | None = None


class OpenAISpeechModel:
    """Speech of an endpoint that has been discovered (:func:`~engine.models.openai_speech.discover`).

    Each segment is one request, sent as soon as the segment is there. A step hands out what has arrived; if
    nothing has for any of its streams, it waits for a moment.
    """

    def __init__(self, config: OpenAISpeechConfig) -> None:
        self._config = config
        self._rate = config.sample_rate
        self._frame = round(_FRAME_SECONDS * self._rate)
        self._info = ModelInfo(
            name=config.model,
            sample_rate=self._rate,
            frame_samples=self._frame,
            max_batch=OVERBOOKING * config.max_streams,  # a step costs nothing: nobody has to be left out
            loudness=config.loudness,
            voices=voices_of(config),
            default_voice=config.voices[0],
            languages=(),
            speeds=config.speeds,
            reads_tags=config.reads_tags,
            max_prefills=OVERBOOKING * config.max_streams,
            max_streams=config.max_streams,
            clones=config.cloning != "none",
            elsewhere=True,
            details=(f"at {config.place}", f"{self._rate} Hz, up to {config.max_streams} requests at a time"),
        )
        self._streams: dict[StreamId, _Stream] = {}
        self._learned: dict[str, bytes] = {}
        self._arrivals = Arrivals()
        self._endpoint = Endpoint(config)
        self._loop = LoopThread("parrotfish-openai-speech", self._endpoint.close)

    @property
    def info(self) -> ModelInfo:
        """Fixed facts, and the voices."""
        return self._info

    def warm(self) -> None:
        """Have a connection at hand."""
        self._loop.start(self._endpoint.connect()).result()

    def prefill(self, stream: StreamId, segment: Segment, options: StreamOptions) -> None:
        """Ask the endpoint for the next segment of a stream."""
        voice = options.voice(segment.speaker)
        if voice not in self._info.voice_ids and voice not in self._learned:
            raise SpeechError(f"unknown voice {voice!r}; this model has {', '.join(self._info.voice_ids)}")
        state = self._streams.setdefault(stream, _Stream())
        text = segment.text.strip()
        speakable = any(character.isalnum() for character in text)
        pause = segment.pause if speakable else max(segment.pause, _UNSPEAKABLE_SECONDS)
        wanted = options.speed * segment.style.pace
        speed = min(max(wanted, self._config.speeds[0]), self._config.speeds[1])
        tempo = wanted / speed
        box, request = None, None
        if speakable:
            references = self._learned.get(voice)
            named = voice if references is None else self._info.default_voice
            body = speech_body(self._config, text, named, speed, options, references)
            room = asyncio.Event()
            box = self._arrivals.box(_HELD_SECONDS * self._rate, lambda: self._loop.call_soon(room.set))
            trace = options.origin.trace if options.origin else None
            headers = trace.headers if trace else {}
            request = self._loop.start(self._fill(box, body, headers, room))
        state.now = _Spoken(
            box=box,
            request=request,
            pause=round(pause * self._rate),
            words=state.words.segment(segment.text, pause),
            gain=10 ** (segment.style.level_db / 20),
            stretcher=Stretcher(self._rate, tempo) if abs(tempo - 1) > 1e-3 else None,
        )

    def step(self, streams: Sequence[StreamId]) -> list[Frame | SpeechError]:
        """What has arrived for each stream, up to 100 ms; empty frames where nothing has."""
        speaking = [now for stream in streams if (now := self._streams[stream].now) is not None]
        if not any(now.ready for now in speaking):
            self._arrivals.wait([now.box for now in speaking if now.box is not None], _AWAIT_SECONDS)
        results: list[Frame | SpeechError] = []
        for stream in streams:
            try:
                results.append(self._next(self._streams[stream].now))
            except SpeechError as error:
                self.release(stream)
                results.append(error)
        return results

    def release(self, stream: StreamId) -> None:
        """Forget the stream, and have its request broken off."""
        state = self._streams.pop(stream, None)
        if state is not None and state.now is not None and state.now.request is not None:
            state.now.request.cancel()

    def learn(self, voice: str, references: Sequence[Reference]) -> None:
        """Keep recordings, which are sent with every text that the voice speaks; nothing is checked there."""
        taken = {"none": 0, "one": 1, "all": len(references)}[self._config.cloning]
        if not taken:
            raise SpeechError(
                f"{self._info.name} cannot learn a voice from recordings here; choose one of "
                f"{', '.join(self._info.voice_ids)}"
            )
        self._learned[voice] = encoded(references[:taken])

    def forget(self, voice: str) -> None:
        """Drop the recordings of a voice."""
        self._learned.pop(voice, None)

    def close(self) -> None:
        """Break off all requests and end the thread."""
        self._loop.close()

    def _next(self, now: _Spoken | None) -> Frame:
        assert now is not None, "only streams with a segment are stepped"
        if now.pause:
            silence = np.zeros(min(now.pause, self._frame), np.float32)
            now.pause -= len(silence)
            return Frame(silence, last=now.box is None and not now.pause)
        assert now.box is not None, "a segment without speech ends with its pause"
        arrived, last = now.box.take(self._frame)
        pcm: Pcm = np.concatenate([np.zeros(0, np.float32), *arrived]) * np.float32(now.gain)
        if now.stretcher is not None:
            pcm = now.stretcher.push(pcm)
            if last:
                pcm = np.concatenate([pcm, now.stretcher.drain()])
        now.seconds += len(pcm) / self._rate
        if len(pcm):
            now.words.hear(float(np.sqrt(np.mean(pcm * pcm))), now.seconds)
        if last and not now.seconds:
            raise SpeechError("the speech endpoint answered without any sound")
        if now.seconds > _LONGEST:
            raise SpeechError(
                f"the speech endpoint said more than {_LONGEST:g} s of one text and was stopped"
            )
        words = now.words.end(now.seconds) if last else now.words.until(now.seconds)
        return Frame(pcm, words, last)

    async def _fill(
        self, box: "Box[Pcm]", body: bytes, headers: Mapping[str, str], room: asyncio.Event
    ) -> None:
        """Put a request's speech into the box as it comes, in pieces of a frame at most."""
        try:
            async with aclosing(self._endpoint.speak(body, headers)) as pieces:
                async for pcm in pieces:
                    for at in range(0, len(pcm), self._frame):
                        piece = pcm[at : at + self._frame]
                        if not box.put(piece, len(piece)):
                            room.clear()
                            await room.wait()
        except SpeechError as error:
            box.end(error)
        except Exception as error:
            _log.error("a request failed", exc_info=error)
            box.end(SpeechError(f"the speech endpoint could not be asked ({type(error).__name__})"))
        else:
            box.end()
