"""The ONNX network: phoneme ids in, spectra and durations out."""

import json
from pathlib import Path
from typing import NamedTuple

import hibari
import numpy as np
import numpy.typing as npt
import onnxruntime

from engine.models.hibari.synthesis import Spectra

ASSETS = Path(hibari.__file__).parent / "assets"
FRAMES_PER_DURATION = 2
"""The network counts durations in units of two spectral frames (25 ms)."""

_DURATIONS = "/Clip_output_0"
_PAD = 0


class Prediction(NamedTuple):
    """What the network says of one phoneme string.

    ``starts[i]`` is the spectral frame at which phoneme ``i`` begins; one entry more than there are phonemes
    says where the last one ends. Silence lies before the first and after the last.
    """

    spectra: Spectra
    starts: npt.NDArray[np.int64]


class Network:
    """One ONNX session, on ``threads`` threads."""

    def __init__(self, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        options.log_severity_level = 3
        model = (ASSETS / "hibari.onnx").read_bytes() + _graph_output(_DURATIONS)
        self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self._vocabulary: dict[str, int] = json.loads((ASSETS / "vocab.json").read_text(encoding="utf-8"))

    def knows(self, phoneme: str) -> bool:
        """Whether the network can speak a phoneme character."""
        return phoneme in self._vocabulary

    def predict(self, phonemes: str, speed: float) -> Prediction:
        """Speak a string of known phoneme characters, ``speed`` times as fast as the voice does by itself.

        Takes about 0.7 ms and 62 us for each spectral frame on one thread.
        """
        ids = [_PAD, *(self._vocabulary[phoneme] for phoneme in phonemes), _PAD]
        inputs = {"ids": np.array([ids], np.int64), "speed": np.array([speed], np.float32)}
        *parts, durations = self._session.run(None, inputs)
        spectra = Spectra(*(np.ascontiguousarray(part[0].T) for part in parts))
        ends = np.cumsum(durations.ravel().astype(np.int64)) * FRAMES_PER_DURATION
        return Prediction(spectra, ends[:-1])


def _graph_output(name: str) -> bytes:
    """A fragment of an ONNX model that makes an inner tensor a graph output.

    Concatenated protobuf messages are merged, so that appending it to the model is enough. The numbers are
    ModelProto.graph = 7, GraphProto.output = 12, ValueInfoProto.name = 1.
    """
    return _field(7, _field(12, _field(1, name.encode())))


def _field(number: int, content: bytes) -> bytes:
    """A short length-delimited protobuf field."""
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content
