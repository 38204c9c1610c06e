"""A speech endpoint as the engine's model: real HTTP, answers as the tests want them."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pytest

from engine import (
    Engine,
    EngineConfig,
    Frame,
    Reference,
    Segment,
    SpeechBusy,
    SpeechError,
    StreamId,
    StreamOptions,
    Style,
)
from engine.models.openai_speech import EndpointError, OpenAISpeechConfig, OpenAISpeechModel, discover
from engine.origin import Origin, TraceParent
from tests.speech_stub import Answer, Break, Gate, Script, SpeechStub, speech_stub, tone

RATE = 24_000
ANNA = StreamOptions(("anna",))
_ids = count(1)


@contextmanager
def model(script: Script, **config: Any) -> Iterator[tuple[OpenAISpeechModel, SpeechStub]]:
    """A model whose endpoint answers as ``script`` says."""
    stub_fields = {name: config.pop(name) for name in ("models", "voices") if name in config}
    with speech_stub(script, **stub_fields) as stub:
        made = OpenAISpeechModel(discover(replace(OpenAISpeechConfig(stub.url), **config)))
        try:
            made.warm()
            yield made, stub
        finally:
            made.close()


def begin(
    made: OpenAISpeechModel, segment: Segment | str = "Hello.", options: StreamOptions = ANNA
) -> StreamId:
    stream = StreamId(next(_ids))
    made.prefill(stream, Segment(segment) if isinstance(segment, str) else segment, options)
    return stream


def rest(made: OpenAISpeechModel, stream: StreamId) -> list[Frame]:
    """The frames of a stream's segment, but for empty ones. Raises its error."""
    frames: list[Frame] = []
    while not frames or not frames[-1].last:
        (outcome,) = made.step([stream])
        if isinstance(outcome, SpeechError):
            raise outcome
        if len(outcome.pcm) or outcome.words or outcome.last:
            frames.append(outcome)
    return frames


def samples(frames: list[Frame]) -> np.ndarray:
    return np.concatenate([frame.pcm for frame in frames])


def said(
    made: OpenAISpeechModel, segment: Segment | str = "Hello.", options: StreamOptions = ANNA
) -> list[Frame]:
    stream = begin(made, segment, options)
    try:
        return rest(made, stream)
    finally:
        made.release(stream)


def hertz(pcm: np.ndarray, rate: int = RATE) -> float:
    return float(np.abs(np.fft.rfft(pcm)).argmax() * rate / len(pcm))


# -- speech -------------------------------------------------------------------------------------------


def test_a_segment_is_a_request_and_its_answer_comes_as_frames() -> None:
    sound = tone(1.03)
    with model(lambda _: Answer([sound[:1001], sound[1001:20_000], sound[20_000:]]), key="k") as (made, stub):
        frames = said(made, "Hello there.", StreamOptions(("ben",)))
        assert np.array_equal(np.round(samples(frames) * 32768), np.frombuffer(sound, "<i2"))
        assert max(len(frame.pcm) for frame in frames) <= made.info.frame_samples
        (asked,) = stub.asked
        assert (asked["model"], asked["voice"], asked["input"]) == ("stub-tts", "ben", "Hello there.")
        assert asked["response_format"] == "pcm"
        assert stub.headers[0]["authorization"] == "Bearer k"
        words = [word for frame in frames for word in frame.words]
        assert [word.text for word in words] == ["Hello", "there"]
        assert 0 <= words[0].start < words[0].end <= words[1].start < words[1].end <= 1.03


def test_a_request_belongs_to_the_trace_of_whoever_wanted_it() -> None:
    trace = TraceParent("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", True)
    with model(lambda _: Answer([tone(0.1)])) as (made, stub):
        said(made, "Hello.", replace(ANNA, origin=Origin("r1", "http", trace=trace)))
        said(made)
        assert stub.headers[0]["traceparent"] == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        assert "traceparent" not in stub.headers[1]


