"""Faster and slower, with the same pitch and an exact length."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.audio import Stretcher

RATE = 24_000


def tone(seconds: float, hertz: float = 200.0) -> np.ndarray:  # type: ignore[type-arg]
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


@pytest.mark.parametrize("tempo", [0.25, 0.4, 0.5, 0.625, 0.9, 1.25, 5 / 3, 2.0, 3.48, 4.0])
def test_length_changes_and_pitch_and_level_do_not(tempo: float) -> None:
    source = tone(2.0)
    stretcher = Stretcher(RATE, tempo)
    out = np.concatenate([stretcher.push(part) for part in np.split(source, 20)] + [stretcher.drain()])
    assert len(out) == round(len(source) / tempo)
    spectrum = np.abs(np.fft.rfft(out))
    assert spectrum.argmax() * RATE / len(out) == pytest.approx(200, abs=2)
    middle = out[len(out) // 4 : -len(out) // 4]
    assert np.sqrt((middle**2).mean()) == pytest.approx(0.3 / np.sqrt(2), rel=0.05)
    assert np.abs(np.diff(middle)).max() < 1.5 * np.abs(np.diff(source)).max()


@settings(max_examples=20)
@given(st.lists(st.integers(0, 3000), max_size=10), st.sampled_from([0.25, 0.5, 1.5, 2.0, 4.0]))
def test_any_cutting_gives_the_same_length(sizes: list[int], tempo: float) -> None:
    stretcher = Stretcher(RATE, tempo)
    got = sum(len(stretcher.push(np.zeros(size, np.float32))) for size in sizes)
    assert got + len(stretcher.drain()) == round(sum(sizes) / tempo)
