"""The bundled voice as the engine sees it: streams that speak one segment after the other, in frames."""

import logging
from collections.abc import Iterator, Sequence

import numpy as np

from engine.errors import SpeechError
from engine.models.hibari.adaptation import Adapter
from engine.models.hibari.network import Network
from engine.models.hibari.phrase import Phrase, pace_of, silence, speak
from engine.models.hibari.presets import DEFAULT_VOICE, LOUDNESS, PRESETS, Preset
from engine.models.hibari.reading import Reader
from engine.models.hibari.stream import FRAME_HOPS, Stream
from engine.models.hibari.synthesis import HOP, HOP_SECONDS, SAMPLE_RATE, Synthesizer
from engine.origin import within
from engine.speech import Frame, ModelInfo, Reference, Segment, StreamId, StreamOptions

_PHONEMES_PER_SECOND = 19
_PHRASE_SECONDS = 4.3  # by estimate; the network adds 0.6 s of silence, and takes 5 ms for each second
_LONGEST_PAUSE = 10.0  # seconds
_UNSPEAKABLE_HOPS = 12  # what is heard of text without anything to say: 150 ms of silence

_log = logging.getLogger(__name__)

_INFO = ModelInfo(
    name="hibari",
    sample_rate=SAMPLE_RATE,
    frame_samples=FRAME_HOPS * HOP,
    max_batch=4,
    loudness=LOUDNESS,
    voices=tuple(preset.voice for preset in PRESETS.values()),
    default_voice=DEFAULT_VOICE,
    languages=("en",),
    # Beyond, the network swallows sounds and its pitch drifts; the engine's time stretch keeps the words whole.
    speeds=(0.8, 1.15),
)


class HibariModel:
    """The bundled voice: a 7.9 MB network on the CPU, with ``threads`` threads for each of its runs.

    English only; the voices are those of :mod:`~engine.models.hibari.presets`. A segment is spoken in phrases
    of at most some 5 s: prefill runs the network for the first, steps run it for the others when they come
    near, and the sound is computed 100 ms at a time. A segment's style moves its preset's timbre and pace; its
    pause is as long at any speed. ``[word](/phonemes/)`` in the text sets a pronunciation.
    """

    def __init__(self, threads: int = 1) -> None:
        self._network = Network(threads)
        self._reader = Reader(self._network.knows)
        self._adapter = Adapter(self._network, self._reader)
        self._streams: dict[StreamId, Stream] = {}
        self._learned: dict[str, Preset] = {}

    @property
    def info(self) -> ModelInfo:
        """Fixed facts: 24 kHz, frames of 100 ms, the voices."""
        return _INFO

    def warm(self) -> None:
        """Say something, with a word that is in no lexicon, so that all parts of the model are loaded."""
        stream = StreamId(-1)
        self.prefill(stream, Segment("Hello, gronkulous world."), StreamOptions((DEFAULT_VOICE,)))
        self.step([stream])
        self.release(stream)

    def prefill(self, stream: StreamId, segment: Segment, options: StreamOptions) -> None:
        """Read the segment's first sentence and run the network for its first phrase."""
        voice = options.voice(segment.speaker)
        preset = PRESETS.get(voice) or self._learned.get(voice)
        if preset is None:
            raise SpeechError(f"unknown voice {voice!r}; this model has {', '.join(PRESETS)}")
        state = self._streams.get(stream) or Stream(Synthesizer(_noise(stream, options.sampling.seed)))
        self._streams[stream] = state
        state.origin = options.origin
        state.begin(self._phrases(segment, preset, options.speed))
        try:
            state.prepare()
        except Exception as error:
            raise self._failed(stream, error) from error

    def step(self, streams: Sequence[StreamId]) -> list[Frame | SpeechError]:
        """The next 100 ms of each stream."""
        results: list[Frame | SpeechError] = []
        for stream in streams:
            try:
                results.append(self._streams[stream].next_frame())
            except Exception as error:
                results.append(self._failed(stream, error))
        self._look_ahead(streams)
        return results

    def release(self, stream: StreamId) -> None:
        """Forget the stream."""
        self._streams.pop(stream, None)

    def learn(self, voice: str, references: Sequence[Reference]) -> None:
        """Speak as ``voice`` with this model's timbre, moved toward that of the recordings."""
        self._learned[voice] = self._adapter.adapted(voice, references)

    def forget(self, voice: str) -> None:
        """Drop a learned voice; what is being said with it is said to the end."""
        self._learned.pop(voice, None)

    def close(self) -> None:
        """Nothing to do: the network runs on the caller's thread."""

    def _look_ahead(self, streams: Sequence[StreamId]) -> None:
        """Run the network for the stream that needs it first: one at most, for no step to take long."""
        near = [state for stream in streams if (state := self._streams.get(stream)) and state.wants_phrase]
        if near:
            min(near, key=lambda state: state.hops_left).prepare()

    def _phrases(self, segment: Segment, preset: Preset, speed: float) -> Iterator[Phrase]:
        limit = int(_PHRASE_SECONDS * _PHONEMES_PER_SECOND * pace_of(preset, speed, segment.style))
        pause = round(max(0.0, min(segment.pause, _LONGEST_PAUSE)) / HOP_SECONDS)
        if pause:
            yield silence(pause)
        spoken = bool(pause)
        for reading in self._reader.read(segment.text, segment.open_ended, limit):
            yield speak(self._network, reading, preset, speed, segment.style)
            spoken = True
        if not spoken:
            yield silence(_UNSPEAKABLE_HOPS)

    def _failed(self, stream: StreamId, error: Exception) -> SpeechError:
        state = self._streams.get(stream)
        with within(state.origin if state else None):
            _log.error("stream %d cannot be spoken", stream, exc_info=error)
        self.release(stream)
        return SpeechError(f"the text could not be spoken ({type(error).__name__})")


def _noise(stream: StreamId, seed: int | None) -> np.random.Generator:
    """The noise of a stream: its own, and the same each time."""
    return np.random.default_rng(abs(stream if seed is None else seed))