def test_what_has_arrived_is_handed_out_while_the_rest_is_waited_for() -> None:
    gate = Gate()
    with model(lambda _: Answer([tone(0.05), gate, tone(0.2)])) as (made, _):
        stream = begin(made)
        pcm = np.zeros(0)
        while len(pcm) < 0.05 * RATE:
            (frame,) = made.step([stream])
            assert isinstance(frame, Frame)
            pcm = np.concatenate([pcm, frame.pcm])
        assert gate.reached.wait(10)
        (frame,) = made.step([stream])
        assert isinstance(frame, Frame)
        assert not len(frame.pcm)
        assert not frame.last
        gate.open()
        assert len(samples(rest(made, stream))) == round(0.2 * RATE)


def test_a_slow_stream_does_not_hold_up_another() -> None:
    gate = Gate()
    slow, quick = Answer([gate, tone(0.1)]), Answer([tone(2.0)])
    with model(lambda asked: slow if asked["input"] == "Slow." else quick) as (made, _):
        one, other = begin(made, "Slow."), begin(made, "Quick.")
        assert gate.reached.wait(10)
        seconds = 0.0
        last = False
        while not last:
            waiting, frame = made.step([one, other])
            assert isinstance(waiting, Frame)
            assert isinstance(frame, Frame)
            assert not len(waiting.pcm)
            seconds += len(frame.pcm) / RATE
            last = frame.last
        assert seconds == pytest.approx(2.0)
        gate.open()
        assert len(samples(rest(made, one))) == round(0.1 * RATE)


def test_segments_of_a_stream_follow_one_another() -> None:
    with model(lambda asked: Answer([tone(0.2 * len(asked["input"].split()))])) as (made, stub):
        stream = begin(made, "One.")
        assert len(samples(rest(made, stream))) == round(0.2 * RATE)
        made.prefill(stream, Segment("One two."), StreamOptions(("anna", "ben")))
        assert len(samples(rest(made, stream))) == round(0.4 * RATE)
        made.prefill(stream, Segment("One two three.", speaker=1), StreamOptions(("anna", "ben")))
        assert len(samples(rest(made, stream))) == round(0.6 * RATE)
        assert [asked["voice"] for asked in stub.asked] == ["anna", "anna", "ben"]


def test_a_pause_is_silence_before_the_text_and_words_count_from_it() -> None:
    with model(lambda _: Answer([tone(0.5)])) as (made, _):
        frames = said(made, Segment("Hello.", pause=0.35))
        pcm = samples(frames)
        assert len(pcm) == round(0.85 * RATE)
        assert not pcm[: round(0.35 * RATE)].any()
        assert pcm[round(0.35 * RATE) + 10 :].any()
        (word,) = [word for frame in frames for word in frame.words]
        assert 0.35 <= word.start < word.end == pytest.approx(0.85)


@pytest.mark.parametrize(("text", "pause", "seconds"), [("", 0.6, 0.6), ("...", 0.0, 0.2), ("?!", 0.3, 0.3)])
def test_nothing_is_asked_for_text_without_words(text: str, pause: float, seconds: float) -> None:
    with model(lambda _: Answer([tone(9)])) as (made, stub):
        pcm = samples(said(made, Segment(text, pause=pause)))
        assert len(pcm) == round(seconds * RATE)
        assert not pcm.any()
        assert stub.asked == []


def test_pcm_at_another_rate_becomes_that_of_the_model() -> None:
    headers = {"content-type": "audio/pcm", "x-sample-rate": "44100"}
    with model(lambda _: Answer([tone(1.0, 44_100, 440)], headers=headers)) as (made, _):
        pcm = samples(said(made))
        assert len(pcm) == pytest.approx(RATE, abs=2)
        assert hertz(pcm) == pytest.approx(440, abs=1)
    with model(lambda _: Answer([tone(1.0, 44_100, 440)]), sample_rate=44_100) as (made, _):
        assert made.info.sample_rate == 44_100
        assert hertz(samples(said(made)), 44_100) == pytest.approx(440, abs=1)


def test_a_style_changes_level_and_pace_here() -> None:
    with model(lambda _: Answer([tone(2.0)])) as (made, _):
        soft = samples(said(made, Segment("Hello.", style=Style(level_db=-6.0))))
        assert np.abs(soft).max() == pytest.approx(0.3 * 10 ** (-6 / 20), rel=0.01)
        quick = samples(said(made, Segment("Hello.", style=Style(pace=1.6))))
        assert len(quick) == pytest.approx(2.0 / 1.6 * RATE, rel=0.03)


