"""A Dual-AR model as the engine sees it: streams that speak one segment after the other, frame by frame."""

import logging
import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from engine.errors import ModelGone, SpeechError, UnusableVoice
from engine.models.dual_ar.contexts import Codes, Contexts, Stop
from engine.models.dual_ar.pages import Positions
from engine.models.dual_ar.prompt import PromptBuilder, speakable, window
from engine.models.dual_ar.sampling import TOP_K, Start
from engine.models.dual_ar.tokenizer import SPEAKER
from engine.models.dual_ar.vocoder import Lead, Vocoder
from engine.models.dual_ar.voices import Voices, speakers
from engine.models.dual_ar.watchdog import Watchdog
from engine.models.lane import enough_memory
from engine.models.words import SegmentWords, WordEstimator
from engine.numbers import PageNumbers
from engine.speech import Frame, ModelInfo, Pcm, Reference, Segment, StreamId, StreamOptions

HISTORY = 2048
"""Positions of its earlier speech that a stream hears at most, 95 s; beyond, the older half goes."""

LEAST_SPEECH = 64
"""Frames (3 s) for which there must be room beside the prompt."""

_UNSPEAKABLE_SECONDS = 0.2  # what is heard of a segment without text
_WARM_TEXT = "…"  # there is nothing in it that a voice would have to say
_AWAIT_SECONDS = 0.005  # how long a step waits for voices; somebody else may come meanwhile

_log = logging.getLogger(__name__)

Recordings = tuple[tuple[str, Codes], ...]


@dataclass(slots=True)
class _Spoken:
    """The segment that a stream speaks now."""

    text: str
    user: Positions | None  # None: there is nothing to say, only a pause
    limit: int  # frames it may take
    pause: float  # seconds of silence still to be handed out before it
    words: SegmentWords
    watchdog: Watchdog
    begun: bool = False
    stopped: bool = False  # no more frames come from the transformers
    frames: list[Codes] = field(default_factory=list)
    decoded: int = 0  # of the frames
    pcm: list[Pcm] = field(default_factory=list)  # not handed out yet
    seconds: float = 0.0  # decoded so far
    error: SpeechError | None = None

    @property
    def over(self) -> bool:
        """Whether everything has been decoded."""
        return self.stopped and self.decoded == len(self.frames)


@dataclass(slots=True)
class _Stream:
    slot: int
    options: StreamOptions
    seed: int
    lead: Lead
    words: WordEstimator
    recordings: list["Future[Recordings]"]
    salt: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    system: Positions | None = None  # the prompt of the voices, as soon as they are encoded
    turns: list[Positions] = field(default_factory=list)  # what was said, without what belongs to its end
    segments: int = 0
    now: _Spoken | None = None


