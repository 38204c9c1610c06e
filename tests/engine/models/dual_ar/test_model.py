"""Streams of segments over the whole model: text to codes to samples."""

import wave
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import Tensor

from engine.errors import SpeechError
from engine.models.dual_ar import DualARModel
from engine.models.dual_ar.batcher import Batcher, Codes, Flight, Stop
from engine.models.dual_ar.config import Layout
from engine.models.dual_ar.pages import Positions
from engine.models.dual_ar.voices import Voices
from engine.models.lane import Captured, _Capture
from engine.speech import Pcm, Sampling, Segment, StreamId, StreamOptions
from tests.engine.models.dual_ar.babble import FRAME, RATE, Speaking, model

TEXT = "The parrot sat on the mast."


def options(voice: str = "default", *more: str, seed: int = 1, **others: object) -> StreamOptions:
    names = ("max_new_tokens", "temperature", "repetition_penalty")
    sampling = Sampling(seed=seed, **{name: others.pop(name) for name in names if name in others})  # type: ignore[arg-type]
    return StreamOptions((voice, *more), sampling=sampling, **others)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def babble() -> DualARModel:
    made = model(max_streams=4)
    made.warm()
    return made


@pytest.fixture(scope="module")
def alone(babble: DualARModel) -> Pcm:
    """What a stream of seed 1 says."""
    return spoken(babble, 900, TEXT, options())


def spoken(of: DualARModel, stream: int, text: str, how: StreamOptions) -> Pcm:
    speaking = Speaking(of)
    speaking.say(stream, text, how)
    speaking.finish()
    of.release(StreamId(stream))
    assert not speaking.errors
    return speaking.heard(stream)


def recording(path: Path, seed: int, seconds: float = 1.0) -> None:

    random = np.random.default_rng(seed)
    tone = np.sin(np.arange(int(seconds * 16_000)) * (0.03 + 0.02 * random.random())) * 0.3
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes((tone * 32767).astype("<i2").tobytes())
    path.with_suffix(".txt").write_text(f"This is voice {seed}.")


@pytest.fixture(scope="module")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("voices")
    for seed, voice in enumerate(("anna", "bert")):
        recording(place / voice / "one.wav", seed)
    return place


def test_a_segment_is_babbled_to_its_end_in_whole_frames(alone: Pcm) -> None:
    assert len(alone) % FRAME == 0
    assert 0.3 < len(alone) / RATE < 15
    assert 0.02 < np.sqrt(np.mean(alone**2)) < 0.5


def test_a_seed_gives_the_same_speech_whatever_else_is_in_the_batch(babble: DualARModel, alone: Pcm) -> None:
    speaking = Speaking(babble)
    speaking.say(1, "Something else.", options(seed=5))
    for _ in range(3):
        speaking.step()
    speaking.say(2, TEXT, options())
    speaking.say(3, "And a third one.", options(seed=6))
    speaking.finish()
    for stream in (1, 2, 3):
        babble.release(StreamId(stream))
    heard = speaking.heard(2)
    assert len(heard) == len(alone)
    np.testing.assert_allclose(heard, alone, atol=1e-4)


def test_without_a_seed_no_two_streams_are_alike(babble: DualARModel) -> None:
    how = StreamOptions(("default",))
    one, other = (spoken(babble, stream, TEXT, how) for stream in (11, 12))
    assert len(one) != len(other) or not np.allclose(one, other)


def test_lookahead_changes_nothing_but_when(alone: Pcm) -> None:
    made = model()
    ahead = model()
    ahead._lookahead = True
    for text in (TEXT, "And then it flew away."):
        for which in (made, ahead):
            which.heard = Speaking(which)  # type: ignore[attr-defined]
            which.heard.say(1, text, options())  # type: ignore[attr-defined]
            which.heard.finish()  # type: ignore[attr-defined]
        one, other = made.heard.heard(1), ahead.heard.heard(1)  # type: ignore[attr-defined]
        assert len(one) == len(other)
        np.testing.assert_allclose(one, other, atol=1e-4)


class Replayed:
    """In place of a CUDA graph: what it replays, it computes anew, on the inputs that it was captured with."""

    def __init__(self, function: Callable[..., Tensor], inputs: list[Tensor], output: Tensor) -> None:
        self._function, self._inputs, self._output = function, inputs, output

    def replay(self) -> None:
        self._output.copy_(self._function(*self._inputs))


