"""smart-turn v3, which judges by the sound of a turn whether its speaker is done.

The model (BSD-2-Clause) is a Whisper encoder with a head, some 9 MB as ONNX, of many languages. It looks at the
last 8 s. See https://github.com/pipecat-ai/smart-turn.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

from engine.speech import Pcm
from realtime.ears import HEARING_RATE
from realtime.turns.judge import JUDGED_SECONDS

NAME = "smart-turn"
_PACKAGED = "audio/turn/smart_turn/data/smart-turn-v3.2-cpu.onnx"
_HUB_REPOSITORY, _HUB_FILE = "pipecat-ai/smart-turn-v3", "smart-turn-v3.2-cpu.onnx"

_WINDOW, _HOP, _MELS = 400, 160, 80
_SAMPLES = int(JUDGED_SECONDS * HEARING_RATE)

Matrix = npt.NDArray[np.float64]


class SmartTurn:
    """A :class:`TurnJudge`. ``path`` is the model's ONNX file, or None to look for it (:func:`find_model`).

    Raises FileNotFoundError, and ValueError if the file is another model.
    """

    def __init__(self, path: Path | None = None) -> None:
        path = path or find_model()
        if not path.is_file():
            raise FileNotFoundError(f"turn model: there is no file {path}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime has no type for it
            raise ValueError(f"turn model: {path} is no ONNX model: {error}") from error
        shapes = [node.shape[1:] for node in self._session.get_inputs()]
        if shapes != [[_MELS, _SAMPLES // _HOP]]:
            raise ValueError(f"turn model: {path} takes {shapes}; expected smart-turn v3's [80, 800]")
        self._input = self._session.get_inputs()[0].name

    def complete(self, pcm: Pcm) -> float:
        """How probable it is that the speaker is done, from 0 to 1; see :meth:`TurnJudge.complete`."""
        features = log_mel(pcm)
        [[probability]] = self._session.run(None, {self._input: features[None]})[0]
        return float(probability)


def find_model() -> Path:
    """Where the model lies: in an installed pipecat-ai, or on the Hugging Face hub if its client is installed.

    Raises FileNotFoundError, which says how to get it.
    """
    if (package := find_spec("pipecat")) is not None and package.origin is not None:
        path = Path(package.origin).parent / _PACKAGED
        if path.is_file():
            return path
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise FileNotFoundError(
            f"turn model: {_HUB_FILE} is not here; download it from "
            f"https://huggingface.co/{_HUB_REPOSITORY} and give its path, or pip install huggingface-hub"
        ) from None
    try:
        return Path(hf_hub_download(_HUB_REPOSITORY, _HUB_FILE))
    except Exception as error:  # of the network, or of the hub
        raise FileNotFoundError(
            f"turn model: {_HUB_FILE} cannot be had from {_HUB_REPOSITORY}: {error}"
        ) from error


def log_mel(pcm: Pcm) -> npt.NDArray[np.float32]:
    """Whisper's features of the last 8 s at 16 kHz, shape ``(80, 800)``.

    What is shorter is filled up with silence in front: the model was taught with turns that end at its end. The
    samples are brought to mean 0 and variance 1 first.
    """
    samples = np.zeros(_SAMPLES, np.float64)
    heard = pcm[-_SAMPLES:]
    samples[_SAMPLES - len(heard) :] = heard
    samples = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
    padded = np.pad(samples, _WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP][:-1]
    power = np.abs(np.fft.rfft(windows * np.hanning(_WINDOW + 1)[:-1])) ** 2
    loudness = np.log10(np.maximum(power @ _mel_filters(), 1e-10)).T
    features: npt.NDArray[np.float32] = np.maximum(loudness, loudness.max() - 8.0).astype(np.float32)
    return (features + 4.0) / 4.0


@cache
def _mel_filters() -> Matrix:
    """Triangles of equal area on Slaney's mel scale, shape ``(201, 80)``, as Whisper has them.

    The scale is linear below 1 kHz (200/3 Hz a step), logarithmic above (27 steps to 6.4 kHz).
    """
    linear_end = 1000.0 * 3 / 200
    step = np.log(6.4) / 27
    top = linear_end + np.log(HEARING_RATE / 2 / 1000.0) / step
    mels = np.linspace(0.0, top, _MELS + 2)
    corners = np.where(mels < linear_end, mels * 200 / 3, 1000.0 * np.exp(step * (mels - linear_end)))
    bins = np.linspace(0.0, HEARING_RATE / 2, _WINDOW // 2 + 1)[:, None]
    rising = (bins - corners[:-2]) / (corners[1:-1] - corners[:-2])
    falling = (corners[2:] - bins) / (corners[2:] - corners[1:-1])
    filters: Matrix = np.clip(np.minimum(rising, falling), 0.0, None) * 2.0 / (corners[2:] - corners[:-2])
    return filters
