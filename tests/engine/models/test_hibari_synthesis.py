"""The streaming synthesizer against hibari's own, which makes an utterance at once."""

from types import SimpleNamespace

import hibari.dsp
import numpy as np
import pytest

from engine.models.hibari.network import Network
from engine.models.hibari.synthesis import BINS, HOP, SILENT, Spectra, Synthesizer, join, silent


@pytest.fixture(scope="module")
def spectra() -> Spectra:
    return join(silent(2), Network(1).predict("həlˈO, wˈɜɹld.", 1.0).spectra[15:], silent(3))


def _synthesize(spectra: Spectra, hops: list[int], seed: int = 7) -> np.ndarray:
    synthesizer = Synthesizer(np.random.default_rng(seed))
    synthesizer.start(spectra)
    pieces = [synthesizer.advance(count) for count in hops]
    return np.concatenate([*pieces, synthesizer.advance(len(spectra))])


def test_streamed_is_one_shot(spectra):
    whole = _synthesize(spectra, [])
    assert len(whole) == (len(spectra) - 2) * HOP
    for hops in ([1] * 40, [8] * 10, [3, 1, 7, 20, 2]):
        np.testing.assert_allclose(_synthesize(spectra, hops), whole, atol=1e-5)


def test_is_what_hibari_makes_at_once(spectra):
    noise = np.random.default_rng(7).standard_normal((len(spectra), 2 * BINS), dtype=np.float32)
    by_bin = noise.view(np.complex64).T.copy().view(np.float32)
    rng = SimpleNamespace(standard_normal=lambda shape, dtype: by_bin)
    reference = hibari.dsp.synth(*(part.T.copy() for part in spectra.parts()), rng)
    np.testing.assert_allclose(_synthesize(spectra, [8] * 4), reference[: -2 * HOP], atol=2e-4)


def test_pulses_and_noise_run_on_from_phrase_to_phrase(spectra):
    synthesizer = Synthesizer(np.random.default_rng(7))
    synthesizer.start(spectra)
    first = synthesizer.advance(len(spectra))
    synthesizer.start(spectra)
    again = synthesizer.advance(len(spectra))
    assert len(first) == len(again)
    assert np.abs(first - again).max() > 1e-3


def test_silence_is_silent_and_nothing_is_nothing():
    assert np.abs(_synthesize(silent(9), [])).max() < 1e-9
    assert not len(_synthesize(silent(2), []))


def test_what_is_too_loud_is_bent_and_not_clipped(spectra):
    loud = _synthesize(spectra.louder(np.float32(2.0)), [])
    assert 0.9 < np.abs(loud).max() < 1
    assert len(np.unique(np.abs(loud[np.abs(loud) > 0.9]))) > 10


def test_power_tells_where_speech_is(spectra):
    sound = _synthesize(spectra, []).reshape(-1, HOP)
    measured = 10 * np.log10(np.square(sound).mean(1) + 1e-9)
    estimated = 10 * np.log10(spectra.power()[2:] + 1e-9)
    assert np.corrcoef(measured, estimated)[0, 1] > 0.9
    assert np.abs(measured - estimated)[measured > -40].mean() < 5
    assert silent(1).power()[0] < 1e-15
    assert SILENT < -20