def test_speed_is_the_endpoints_as_far_as_it_goes() -> None:
    with model(lambda _: Answer([tone(1.0)]), speeds=(0.5, 2.0)) as (made, stub):
        assert made.info.speeds == (0.5, 2.0)
        pcm = samples(said(made, "Hello.", replace(ANNA, speed=1.5)))
        assert stub.asked[-1]["speed"] == 1.5
        assert len(pcm) == RATE
        pcm = samples(said(made, Segment("Hello.", style=Style(pace=2.0)), replace(ANNA, speed=1.5)))
        assert stub.asked[-1]["speed"] == 2.0
        assert len(pcm) == pytest.approx(RATE / 1.5, rel=0.05)


# -- voices -------------------------------------------------------------------------------------------


RECORDINGS = [Reference(np.zeros(8_000, np.float32), 16_000, text) for text in ("One.", "Two.")]


@pytest.mark.parametrize(("cloning", "sent"), [("one", ["One."]), ("all", ["One.", "Two."])])
def test_a_learned_voice_is_its_recordings(cloning: str, sent: list[str]) -> None:
    with model(lambda _: Answer([tone(0.1)]), cloning=cloning) as (made, stub):
        assert made.info.clones
        made.learn("carl", RECORDINGS)
        said(made, "Hello.", StreamOptions(("carl",)))
        said(made)
        cloned, plain = stub.asked
        assert [item["text"] for item in cloned["references"]] == sent
        assert cloned["voice"] == "anna"
        assert "references" not in plain
        made.forget("carl")
        with pytest.raises(SpeechError, match="unknown voice 'carl'"):
            begin(made, "Hello.", StreamOptions(("carl",)))


def test_an_endpoint_that_does_not_clone_says_so_instead_of_speaking_with_another_voice() -> None:
    with model(lambda _: Answer([tone(0.1)])) as (made, _):
        assert not made.info.clones
        with pytest.raises(SpeechError, match="stub-tts cannot learn a voice from recordings here"):
            made.learn("carl", RECORDINGS)


# -- what goes wrong ----------------------------------------------------------------------------------

JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (
            Answer([b'{"error": {"message": "bad key sk-1"}}'], 401, JSON),
            "does not accept the key it was given",
        ),
        (Answer([b'{"error": {"message": "no voice anna"}}'], 404, JSON), "answered 404: no voice anna"),
        (Answer([b"oh"], 500, {}), "answered 500: oh"),
        (Answer([b"{}"], 200, JSON), "answered with application/json, though audio/pcm"),
        (Answer([b"RIFF0000WAVEfmt "], 200, {"content-type": "audio/wav"}), "answered with audio/wav"),
        (Answer([b"RIFF0000WAVEfmt "]), "sent a WAV file"),
        (Answer([]), "answered without any sound"),
        (Answer([Break()]), "broke off in the middle"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_answer_that_is_no_speech_is_an_error_of_its_stream_alone(answer: Answer, told: str) -> None:
    good = Answer([tone(0.1)])
    script = lambda asked: answer if asked["input"] == "Bad." else good  # noqa: E731
    with model(script, key="sk-1") as (made, stub):
        with pytest.raises(SpeechError, match=told) as caught:
            said(made, "Bad.")
        assert "sk-1" not in str(caught.value)
        assert len(stub.asked) == 1
        assert len(samples(said(made))) == round(0.1 * RATE)


def test_what_was_heard_before_a_break_is_handed_out() -> None:
    gate = Gate()
    with model(lambda _: Answer([tone(0.3), gate, Break()])) as (made, _):
        stream = begin(made)
        heard = 0
        while heard < round(0.3 * RATE):
            (frame,) = made.step([stream])
            assert isinstance(frame, Frame)
            heard += len(frame.pcm)
        gate.open()
        with pytest.raises(SpeechError, match="broke off in the middle of its answer"):
            rest(made, stream)


@pytest.mark.parametrize("begun", [False, True])
def test_silence_is_an_error_after_a_while(begun: bool) -> None:
    gate = Gate()
    answer = Answer([tone(0.1), gate]) if begun else Answer([], hold=gate)
    with model(lambda _: answer, silence_seconds=0.2) as (made, stub):
        with pytest.raises(
            SpeechError, match="fell silent for 0.2 s" if begun else "not begin to answer within 0.2 s"
        ):
            said(made)
        assert stub.aborted.acquire(timeout=10)
        assert len(stub.asked) == 1


def test_a_voice_that_never_ends_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.models.openai_speech.model._LONGEST", 0.5)
    endless = model(lambda _: Answer([tone(0.2)] * 50))
    with endless as (made, _), pytest.raises(SpeechError, match=r"said more than 0\.5 s of one text"):
        said(made)


# -- tried again --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
def test_who_is_busy_for_a_moment_is_asked_again(status: int) -> None:
    answers = iter([Answer([], status), Answer([], status, {"retry-after": "0"}), Answer([tone(0.1)])])
    with model(lambda _: next(answers)) as (made, stub):
        assert len(samples(said(made))) == round(0.1 * RATE)
        assert len(stub.asked) == 3


def test_who_stays_busy_is_given_up() -> None:
    with model(lambda _: Answer([b'{"message": "full"}'], 503, JSON)) as (made, stub):
        with pytest.raises(SpeechBusy, match=r"too busy \(503: full\)"):
            said(made)
        assert len(stub.asked) == 3


def test_nobody_waits_for_who_wants_too_long() -> None:
    with model(lambda _: Answer([], 429, {"retry-after": "60"})) as (made, stub):
        with pytest.raises(SpeechBusy) as caught:
            said(made)
        assert caught.value.retry_after == 60
        assert len(stub.asked) == 1


def test_after_the_first_byte_nothing_is_asked_again() -> None:
    with model(lambda _: Answer([tone(0.1), Break()])) as (made, stub):
        with pytest.raises(SpeechError, match="broke off"):
            said(made)
        assert len(stub.asked) == 1


def test_a_connection_that_was_dropped_before_the_answer_is_made_anew() -> None:
    """The first server hangs up on two requests, as one that restarts does; then it answers."""
    sound = tone(0.1)
    head = b"HTTP/1.1 200 OK\r\ncontent-type: audio/pcm\r\ncontent-length: %d\r\n\r\n" % len(sound)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for number in range(3):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65_536)
                    if number == 2:
                        connection.sendall(head + sound)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        made = OpenAISpeechModel(OpenAISpeechConfig(url, "m", ("anna",)))
        try:
            assert len(samples(said(made))) == round(0.1 * RATE)
        finally:
            made.close()
            thread.join(10)


def test_nobody_there_is_told_without_the_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    made = OpenAISpeechModel(OpenAISpeechConfig(f"http://127.0.0.1:{port}/v1", "m", ("anna",)))
    try:
        with pytest.raises(SpeechError, match="the speech endpoint cannot be reached") as caught:
            said(made)
        assert str(port) not in str(caught.value)
    finally:
        made.close()


# -- its end, and how much is kept --------------------------------------------------------------------


@pytest.mark.parametrize("begun", [False, True])
def test_a_released_stream_breaks_its_request_off(begun: bool) -> None:
    gate = Gate()
    answer = Answer([tone(0.1), gate]) if begun else Answer([], hold=gate)
    with model(lambda _: answer) as (made, stub):
        stream = begin(made)
        assert gate.reached.wait(10)
        made.release(stream)
        assert stub.aborted.acquire(timeout=10)
        made.release(stream)
        made.release(StreamId(10_000))


def test_closing_the_model_breaks_all_requests_off() -> None:
    gates = [Gate(), Gate()]
    answers = iter([Answer([tone(0.1), gate]) for gate in gates])
    with speech_stub(lambda _: next(answers)) as stub:
        made = OpenAISpeechModel(discover(OpenAISpeechConfig(stub.url)))
        for _ in gates:
            begin(made)
        assert all(gate.reached.wait(10) for gate in gates)
        made.close()
        assert all(stub.aborted.acquire(timeout=10) for _ in gates)
        made.close()


