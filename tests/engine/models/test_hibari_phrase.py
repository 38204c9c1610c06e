"""What is made of the network's prediction before it becomes sound."""

import numpy as np
import pytest

from engine.models.hibari.network import Network
from engine.models.hibari.phrase import Phrase, pace_of, speak
from engine.models.hibari.presets import PRESETS
from engine.models.hibari.reading import Reader
from engine.speech import PLAIN


@pytest.fixture(scope="module")
def network() -> Network:
    return Network(1)


@pytest.fixture(scope="module")
def reader(network) -> Reader:
    return Reader(network.knows)


def _phrase(
    network: Network, reader: Reader, text: str, open_ended: bool = False, speed: float = 1.0
) -> Phrase:
    (reading,) = reader.read(text, open_ended, 500)
    return speak(network, reading, PRESETS["heart"], speed)


def test_speech_lies_between_silent_frames(network, reader):
    power = _phrase(network, reader, "Tell me.").spectra.power()
    assert power[:1].max() < 1e-15
    assert power[-3:].max() < 1e-15
    assert power[2] > 1e-5  # the first frame that is heard in full


def test_the_last_words_of_an_open_end_stay_up(network, reader):
    ends = []
    for open_ended in (False, True):
        f0 = _phrase(network, reader, "I went to the market and bought some bread", open_ended).spectra.f0
        ends.append(np.median(f0[f0 > 0][-12:]))
    assert ends[1] > 1.1 * ends[0]


def test_pauses_shrink_with_speed(network, reader):
    slow, fast = (_phrase(network, reader, "We know.", speed=speed).pause_hops for speed in (0.65, 1.15))
    assert slow > 1.5 * fast > 0


def test_words_lie_within_the_phrase(network, reader):
    phrase = _phrase(network, reader, "Apples and pears, and all the rest of it.")
    assert [word.text for word, *_ in phrase.words] == "Apples and pears, and all the rest of it.".split()
    times = [time for _, *span in phrase.words for time in span]
    assert times == sorted(times)
    assert times[0] >= 0
    assert times[-1] <= (len(phrase.spectra) - 2) * 0.0125


def test_no_pace_is_asked_for_that_the_network_cannot_do():
    for preset in PRESETS.values():
        slowest, own, fastest = (pace_of(preset, speed, PLAIN) for speed in (0.01, 1.0, 100.0))
        assert 0.6 < slowest < own < fastest < 1.2
        assert pace_of(preset, 0.9, PLAIN) == pytest.approx(0.9 * own)
