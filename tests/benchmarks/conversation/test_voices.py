import numpy as np
import pytest

from benchmarks.conversation.voices import MIC_RATE, cough, mhm, pause, trimmed
from benchmarks.listener import first_audible


def test_speech_is_cut_so_that_a_pause_between_is_as_long_as_it_says() -> None:
    silence = np.zeros(MIC_RATE, np.float32)
    tone = np.sin(np.arange(MIC_RATE) * 2 * np.pi * 440 / MIC_RATE).astype(np.float32) * 0.3
    cut = trimmed(np.concatenate([silence, tone, silence]))
    assert len(cut) / MIC_RATE == pytest.approx(1.04, abs=0.002)
    both = np.concatenate([cut, pause(0.4), cut])
    second = first_audible(both[round(1.1 * MIC_RATE) :], MIC_RATE)
    assert second is not None
    assert 1.1 + second / MIC_RATE == pytest.approx(0.02 + 1.0 + 0.4, abs=0.003)


def test_silence_is_nothing_to_say() -> None:
    with pytest.raises(ValueError, match="silent"):
        trimmed(np.zeros(MIC_RATE, np.float32))


def test_false_alarms_are_short_and_loud_enough_to_be_heard() -> None:
    assert len(cough()) / MIC_RATE == 0.25
    assert len(mhm()) / MIC_RATE == pytest.approx(0.45)
    for sound in (cough(), mhm()):
        assert 0.02 < float(np.sqrt(np.mean(np.square(sound)))) < 0.3
        assert np.abs(sound).max() <= 1.0
