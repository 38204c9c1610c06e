"""A model on any engine speaks as one of our own does that has nothing else to do."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest

from engine.errors import SpeechError
from engine.models.dual_ar import DualARModel
from engine.speech import Pcm, Reference, Sampling, StreamId, StreamOptions
from tests.engine.conformance.conftest import STREAMS
from tests.engine.models.dual_ar.babble import RATE, Speaking
from tests.engine.models.dual_ar.babble import model as babble

TEXTS = ("The parrot sat on the mast.", "And then it flew away.")


def options(seed: int, voice: str = "default", **sampling: int) -> StreamOptions:
    return StreamOptions((voice,), sampling=Sampling(seed=seed, **sampling))  # type: ignore[arg-type]


def recording() -> Reference:
    return Reference(np.sin(np.arange(RATE) * 0.05).astype(np.float32) * 0.3, RATE, "This is a voice.")


@cache
def alone(seed: int, voice: str = "default") -> tuple[Pcm, ...]:
    """The texts, as a stream of this seed speaks them, one after the other."""
    own = babble()
    try:
        if voice != "default":
            own.learn(voice, [recording()])
        return tuple(said(own, 1, text, options(seed, voice)) for text in TEXTS)
    finally:
        own.close()


def said(of: DualARModel, stream: int, text: str, how: StreamOptions) -> Pcm:
    speaking = Speaking(of)
    speaking.say(stream, text, how)
    finish(speaking)
    return speaking.heard(stream)


def finish(speaking: Speaking) -> None:
    """Until all has been heard; there may be any number of steps that have nothing to hand out yet."""
    while speaking._going:
        speaking.step()


def same(one: Pcm, other: Pcm) -> None:
    assert len(one) == len(other)
    np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.fixture
def streams(model: DualARModel) -> Iterator[range]:
    """Streams that are let go of at the end."""
    numbers = range(1, STREAMS + 1)
    yield numbers
    for number in numbers:
        model.release(StreamId(number))


def test_one_segment_after_the_other(model: DualARModel, streams: range) -> None:
    for text, expected in zip(TEXTS, alone(1), strict=True):
        same(said(model, streams[0], text, options(1)), expected)


def test_many_streams_at_once(model: DualARModel, streams: range) -> None:
    speaking = Speaking(model)
    for stream in streams:
        speaking.say(stream, TEXTS[0], options(stream % 3))
    finish(speaking)
    assert not speaking.errors
    for stream in streams:
        same(speaking.heard(stream), alone(stream % 3)[0])


def test_who_is_released_says_no_more_and_the_others_go_on(model: DualARModel, streams: range) -> None:
    speaking = Speaking(model)
    for stream in streams[:3]:
        speaking.say(stream, TEXTS[0], options(stream))
    while not all(len(speaking.pcm[StreamId(stream)]) for stream in streams[:3]):
        speaking.step()
    model.release(StreamId(streams[1]))
    speaking._going.remove(StreamId(streams[1]))
    speaking.say(streams[3], TEXTS[0], options(0))  # in the slot that is free now
    finish(speaking)
    same(speaking.heard(streams[0]), alone(streams[0])[0])
    same(speaking.heard(streams[2]), alone(streams[2])[0])
    same(speaking.heard(streams[3]), alone(0)[0])


def test_a_voice_is_learned_and_spoken_with(model: DualARModel, streams: range) -> None:
    model.learn("anna", [recording()])
    try:
        for stream in streams[:2]:
            same(said(model, stream, TEXTS[0], options(5, "anna")), alone(5, "anna")[0])
    finally:
        for stream in streams[:2]:
            model.release(StreamId(stream))
        model.forget("anna")


def test_a_segment_that_takes_too_long_is_stopped(model: DualARModel, streams: range) -> None:
    speaking = Speaking(model)
    speaking.say(streams[0], TEXTS[0], options(1, max_new_tokens=7))
    finish(speaking)
    error = speaking.errors[StreamId(streams[0])]
    assert isinstance(error, SpeechError)
    assert "max_new_tokens: the text was not finished after 7 frames" in str(error)
    assert len(speaking.heard(streams[0])) == 7 * model.info.frame_samples