def test_an_endpoint_that_is_far_ahead_has_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot send more than is held here and in the sockets between; all of it comes in the end."""
    monkeypatch.setattr("engine.models.openai_speech.model._HELD_SECONDS", 1.0)
    second = tone(1.0)
    with model(lambda _: Answer([second] * 500)) as (made, stub):
        stream = begin(made)
        heard = 0
        while heard < RATE:
            (frame,) = made.step([stream])
            assert isinstance(frame, Frame)
            heard += len(frame.pcm)
        while True:  # until nothing more is sent
            sent = stub.sent
            if not stub.aborted.acquire(timeout=0.3) and stub.sent == sent:
                break
        assert stub.sent < 400 * len(second)
        assert heard + len(samples(rest(made, stream))) == 500 * RATE


# -- what it says of itself ---------------------------------------------------------------------------


def test_models_and_voices_are_asked_for() -> None:
    with speech_stub(
        lambda _: Answer([]), models=["s2-pro"], voices=["default", {"id": "x", "name": "X"}]
    ) as stub:
        found = discover(OpenAISpeechConfig(stub.url))
        assert (found.model, found.voices) == ("s2-pro", ("default", "x"))
        given = discover(OpenAISpeechConfig(stub.url, model="other", voices=("y",)))
        assert (given.model, given.voices) == ("other", ("y",))


def test_the_usual_model_is_taken_where_there_are_several() -> None:
    with speech_stub(lambda _: Answer([]), models=["kokoro", "tts-1", "tts-1-hd"]) as stub:
        assert discover(OpenAISpeechConfig(stub.url)).model == "tts-1"
    with speech_stub(lambda _: Answer([]), models=None) as stub:
        assert discover(OpenAISpeechConfig(stub.url)).model == "tts-1"
    with speech_stub(lambda _: Answer([]), models=["a", "b"]) as stub:
        with pytest.raises(EndpointError, match="several models: choose one of a, b") as caught:
            discover(OpenAISpeechConfig(stub.url))
        assert caught.value.missing == "model"


@pytest.mark.parametrize(
    ("status", "key", "told"), [(401, "k", "does not accept the key"), (401, None, "wants a key")]
)
def test_a_key_that_is_not_accepted_is_told_at_once(status: int, key: str | None, told: str) -> None:
    with speech_stub(lambda _: Answer([]), listing=status) as stub:
        with pytest.raises(EndpointError, match=told) as caught:
            discover(OpenAISpeechConfig(stub.url, key=key))
        assert caught.value.missing == "key"


def test_a_key_for_speech_alone_will_do() -> None:
    with speech_stub(lambda _: Answer([]), listing=403) as stub:
        config = OpenAISpeechConfig(stub.url, model="m", voices=("a",), key="k")
        assert discover(config) == config


def test_voices_have_to_be_named_where_they_are_not_listed() -> None:
    with speech_stub(lambda _: Answer([]), voices=None) as stub:
        with pytest.raises(EndpointError, match="does not list its voices") as caught:
            discover(OpenAISpeechConfig(stub.url))
        assert caught.value.missing == "voices"
        assert discover(OpenAISpeechConfig(stub.url, voices=("a",))).voices == ("a",)


def test_an_endpoint_that_is_not_there_is_named_to_the_operator() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(EndpointError, match=f"127.0.0.1:{port}/v1 cannot be reached"):
        discover(OpenAISpeechConfig(f"http://127.0.0.1:{port}/v1"))


# -- in the engine ------------------------------------------------------------------------------------


async def test_a_hanging_stream_leaves_the_others_of_an_engine_alone() -> None:
    """Beyond a few frames, too: where speech is made elsewhere nobody who is ahead waits for who is silent."""
    gate = Gate()
    slow, quick = Answer([gate, tone(0.1)]), Answer([tone(8.0)])
    with speech_stub(lambda asked: slow if asked["input"] == "Slow." else quick) as stub:
        config = discover(OpenAISpeechConfig(stub.url, max_streams=4))
        async with Engine(lambda: OpenAISpeechModel(config), EngineConfig()) as engine:
            assert engine.max_streams == 4
            hanging, other = (engine.open(StreamOptions(("anna",), paced=False)) for _ in range(2))
            hanging.say(Segment("Slow."))
            other.say(Segment("Quick."))
            other.finish()
            assert sum([len(frame.pcm) async for frame in other]) == 8 * RATE
            hanging.finish()
            gate.open()
            assert sum([len(frame.pcm) async for frame in hanging]) == round(0.1 * RATE)
