import numpy as np
import pytest

from realtime.dubbing import Limits
from realtime.dubbing.fitting import Fit, fit
from realtime.dubbing.sound import Mixer, arrange, measure

RATE = 24_000


def tone(seconds: float, level: float = 0.3) -> np.ndarray:
    return (level * np.sin(2 * np.pi * 200 * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def quiet(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


LINE = np.concatenate([quiet(0.3), tone(1.0), quiet(0.5), tone(0.5), quiet(0.06), tone(0.5), quiet(0.4)])


def sounding(pcm: np.ndarray) -> float:
    """Seconds that can be heard."""
    windows = pcm[: pcm.size // 240 * 240].reshape(-1, 240)
    return float((np.sqrt((windows**2).mean(axis=1)) > 0.05).sum() * 0.01)


def test_silence_at_both_ends_is_left_out_and_pauses_are_found():
    pcm, measured = measure(LINE, RATE, [1.3, 2.3, 2.86])
    assert measured.seconds == pytest.approx(2.56, abs=0.04)
    assert pcm.size == round(measured.seconds * RATE)
    ((start, end),) = measured.pauses  # 60 ms belong to a word
    assert (start, end) == (pytest.approx(1.0, abs=0.02), pytest.approx(1.5, abs=0.02))
    assert measured.stops == pytest.approx((1.01, 2.01, 2.57), abs=0.02)
    assert np.abs(pcm[: round(0.03 * RATE)]).max() > 0.1


@pytest.mark.parametrize("pcm", [quiet(1.0), quiet(0), tone(1, 1e-5)])
def test_what_nobody_can_hear_is_no_line(pcm):
    pcm, measured = measure(pcm, RATE, [])
    assert pcm.size == measured.seconds == 0


@pytest.mark.parametrize("room", [3.0, 2.4, 1.8, 1.0])
def test_a_fitted_line_has_the_length_that_was_planned_and_all_of_its_sound(room):
    pcm, measured = measure(LINE, RATE, [])
    fitted = fit(measured, room, 9, Limits())
    assert fitted is not None
    line = arrange(pcm, RATE, measured, fitted)
    assert line.size == pytest.approx(fitted.seconds * RATE, abs=2)
    assert sounding(line) == pytest.approx(2.0 / fitted.speed, abs=0.06)


def test_a_line_that_is_cut_ends_there():
    pcm, measured = measure(LINE, RATE, [])
    line = arrange(pcm, RATE, measured, Fit(1.0, (0.5,), 1.0, 1.0))
    assert line.size == RATE
    assert np.abs(line[-3:]).max() < 0.03


def test_lines_lie_where_they_should_however_the_whole_is_taken_out():
    a, b = tone(1.0), tone(0.5, 0.1)
    wanted = np.zeros(3 * RATE, np.float32)
    wanted[RATE : 2 * RATE] += a
    wanted[round(1.25 * RATE) : round(1.75 * RATE)] += b
    for step in (0.1, 0.7, 3.0):
        mixer = Mixer(RATE)
        mixer.add(1, 1.0, a)
        mixer.add(2, 1.25, b)
        pieces = [mixer.render(min(n * step, 3.0)) for n in range(1, 32)]
        np.testing.assert_array_equal(np.concatenate(pieces), wanted)


def test_a_line_that_sounds_can_be_shortened():
    mixer = Mixer(RATE)
    mixer.add(1, 0.0, tone(2.0))
    mixer.render(1.0)
    mixer.shorten(1, 1.02)
    rest = mixer.render(2.0)
    assert np.abs(rest[: round(0.01 * RATE)]).max() > 0.2
    assert not rest[round(0.02 * RATE) :].any()
    mixer.shorten(1, 1.5)  # it is over: nothing happens
    assert not mixer.render(3.0).any()
