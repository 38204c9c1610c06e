"""Messages between processes: everything comes out as it went in, however it was cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Frame, Sampling, Segment, SpeechError, StreamId, StreamOptions, Style, WordTime
from engine.errors import SpeechBusy, UnusableVoice
from engine.models.hibari.model import _INFO
from engine.numbers import SegmentTiming
from engine.origin import Origin, TraceParent
from engine.process.messages import (
    FROM_WORKER,
    TO_WORKER,
    Failure,
    Learn,
    Logged,
    Open,
    Outcome,
    Outcomes,
    Ready,
    Say,
)
from engine.process.wire import LARGEST, Splitter, Wire

ORIGIN = Origin("r1", "live", None, TraceParent("ab" * 16, "cd" * 8, sampled=True))
TIMING = SegmentTiming(1.0, 2.0, 3.0, 4.5)

TO = [
    Open(StreamId(7), StreamOptions(("a", "ü"), 1.5, Sampling(seed=2**63), paced=False)),
    Say(StreamId(7), Segment("Grüße \ud800 \0", 1, True, Style(whisper=True, level_db=-3.5), 0.25)),
    Learn(3, "anna", (("/tmp/\udcff.f32", 44_100, "words"), ("b", 8000, ""))),
]
FROM = [
    Ready(_INFO, 12),
    Logged("engine.x", 40, "it\nfailed", "Traceback", ORIGIN),
    Outcomes((Outcome(StreamId(1), None, Failure("SpeechError", "no")),)),
]


@pytest.mark.parametrize(
    ("wire", "message"),
    [*((TO_WORKER, message) for message in TO), *((FROM_WORKER, message) for message in FROM)],
    ids=lambda value: type(value).__name__,
)
def test_what_is_read_is_what_was_packed(wire: Wire, message: object) -> None:
    (body,) = Splitter().push(wire.pack(message))
    assert wire.read(body) == message


def test_samples_are_the_same_to_the_last_bit() -> None:
    pcm = np.random.default_rng(1).standard_normal(2400).astype(np.float32)
    pcm[:3] = np.nan, np.inf, -0.0
    words = (WordTime("one", 0.0, 0.1, 0, 3), WordTime("\ud83d", 0.1, 0.30000000000000004, 4, 5))
    sent = Outcome(StreamId(2**40), Frame(pcm, words, last=True), timing=TIMING)
    (body,) = Splitter().push(FROM_WORKER.pack(Outcomes((sent,))))
    (came,) = FROM_WORKER.read(body).of
    assert came.frame.pcm.tobytes() == pcm.tobytes()
    assert came.frame.pcm.dtype == np.float32
    assert (came.frame.words, came.frame.last, came.timing, came.failure) == (words, True, TIMING, None)


@given(st.lists(st.text()), st.integers(1, 50))
def test_however_it_is_cut(texts: list[str], size: int) -> None:
    sent = [Say(StreamId(number), Segment(text)) for number, text in enumerate(texts)]
    data = b"".join(map(TO_WORKER.pack, sent))
    splitter = Splitter()
    came = [body for at in range(0, len(data), size) for body in splitter.push(data[at : at + size])]
    assert [TO_WORKER.read(body) for body in came] == sent


@pytest.mark.parametrize("error", [SpeechError("no"), UnusableVoice("too long"), SpeechBusy("later", 7.0)])
def test_an_error_keeps_its_class(error: SpeechError) -> None:
    came = Failure.of(error).error()
    assert (type(came), str(came), vars(came)) == (type(error), str(error), vars(error))


def test_an_error_of_a_model_s_own_goes_as_what_it_is_made_of() -> None:
    class Odd(UnusableVoice):
        pass

    assert type(Failure.of(Odd("x")).error()) is UnusableVoice


def test_what_cannot_be_sent_is_refused_where_it_is_sent() -> None:
    with pytest.raises(TypeError, match="a set cannot be sent"):
        TO_WORKER.pack(Say(StreamId(1), {1}))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at most"):
        TO_WORKER.pack(Say(StreamId(1), Segment("x" * (LARGEST + 1))))


def test_a_length_that_cannot_be_is_not_waited_for() -> None:
    with pytest.raises(ValueError, match="4294967295 bytes"):
        list(Splitter().push(b"\xff" * 4))