def captured(made: DualARModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the model run as it does with graphs: in batches of fixed sizes, filled up with nobody."""

    def capture(self: Captured, key: tuple[tuple[int, ...], ...], like: Sequence[Tensor]) -> _Capture:
        inputs = [
            argument.new_full(shape, padding)
            for argument, shape, padding in zip(like, key, self._padding, strict=True)
        ]
        output = self._function(*inputs).clone()
        graph = Replayed(self._function, inputs, output)
        self._captures[key] = made = _Capture(graph, inputs, output)  # type: ignore[arg-type]
        return made

    monkeypatch.setattr(Captured, "_capture", capture)
    batcher, vocoder = made._batcher, made._vocoder
    for each in (batcher._decode, batcher._draw, vocoder._stream):
        each._graphs = True
    batcher._looks_far = True
    made._lookahead = True
    batcher.capture()
    vocoder.capture()


def test_batches_that_are_filled_up_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = []
    for graphs in (False, True):
        made = model(max_streams=3, context=256)
        if graphs:
            captured(made, monkeypatch)
        speaking = Speaking(made)
        for stream in range(3):
            speaking.say(stream, TEXT[: 8 * stream + 8], options(seed=stream, max_new_tokens=12))
            speaking.step()
        speaking.finish()
        heard.append([speaking.heard(stream) for stream in range(3)])
    for one, other in zip(*heard, strict=True):
        assert len(one) == len(other) > FRAME
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_the_next_segment_is_conditioned_on_what_was_said(babble: DualARModel) -> None:
    def second(stream: int, how: StreamOptions, first: str) -> Pcm:
        speaking = Speaking(babble)
        speaking.say(stream, first, how)
        speaking.finish()
        speaking.heard(stream)
        speaking.say(stream, "And then it flew away.", how)
        speaking.finish()
        babble.release(StreamId(stream))
        return speaking.heard(stream)

    def same(one: Pcm, other: Pcm) -> bool:
        return len(one) == len(other) and bool(np.allclose(one, other, atol=1e-4))

    conditioned = second(21, options(), TEXT), second(22, options(), "Another text.")
    free = [second(23 + n, options(condition_on_previous=False), text) for n, text in enumerate((TEXT, TEXT))]
    assert not same(*conditioned)
    assert same(*free)


def test_each_segment_of_a_seeded_stream_is_drawn_anew(babble: DualARModel) -> None:
    speaking, how = Speaking(babble), options(condition_on_previous=False)
    heard = []
    for _ in range(2):
        speaking.say(31, TEXT, how)
        speaking.finish()
        heard.append(speaking.heard(31))
    babble.release(StreamId(31))
    assert len(heard[0]) != len(heard[1]) or not np.allclose(*heard)


def test_a_long_conversation_drops_the_older_half_and_speaks_on(monkeypatch: pytest.MonkeyPatch) -> None:
    made = model(context=768)
    begun: list[int] = []
    begin = Batcher.begin
    monkeypatch.setattr(
        Batcher, "begin", lambda self, rows, **how: (begun.append(len(rows)), begin(self, rows, **how))
    )
    speaking, how = Speaking(made), options(max_new_tokens=200)
    for turn in range(10):
        speaking.say(1, f"Turn number {turn}.", how)
        speaking.finish()
        assert not speaking.errors
        assert len(speaking.heard(1))
        assert made._batcher.length(0) <= 768
    assert 2 <= len(begun) <= 8
    assert max(begun) > 100  # some of what was said is kept


def test_silence_without_text_and_before_text(babble: DualARModel, alone: Pcm) -> None:
    speaking = Speaking(babble)
    speaking.say(41, Segment("", pause=0.5), options())
    speaking.finish()
    heard = speaking.heard(41)
    assert len(heard) == RATE // 2
    assert not heard.any()
    babble.release(StreamId(41))
    speaking.say(42, Segment(TEXT, pause=0.25), options())
    speaking.finish()
    heard = speaking.heard(42)
    babble.release(StreamId(42))
    pause = round(0.25 * RATE)
    assert not heard[:pause].any()
    np.testing.assert_allclose(heard[pause:], alone, atol=1e-4)
    words = speaking.words[StreamId(42)]
    assert [word.text for word in words] == TEXT.rstrip(".").split()
    assert words[0].start >= 0.25
    assert words[-1].end == pytest.approx(len(heard) / RATE)


def test_a_segment_that_comes_to_no_end_is_an_error_after_what_was_heard(babble: DualARModel) -> None:
    speaking = Speaking(babble)
    speaking.say(51, TEXT, options(max_new_tokens=5))
    speaking.say(52, TEXT, options())
    speaking.finish()
    assert "max_new_tokens" in str(speaking.errors[StreamId(51)])
    assert len(speaking.heard(51)) == 5 * FRAME
    assert StreamId(52) not in speaking.errors
    for stream in (51, 52):
        babble.release(StreamId(stream))


@pytest.mark.parametrize(
    ("stop", "reason"), [(Stop.END, "said nothing"), (Stop.BROKEN, "NaN"), (Stop.NO_PAGES, "--kv-memory")]
)
def test_what_goes_wrong_in_a_row_is_told_to_its_stream_alone(
    monkeypatch: pytest.MonkeyPatch, stop: Stop, reason: str
) -> None:
    made = model()
    speaking = Speaking(made)
    speaking.say(1, TEXT, options())
    speaking.say(2, TEXT, options())
    land = Batcher.land

    def landed(self: Batcher, flight: object) -> object:
        outcomes = land(self, flight)  # type: ignore[arg-type]
        return {
            slot: stop if slot == made._streams[StreamId(1)].slot else frame
            for slot, frame in outcomes.items()
        }

    with monkeypatch.context() as patched:
        patched.setattr(Batcher, "land", landed)
        speaking.step()
    speaking.finish()
    assert reason in str(speaking.errors[StreamId(1)])
    assert StreamId(2) not in speaking.errors
    assert len(speaking.heard(2))
    for stream in (1, 2):
        made.release(StreamId(stream))
    assert made._batcher.pool.used == 0


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"temperature": -1.0}, "temperature is -1"),
        ({"repetition_penalty": 1e-50}, "repetition_penalty is 1e-50"),
        ({"max_new_tokens": -5}, "max_new_tokens is -5"),
    ],
)
def test_settings_out_of_range_end_one_stream(
    babble: DualARModel, alone: Pcm, wrong: dict[str, object], reason: str
) -> None:
    speaking = Speaking(babble)
    speaking.say(71, TEXT, options())
    speaking.step()
    try:
        speaking.say(72, TEXT, options(**wrong))  # type: ignore[arg-type]
    except SpeechError as error:
        speaking.errors[StreamId(72)] = error
    speaking.finish()
    assert reason in str(speaking.errors[StreamId(72)])
    np.testing.assert_allclose(speaking.heard(71), alone, atol=1e-4)
    for stream in (71, 72):
        babble.release(StreamId(stream))


def ending(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every frame be the end of its segment."""
    land = Batcher.land

    def ended(self: Batcher, flight: Flight) -> dict[int, Codes | Stop]:
        if flight.download is not None:
            flight.download.wait()[:, 0] = self._model.config.end_token
        return land(self, flight)

    monkeypatch.setattr(Batcher, "land", ended)


def test_a_model_that_has_nothing_to_say_is_warmed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    made = model()
    ending(monkeypatch)
    made.warm()
    assert made._batcher.pool.used == 0


def test_text_without_letters_may_be_no_speech_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    made = model()
    speaking = Speaking(made)
    with monkeypatch.context() as patched:
        ending(patched)
        for _ in range(2):
            speaking.say(1, "!!!", options())
            speaking.finish()
    assert not speaking.errors
    assert not len(speaking.heard(1))
    speaking.say(1, TEXT, options())
    speaking.finish()
    state = made._streams[StreamId(1)]
    assert [bool(turn[:, 1:].any()) for turn in state.turns] == [False, False, True]
    # What the turns are is what the context holds, but for what joins them.
    turns = sum(len(turn) for turn in state.turns) + 2 * len(made._prompts.end_of_turn())
    assert state.system is not None
    assert made._batcher.length(state.slot) == len(state.system) + turns


def test_whoever_asks_for_all_there_is_room_for_is_conditioned_on_the_past_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = model(context=768)
    begun: list[Positions] = []
    begin = Batcher.begin
    monkeypatch.setattr(
        Batcher, "begin", lambda self, rows, **how: (begun.append(rows), begin(self, rows, **how))
    )
    speaking, how = Speaking(made), options(max_new_tokens=0)
    for turn in range(10):
        speaking.say(1, f"Turn number {turn}.", how)
        speaking.step()
        state = made._streams[StreamId(1)]
        assert state.now is not None
        assert made._batcher.length(state.slot) + state.now.limit <= 768 + 1  # the first frame is there
        speaking.finish()
        assert not speaking.errors
    assert 2 <= len(begun) <= 8
    assert state.system is not None
    assert all(len(rows) > 2 * len(state.system) for rows in begun[1:])
    prompts = made._prompts
    last = prompts.user(f"Turn number {9}.", None)
    parts = [part for turn in state.turns for part in (turn, prompts.end_of_turn())][:-1]
    context = made._batcher._contexts[state.slot]
    assert len(last) < len(state.turns[-1])
    assert np.array_equal(context.rows[: context.known], np.concatenate([state.system, *parts]))


def test_a_cloned_voice_speaks_otherwise_and_the_same_each_time(voices: Path) -> None:
    made = model(voices=voices, warm_voices=("anna",))
    made.warm()
    assert [voice.id for voice in made.info.voices] == ["default", "anna", "bert"]
    heard = {
        name: spoken(made, stream, TEXT, options(voice))
        for stream, (name, voice) in enumerate(
            (("a", "anna"), ("b", "bert"), ("a again", "anna"), ("d", "default"))
        )
    }
    assert np.allclose(heard["a"], heard["a again"], atol=1e-4)
    for name in ("b", "d"):
        assert len(heard[name]) != len(heard["a"]) or not np.allclose(heard[name], heard["a"], atol=1e-2)


def test_a_warm_voice_is_not_read_again(voices: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = model(voices=voices, warm_voices=("anna",))
    made.warm()
    prompt = 0
    system = made._prompts.system
    monkeypatch.setattr(
        made._prompts, "system", lambda references: (rows := system(references), lengths.append(len(rows)))[0]
    )
    lengths: list[int] = []
    speaking = Speaking(made)
    speaking.say(1, TEXT, options("anna"))
    speaking.step()
    (prompt,) = lengths
    context = made._batcher._contexts[made._streams[StreamId(1)].slot]
    assert context.sequence is not None
    assert prompt - 16 < context.sequence.computed or context.computed >= context.known
    assert len(speaking.pcm[StreamId(1)][0])  # heard in the first step: there was but the text to read
    made.release(StreamId(1))


def test_who_waits_for_a_voice_keeps_nobody_waiting(
    voices: Path, alone: Pcm, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = model(voices=voices)
    encoded: Future[Any] = Future()
    with monkeypatch.context() as patched:
        patched.setattr(made._voices, "want", lambda voice: encoded if voice == "anna" else want(voice))
        want = Voices.want.__get__(made._voices)
        speaking = Speaking(made)
        speaking.say(1, TEXT, options("anna"))
        speaking.step()
        speaking.say(2, TEXT, options())
        for _ in range(round(len(alone) / FRAME) + 1):
            speaking.step()
    np.testing.assert_allclose(speaking.heard(2), alone, atol=1e-4)
    assert not len(speaking.heard(1))
    encoded.set_result(made._voices.want("anna").result())
    speaking.finish()
    assert len(speaking.heard(1))
    assert not speaking.errors


def test_two_speakers_of_one_stream_and_a_third_that_is_the_second(voices: Path) -> None:
    made = model(voices=voices)
    speaking, how = Speaking(made), options("anna", "bert")
    for speaker in (0, 1, 2):
        speaking.say(1, Segment(TEXT, speaker=speaker), how)
        speaking.finish()
    assert not speaking.errors
    assert len(speaking.heard(1))


def test_a_voice_that_takes_all_of_the_context_is_an_error(tmp_path: Path) -> None:
    recording(tmp_path / "long" / "one.wav", 1, seconds=20)
    made = model(voices=tmp_path, context=512)
    speaking = Speaking(made)
    speaking.say(1, TEXT, options("long"))
    speaking.say(2, TEXT, options())
    speaking.finish()
    assert "shorter recordings" in str(speaking.errors[StreamId(1)])
    assert StreamId(2) not in speaking.errors


def test_what_looks_like_a_control_token_is_no_speech(babble: DualARModel) -> None:
    for text in ("<|im_end|>", "<|speaker:1|>"):
        heard = spoken(babble, 61, text, options())
        assert 0 < len(heard) < RATE / 2
        assert not heard.any()


def test_slots_and_pages_come_back(babble: DualARModel) -> None:
    for round_ in range(12):
        speaking = Speaking(babble)
        for stream in range(3):
            speaking.say(100 + 3 * round_ + stream, TEXT, options(seed=stream))
        for _ in range(1 + round_):
            speaking.step()
        for stream in range(3):
            babble.release(StreamId(100 + 3 * round_ + stream))
    assert babble._batcher.pool.used == 0
    assert len(babble._free) == 16
    assert not babble._streams


def test_s1_mini_babbles_too() -> None:
    made = model(Layout.S1_MINI)
    made.warm()
    heard = spoken(made, 1, TEXT, options())
    assert len(heard) > FRAME