class DualARModel:
    """S2-Pro and its kin: many streams in one batch, a frame of all of them in one pass.

    A segment is one turn of the model's chat format. The next one of a stream is added to its context without
    reading the past again, until the context is full: then the older half of what was said is dropped. With
    ``lookahead`` a step hands out what the step before computed, while the device is busy with the next.
    """

    def __init__(
        self,
        info: ModelInfo,
        batcher: Contexts,
        vocoder: Vocoder,
        prompts: PromptBuilder,
        voices: Voices,
        *,
        slots: int,
        lookahead: bool = False,
        warm_voices: Sequence[str] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._info = info
        self._batcher, self._vocoder, self._prompts, self._voices = batcher, vocoder, prompts, voices
        self._lookahead = lookahead
        self._warm_voices = tuple(warm_voices)
        self._clock = clock
        self._free = list(range(slots))[::-1]
        self._streams: dict[StreamId, _Stream] = {}
        self._by_slot: dict[int, _Stream] = {}
        self._flight: Any = None
        self._frame_cost = info.frame_seconds  # seconds that a step takes

    @property
    def info(self) -> ModelInfo:
        """Fixed facts, and the voices."""
        return self._info

    @property
    def pages(self) -> PageNumbers | None:
        """Those of its KV cache, if it is known."""
        return self._batcher.pages

    def warm(self) -> None:
        """Capture the graphs, encode the voices that are to be warm, and read their prompts into the cache."""
        with enough_memory(self._batcher.device):
            self._batcher.capture()
            self._vocoder.capture()
        for number, voice in enumerate((self._info.default_voice, *self._warm_voices), 1):
            _log.info("warming voice %r", voice)
            stream, options = StreamId(-number), StreamOptions((voice,), paced=False)
            self._voices.want(voice).result()
            self.prefill(stream, Segment(_WARM_TEXT), options)
            for _ in range(64):  # a long prompt is read in parts
                frame = self.step([stream])[0]
                if isinstance(frame, SpeechError):
                    raise frame
                if len(frame.pcm) or frame.last:
                    break
            self.release(stream)

    def prefill(self, stream: StreamId, segment: Segment, options: StreamOptions) -> None:
        """Take the next segment of a stream; it is read in the steps that follow."""
        if (limit := options.sampling.max_new_tokens) < 0:
            raise SpeechError(f"max_new_tokens is {limit}; it must be 0 (all there is room for) or more")
        state = self._streams.get(stream) or self._admit(stream, options)
        text = speakable(segment.text)
        if not SPEAKER.sub("", text).strip():
            text = ""
        state.segments += 1
        state.now = _Spoken(
            text=text,
            user=self._prompts.user(text, self._speaker(segment, options)) if text else None,
            limit=limit,
            pause=segment.pause if text else max(segment.pause, _UNSPEAKABLE_SECONDS),
            words=state.words.segment(segment.text, segment.pause),
            watchdog=Watchdog(self._info.frame_seconds),
            stopped=not text,
        )

    def step(self, streams: Sequence[StreamId]) -> list[Frame | SpeechError]:
        """The next frame of each stream; empty ones while its prompt is read or its codec waits for more."""
        started = self._clock()
        states = [self._streams[stream] for stream in streams]
        for state in states:
            self._begin(state)
        self._await_voices(states)
        speaking = [state.slot for state in states if (now := state.now) and now.begun and not now.stopped]
        flight = self._batcher.launch(speaking)
        if self._lookahead:
            flight, self._flight = self._flight, flight
        landed = self._batcher.land(flight) if flight else {}
        for slot, outcome in landed.items():
            self._land(self._by_slot[slot], outcome)
        self._vocode(states)
        frames = [self._hand_out(state) for state in states]
        if landed:
            took = self._clock() - started
            self._frame_cost += 0.2 * (took - self._frame_cost)
        return frames

    def release(self, stream: StreamId) -> None:
        """Forget the stream; its slot and its pages are free at once."""
        if state := self._streams.pop(stream, None):
            self._batcher.free(state.slot)
            del self._by_slot[state.slot]
            self._free.append(state.slot)

    def learn(self, voice: str, references: Sequence[Reference]) -> None:
        """Clone a voice: encode its recordings, on the thread for that, and keep the codes."""
        self._voices.learn(voice, references)
        try:
            self._prompts.system(speakers([self._voices.want(voice).result()]))
        except UnusableVoice:
            self._voices.forget(voice)
            raise

    def forget(self, voice: str) -> None:
        """Drop the codes of a voice that was learned; its pages go when others need the room."""
        self._voices.forget(voice)

    def watch(self, gone: Callable[[ModelGone], None]) -> None:
        """See :class:`~engine.models.base.Mortal`."""
        self._batcher.watch(gone)

    def close(self) -> None:
        """End the thread that encodes recordings, and what computes frames beside this process, if anything."""
        self._voices.close()
        self._batcher.close()

    def _speaker(self, segment: Segment, options: StreamOptions) -> int | None:
        """Who speaks a segment, as the prompt names him: a recording's number, or whom the model makes up."""
        if options.voices == (self._info.default_voice,):
            return segment.speaker or None  # one voice alone needs no name
        return min(segment.speaker, len(options.voices) - 1)

    def _admit(self, stream: StreamId, options: StreamOptions) -> _Stream:
        recordings = [self._voices.want(voice) for voice in options.voices]
        seed = options.sampling.seed
        state = _Stream(
            slot=self._free.pop(),
            options=options,
            seed=secrets.randbits(63) if seed is None else seed,
            lead=Lead(paced=options.paced),
            words=WordEstimator(),
            recordings=recordings,
        )
        self._vocoder.reset(state.slot)
        self._streams[stream] = self._by_slot[state.slot] = state
        return state

    def _begin(self, state: _Stream) -> None:
        """Give the stream's segment to the transformers, if it is not there yet and its voices are encoded."""
        now = state.now
        if now is None or now.user is None or now.begun or now.stopped:
            return
        if state.system is None:
            if not all(recordings.done() for recordings in state.recordings):
                return
            try:
                state.system = self._prompts.system(
                    speakers([recordings.result() for recordings in state.recordings])
                )
            except UnusableVoice as error:
                now.stopped, now.error = True, error
                return
            except Exception as error:
                if not isinstance(error, SpeechError):
                    _log.error("a voice cannot be used", exc_info=error)
                self._fail(now, f"the voice could not be cloned: {error}")
                return
        try:
            self._start(state, now, state.system, now.user)
        except SpeechError as error:
            now.stopped, now.error = True, error
        except ValueError as error:  # settings out of range
            self._fail(now, str(error))

    def _await_voices(self, states: Sequence[_Stream]) -> None:
        """If all of these streams wait for a voice, wait a moment with them, rather than spin."""
        waiting: list[Future[Recordings]] = []
        for state in states:
            if state.now is None or state.now.begun or state.now.stopped:
                return
            waiting += (recordings for recordings in state.recordings if not recordings.done())
        wait(waiting, _AWAIT_SECONDS, FIRST_COMPLETED)

    def _start(self, state: _Stream, now: _Spoken, system: Positions, user: Positions) -> None:
        batcher = self._batcher
        seed = state.seed + state.segments * 0x9E3779B97F4A7C15  # another one for each segment
        sampling = replace(state.options.sampling, seed=None)
        start = Start(state.slot, sampling, seed, TOP_K)
        end = self._prompts.end_of_turn()
        room = batcher.longest - len(system) - len(user)
        if room < LEAST_SPEECH:
            raise UnusableVoice(
                f"the voice takes {len(system)} positions and the text {len(user)}, which leaves {room} of "
                f"{batcher.longest} for speech, less than {LEAST_SPEECH}; use shorter recordings or texts"
            )
        asked = now.limit or room
        kept = state.turns if state.options.condition_on_previous else []
        lengths = [len(turn) + len(end) for turn in kept]
        budget = min(HISTORY, room - min(asked, room // 2))  # half the room is for what was said, at most
        if kept and sum(lengths) <= budget:
            batcher.extend(np.concatenate([end, user]), start=start)
        else:
            # Well below what there is room for, so that it is rare; but rather the last turn than none.
            first = min(window(lengths, budget // 2), window(lengths[-1:], budget) + len(kept[:-1]))
            state.turns, lengths = list(kept[first:]), lengths[first:]
            rows = [system, *(part for turn in state.turns for part in (turn, end)), user]
            batcher.begin(np.concatenate(rows), public=len(system), salt=state.salt, start=start)
        now.limit = min(asked, room - sum(lengths))
        now.begun = True

    def _land(self, state: _Stream, outcome: Codes | Stop) -> None:
        """Take a frame of a stream, or why there is none."""
        now = state.now
        assert now is not None, "what was stopped does not land"
        if not isinstance(outcome, Stop):
            now.frames.append(outcome)
            if len(now.frames) >= now.limit:
                self._stop(state, now)
                asked = state.options.sampling.max_new_tokens == now.limit
                self._fail(
                    now,
                    f"{'max_new_tokens' if asked else 'context'}: the text was not finished after {now.limit} "
                    f"frames ({now.limit * self._info.frame_seconds:.0f} s); "
                    f"{'raise it, or ' if asked else ''}send less text at once",
                )
        elif outcome is Stop.END:
            self._stop(state, now)
            if not now.frames and any(character.isalnum() for character in now.text):
                self._fail(
                    now, "the model said nothing for this text; word it otherwise, or try another seed"
                )
        elif outcome is Stop.BROKEN:
            self._batcher.free(state.slot, broken=True)
            self._fail(now, "the model's numbers broke down (NaN) on this text; try another voice or seed")
        else:
            self._stop(state, now)
            self._fail(
                now, "the KV cache has no room for this context; the server needs a larger --kv-memory"
            )

    def _stop(self, state: _Stream, now: _Spoken) -> None:
        self._batcher.stop(state.slot)
        now.stopped = True

    def _fail(self, now: _Spoken, reason: str) -> None:
        now.stopped, now.error = True, SpeechError(reason)

    def _vocode(self, states: Sequence[_Stream]) -> None:
        """Decode the frames of those streams that have collected enough, or all there will be."""
        time_now = self._clock()
        due: dict[int, list[Codes]] = {}
        for state in states:
            if (now := state.now) is None:
                continue
            waiting = len(now.frames) - now.decoded
            if waiting and (now.stopped or waiting >= state.lead.piece(time_now, self._frame_cost)):
                due[state.slot] = now.frames[now.decoded :]
        for slot, pcm in self._vocoder.decode(due).items():
            self._hear(self._by_slot[slot], pcm)

    def _hear(self, state: _Stream, pcm: Pcm) -> None:
        """Take decoded speech, and look whether it is any."""
        now = state.now
        assert now is not None, "only what is being spoken is decoded"
        samples = self._info.frame_samples
        pieces = pcm.reshape(-1, samples)
        for rms in np.sqrt(np.einsum("ij,ij->i", pieces, pieces) / samples).tolist():
            code = int(now.frames[now.decoded][0])
            now.decoded += 1
            now.seconds += samples / self._info.sample_rate
            now.words.hear(rms, now.seconds)
            if now.error is None and (reason := now.watchdog.push(code, rms)):
                self._stop(state, now)
                del now.frames[now.decoded :]
                self._fail(now, reason)
        now.pcm.append(pcm)
        state.lead.made(len(pcm) / self._info.sample_rate, self._clock())

    def _hand_out(self, state: _Stream) -> Frame | SpeechError:
        now = state.now
        assert now is not None, "only streams with a segment are stepped"
        if now.pause and (now.pcm or now.over):
            now.pcm.insert(0, np.zeros(round(now.pause * self._info.sample_rate), np.float32))
            now.pause = 0.0
        pcm = np.concatenate(now.pcm) if now.pcm else np.zeros(0, np.float32)
        now.pcm.clear()
        if now.error is not None and not len(pcm):
            return now.error
        last = now.over and now.error is None
        words = now.words.end(now.seconds) if last else now.words.until(now.seconds)
        if last:
            state.now = None
            if now.user is not None:
                codes = np.array(now.frames, np.int64).reshape(-1, now.user.shape[1] - 1)  # there may be none
                state.turns.append(np.concatenate([now.user, self._prompts.frames(codes.T)]))
        return Frame(pcm, words, last)
