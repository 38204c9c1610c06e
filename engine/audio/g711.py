"""ITU-T G.711: the two companding laws of the telephone, 8 bits a sample."""

from functools import cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from engine.speech import Pcm

Law = Literal["mulaw", "alaw"]

# The magnitude to which µ-law adds its bias, and the largest that it has a code for (G.711, table 2a).
_BIAS = 33
_LARGEST = 0x1FFF
# A-law's bits are inverted in turn, so that silence is not a row of equal bits (G.711, table 1a, note 2).
_EVEN_BITS = 0x55


def encode_g711(samples: npt.NDArray[np.int16], law: Law) -> bytes:
    """16-bit samples, shape ``(n,)``, to n bytes. What is louder than the law's loudest code becomes that."""
    return _codes(law)[samples.view(np.uint16)].tobytes()


def decode_g711(data: bytes, law: Law) -> Pcm:
    """Bytes to as many samples in [-1, 1], shape ``(n,)``."""
    samples: Pcm = _values(law)[np.frombuffer(data, np.uint8)]
    return samples


@cache
def _codes(law: Law) -> npt.NDArray[np.uint8]:
    """The code of every 16-bit sample, by its bits taken as an unsigned number.

    A sample lies in the interval between two decision values of G.711. Those of negative samples mirror those of
    the others, so that it is the one's complement that is coded (as in the ITU's own library, G.191).
    """
    samples = np.arange(0x10000, dtype=np.uint16).view(np.int16).astype(np.int32)
    magnitude = np.where(samples < 0, ~samples, samples)
    sign = np.where(samples < 0, 0, 0x80)
    if law == "mulaw":
        biased = np.minimum((magnitude >> 2) + _BIAS, _LARGEST)
        segment = _bits(biased) - 6
        code = sign | (~(segment << 4 | biased >> (segment + 1) & 0xF) & 0x7F)
    else:
        magnitude >>= 4
        segment = np.maximum(_bits(magnitude) - 4, 0)
        code = (sign | segment << 4 | magnitude >> np.maximum(segment - 1, 0) & 0xF) ^ _EVEN_BITS
    codes: npt.NDArray[np.uint8] = code.astype(np.uint8)
    return codes


@cache
def _values(law: Law) -> Pcm:
    """What each code sounds like: the middle of its interval, as a part of 16-bit full scale."""
    code = np.arange(0x100)
    if law == "mulaw":
        segment, step = ~code >> 4 & 7, ~code & 0xF
        magnitude = ((2 * step + _BIAS << segment) - _BIAS) * 4
    else:
        code ^= _EVEN_BITS
        segment, step = code >> 4 & 7, code & 0xF
        magnitude = (2 * step + 1 + 32 * (segment > 0) << np.maximum(segment - 1, 0)) * 8
    values: Pcm = (np.where(code & 0x80, magnitude, -magnitude) / 32768).astype(np.float32)
    return values


def _bits(numbers: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """How many binary digits each number has."""
    digits: npt.NDArray[np.int32] = np.frexp(numbers.astype(np.float64))[1]
    return digits
