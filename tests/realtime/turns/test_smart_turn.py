"""smart-turn v3, with the model that pipecat-ai carries."""

from pathlib import Path

import numpy as np
import pytest
from pipecat.audio.turn.smart_turn._whisper_features import compute_whisper_log_mel_features

from engine.audio import Resampler
from engine.speech import Pcm
from realtime.ears import HEARING_RATE
from realtime.turns.smart_turn import SmartTurn, find_model, log_mel
from tests.engine.models import speaking
from tests.int8 import saturates

SENTENCES = (  # and after how many words each is certainly not complete
    ("Could you tell me what time the shop opens tomorrow?", 7),
    ("I would like to book a table for two people.", 6),
    ("My name is Robert, and I live in Boston.", 8),
    ("No, thank you, that is all I need.", 5),
    ("The train was late again this morning.", 3),
    ("Please send the bill to my office.", 6),
)


@pytest.fixture(scope="module")
def judge() -> SmartTurn:
    return SmartTurn()


def heard(text: str, words: int | None = None) -> Pcm:
    """A sentence, or its first words, and a pause."""
    said = speaking.speak(text)
    pcm = said.pcm[: round(said.words[:words][-1].end * speaking.RATE)]
    resampler = Resampler(speaking.RATE, HEARING_RATE)
    silence = np.zeros(round(0.2 * speaking.RATE), np.float32)
    return np.concatenate([resampler.push(np.concatenate([pcm, silence])), resampler.drain()])


def test_the_features_are_those_of_the_reference() -> None:
    pcm = heard(SENTENCES[0][0])
    padded = np.pad(pcm, (8 * HEARING_RATE - len(pcm), 0))
    np.testing.assert_allclose(log_mel(pcm), compute_whisper_log_mel_features(padded), atol=2e-4)
    long = np.concatenate([pcm] * 8)
    np.testing.assert_array_equal(log_mel(long), log_mel(long[-8 * HEARING_RATE :]))
    assert np.isfinite(log_mel(np.zeros(0, np.float32))).all()


def test_what_is_complete_is_told_from_what_is_not(judge: SmartTurn) -> None:
    complete = [judge.complete(heard(text)) for text, _ in SENTENCES]
    cut = [judge.complete(heard(text, words)) for text, words in SENTENCES]
    assert sum(probability >= 0.5 for probability in complete) >= 5, complete
    # It is sure of those that are, less of these, and still less where its sums are rounded.
    assert sum(probability < 0.5 for probability in cut) >= (3 if saturates() else 4), cut
    assert np.mean(complete) > np.mean(cut) + 0.5


def test_a_file_that_is_not_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no file"):
        SmartTurn(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(ValueError, match="is no ONNX model"):
        SmartTurn(tmp_path / "text.onnx")
    other = find_model().parents[3] / "vad" / "data" / "silero_vad.onnx"
    with pytest.raises(ValueError, match="expected smart-turn v3's"):
        SmartTurn(other)
