from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.audio import Resampler


def tone(hertz, rate, seconds=0.5):
    return np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate).astype(np.float32)


def convert(pcm, source, target, sizes=()):
    resampler = Resampler(source, target)
    pieces = np.split(pcm, np.cumsum(sizes)) if sizes else [pcm]
    return np.concatenate([*map(resampler.push, pieces), resampler.drain()])


def level_db(pcm):
    middle = pcm[pcm.size // 5 : -pcm.size // 5].astype(np.float64)
    return 20 * np.log10(np.sqrt(2 * np.mean(middle**2)) + 1e-12)


RATES = [(24000, 8000), (24000, 44100), (24000, 48000), (44100, 24000), (44100, 48000), (44100, 16000)]
TO_A_PHONE = [(24000, 8000), (44100, 8000), (48000, 8000)]
RATES += [*TO_A_PHONE[1:], (8000, 16000), (48000, 16000)]


@pytest.mark.parametrize(("source", "target"), RATES)
@settings(max_examples=10, deadline=None)
@given(sizes=st.lists(st.integers(0, 3000), min_size=1, max_size=20))
def test_pushes_leave_no_trace(source, target, sizes):
    noise = np.random.default_rng(7).standard_normal(5000).astype(np.float32)
    whole = convert(noise, source, target)
    np.testing.assert_array_equal(convert(noise, source, target, sizes), whole)
    assert abs(whole.size - noise.size * target / source) <= 1


@pytest.mark.parametrize(("source", "target"), RATES)
def test_a_tone_keeps_its_place_and_level(source, target):
    out = convert(tone(1000, source), source, target)
    expected = tone(1000, target)
    np.testing.assert_allclose(out[500:-500], expected[500 : out.size - 500], atol=1e-4)


def test_what_does_not_fit_below_the_new_nyquist_frequency_is_gone():
    assert level_db(convert(tone(10_000, 24000), 24000, 8000)) < -50
    assert level_db(convert(tone(14_000, 44100), 44100, 24000)) < -50


@pytest.mark.parametrize(("source", "target"), TO_A_PHONE)
def test_a_telephone_hears_nothing_above_its_band(source, target):
    """Whatever lies beyond 4.2 kHz, and would fold back into speech, is gone; speech up to 3.4 kHz is not."""
    for hertz in (300, 1000, 3400):
        assert abs(level_db(convert(tone(hertz, source), source, target))) < 0.1
    for hertz in (4200, 5000, 7000, 7900, 9000, 11_500, 15_700, 16_300, 20_000):
        if hertz < source / 2:
            assert level_db(convert(tone(hertz, source), source, target)) < -50, hertz


def test_a_telephones_voice_is_only_its_own_at_16_khz():
    for hertz in (300, 1000, 3400, 3700):
        out = convert(tone(hertz, 8000), 8000, 16000).astype(np.float64)
        spectrum = np.abs(np.fft.rfft(out * np.hanning(out.size))) / out.size * 4
        assert abs(level_db(out)) < 0.1
        assert 20 * np.log10(spectrum[np.fft.rfftfreq(out.size, 1 / 16000) > 4200].max()) < -50, hertz


def test_upsampling_adds_no_images():
    out = convert(tone(11_000, 24000), 24000, 48000).astype(np.float64)
    spectrum = np.abs(np.fft.rfft(out * np.hanning(out.size))) / out.size * 4
    assert abs(level_db(out)) < 0.1
    assert 20 * np.log10(spectrum[np.fft.rfftfreq(out.size, 1 / 48000) > 12_500].max()) < -50


@pytest.mark.parametrize(("source", "target"), RATES)
@pytest.mark.parametrize("size", [*range(1, 10), 1001])
def test_latency_is_enough_to_push_everything_out(source, target, size):
    resampler = Resampler(source, target)
    out = resampler.push(np.ones(size, np.float32)).size
    out += resampler.push(np.zeros(resampler.latency, np.float32)).size
    assert out >= size * target / source


@pytest.mark.parametrize(("source", "target"), RATES)
@pytest.mark.parametrize("size", [1, 2, 20, 133])
def test_a_very_short_stream_has_the_right_length(source, target, size):
    assert convert(np.ones(size, np.float32), source, target).size == -(-size * target // source)


def test_equal_rates_pass_samples_untouched():
    noise = np.random.default_rng(7).standard_normal(100).astype(np.float32)
    np.testing.assert_array_equal(convert(noise, 24000, 24000, [3]), noise)
    assert Resampler(24000, 24000).latency == 0


def test_an_empty_stream_stays_empty():
    assert convert(np.zeros(0, np.float32), 24000, 48000).size == 0


def test_streams_take_no_threads() -> None:
    """A hundred callers would have hundreds of them."""
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        pytest.skip("this system does not show its threads")
    before = len(list(tasks.iterdir()))
    kept = [Resampler(48_000, 16_000) for _ in range(5)]
    for resampler in kept:
        resampler.push(np.zeros(4800, np.float32))
    assert len(list(tasks.iterdir())) == before
