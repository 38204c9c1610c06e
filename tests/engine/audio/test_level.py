import io
import math
import wave

import av
import numpy as np
import pytest
from av.filter.loudnorm import stats
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.audio import Leveler, loudness

RATE = 24000
CEILING = 10 ** (-1 / 20)


def sine(peak_db, rate=RATE, seconds=2.0, hertz=997):
    return (10 ** (peak_db / 20) * np.sin(2 * np.pi * hertz * np.arange(rate * seconds) / rate)).astype(
        np.float32
    )


def speech_like(lufs, seconds, rate=RATE):
    """Pink-ish noise in syllables and pauses, of this loudness."""
    noise = np.random.default_rng(3).standard_normal(round(seconds * rate))
    noise = np.convolve(noise, np.exp(-np.arange(60) / 8), "same")
    time = np.arange(noise.size) / rate
    syllables = np.clip(np.sin(2 * np.pi * 4 * time), 0, 1) * (time % 2.5 < 2.0)
    signal = (noise * syllables).astype(np.float32)
    return (signal * 10 ** ((lufs - loudness(signal, rate)) / 20)).astype(np.float32)


def level(pcm, sizes=(), **options):
    leveler = Leveler(RATE, **options)
    pieces = np.split(pcm, np.cumsum(sizes)) if sizes else [pcm]
    return np.concatenate([*map(leveler.push, pieces), leveler.drain()])


@pytest.mark.parametrize("rate", [8000, 24000, 44100, 48000])
@pytest.mark.parametrize("peak_db", [0.0, -20.0])
def test_loudness_of_the_reference_tone(rate, peak_db):
    # BS.1770-4: 0 dBFS at 997 Hz in one channel measures -3.01 LKFS.
    assert loudness(sine(peak_db, rate), rate) == pytest.approx(peak_db - 3.01, abs=0.05)


def test_silence_has_no_loudness():
    assert loudness(np.zeros(RATE, np.float32), RATE) == -math.inf
    assert loudness(np.zeros(10, np.float32), RATE) == -math.inf
    assert loudness(np.zeros(0, np.float32), RATE) == -math.inf


def test_pauses_are_gated_out():
    speech = sine(-20.0)
    with_pause = np.concatenate([speech, np.zeros(4 * RATE, np.float32), speech])
    assert loudness(with_pause, RATE) == pytest.approx(loudness(speech, RATE), abs=0.5)


def test_less_than_a_block_is_measured_whole():
    assert loudness(sine(-20.0, seconds=0.2), RATE) == pytest.approx(-23.0, abs=0.2)


def test_loudness_agrees_with_ffmpeg():
    pcm = speech_like(-23.0, 10.0, 48000)
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, 48000, 0, "NONE", ""))
        writer.writeframes(np.rint(pcm * 32767).astype("<i2").tobytes())
    file.seek(0)
    with av.open(file) as container:
        report = stats("i=-24.0:lra=7.0:tp=-2.0", container.streams.audio[0]).decode()
    measured = float(report.split('"input_i" : "')[1].split('"')[0])
    assert loudness(pcm, 48000) == pytest.approx(measured, abs=0.1)


def test_nothing_to_do_is_no_change_and_no_delay():
    pcm = 2 * sine(0.0)
    leveler = Leveler(RATE)
    assert leveler.push(pcm) is pcm
    assert leveler.drain().size == 0


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(0, 4000), min_size=1, max_size=30), gain=st.sampled_from([-6.0, 12.0]))
@pytest.mark.parametrize("normalize", [False, True])
def test_pushes_leave_no_trace_and_lose_no_sample(sizes, gain, normalize):
    pcm = speech_like(-25.0, 1.5)
    whole = level(pcm, gain_db=gain, normalize=normalize)
    pieces = level(pcm, sizes, gain_db=gain, normalize=normalize)
    assert pieces.size == pcm.size
    np.testing.assert_allclose(pieces, whole, atol=1e-6)


def test_plain_gain_is_exact_below_the_ceiling():
    pcm = sine(-30.0)
    np.testing.assert_allclose(level(pcm, gain_db=6.0), pcm * 10 ** (6 / 20), atol=1e-6)


@pytest.mark.parametrize("signal", ["noise", "impulses", "tone", "step"])
def test_nothing_leaves_above_the_ceiling(signal):
    random = np.random.default_rng(1)
    pcm = {
        "noise": random.standard_normal(RATE),
        "impulses": (random.random(RATE) < 0.001).astype(float),
        "tone": sine(0.0),
        "step": np.repeat([0.0, 1.0, 0.0, -1.0], 3000),
    }[signal].astype(np.float32)
    out = level(pcm, gain_db=20.0)
    assert np.abs(out).max() <= np.float32(CEILING)
    assert np.abs(out).max() > 0.99 * CEILING


def test_the_limiter_does_not_bend_a_loud_tone():
    out = level(sine(0.0, hertz=150), gain_db=10.0).astype(np.float64)[RATE // 2 :]
    spectrum = np.abs(np.fft.rfft(out * np.hanning(out.size)))
    frequencies = np.fft.rfftfreq(out.size, 1 / RATE)
    distortion = spectrum[np.abs(frequencies - 150) > 20].max() / spectrum.max()
    assert 20 * np.log10(distortion) < -30


def test_the_limiter_lets_go_within_a_third_of_a_second():
    pcm = np.concatenate([sine(0.0, seconds=0.5), sine(-40.0, seconds=0.5)])
    out = level(pcm, gain_db=18.0)
    np.testing.assert_allclose(out[-RATE // 8 :], pcm[-RATE // 8 :] * 10 ** (18 / 20), rtol=1e-4, atol=1e-6)


def test_the_expected_loudness_is_right_from_the_first_syllable():
    pcm = speech_like(-27.0, 0.5)
    out = level(pcm, normalize=True, expected_loudness=-27.0)
    assert loudness(out, RATE) == pytest.approx(-18.0, abs=0.5)


@pytest.mark.parametrize("actual", [-35.0, -26.0, -10.0])
def test_a_voice_of_unexpected_loudness_is_brought_to_target(actual):
    out = level(speech_like(actual, 20.0), normalize=True, expected_loudness=-20.0)
    assert loudness(out[-8 * RATE :], RATE) == pytest.approx(-18.0, abs=1.5)


def test_the_listeners_gain_comes_on_top_of_normalisation():
    pcm = speech_like(-20.0, 4.0)
    out = level(pcm, normalize=True, expected_loudness=-20.0, gain_db=-10.0)
    assert loudness(out, RATE) == pytest.approx(-28.0, abs=0.7)


def test_the_gain_moves_slowly():
    pcm = sine(-30.0, seconds=4.0)
    out = level(pcm, normalize=True, expected_loudness=-20.0).astype(np.float64)
    power = np.mean(out.reshape(-1, RATE // 10) ** 2, axis=1)
    steps = np.diff(10 * np.log10(power))
    assert np.abs(steps).max() < 0.35


def test_silence_does_not_turn_the_gain_up():
    pcm = np.concatenate([np.zeros(5 * RATE, np.float32), speech_like(-20.0, 0.4)])
    out = level(pcm, normalize=True, expected_loudness=-20.0)
    assert loudness(out[5 * RATE :], RATE) == pytest.approx(-18.0, abs=0.5)
