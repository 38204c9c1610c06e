"""What a step of Fish S2-Pro costs: from the arithmetic of its weights, or from a file of measured times."""

import bisect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, Self

import orjson

FRAME_SECONDS = 2048 / 44_100
"""A frame of the codec: 2,048 samples at 44.1 kHz."""


class Costs(Protocol):
    """Seconds that the parts of a step take; they follow one another."""

    @property
    def latency(self) -> float:
        """Seconds from the end of a step until its audio is there; the next step does not wait for it."""
        ...

    def decode(self, rows: int, positions: int) -> float:
        """One frame of each of ``rows`` streams, which attend to ``positions`` positions in all."""
        ...

    def prefill(self, tokens: int) -> float:
        """One pass over new text, of however many streams."""
        ...

    def draw(self, rows: int) -> float:
        """The frames of ``rows`` streams whose text has just been prefilled, which need no slow pass."""
        ...

    def codec(self, frames: int) -> float:
        """What the decoding of ``frames`` frames to audio takes from the language model."""
        ...


@dataclass(frozen=True, slots=True)
class Roofline:
    """The floor: as fast as memory can be read or tensor cores can multiply, whichever takes longer.

    The defaults are S2-Pro in bfloat16 on one H200, by arithmetic: the slow transformer has 3.633 G parameters
    and a head of 0.399 G, the fast one 0.404 G and a head of 0.01 G. The fast one runs ten times for a frame.
    """

    bandwidth: float = 4.3e12
    """Bytes a second that are reached in practice, of 4.8e12."""
    peak: float = 788e12
    """Operations a second that dense bfloat16 products reach in practice."""
    slow_bytes: float = 8.06e9
    """Weights of the slow transformer and its head, read once for a frame and once for a prefill."""
    slow_flop: float = 8.06e9
    """Operations of the slow transformer and its head for a frame, but for attention."""
    fast_bytes: float = 8.26e9
    """Weights of the fast transformer, read ten times, and of its head, read nine times."""
    fast_flop: float = 8.27e9
    """Operations of the fast transformer for a frame."""
    position_bytes: float = 147_456
    """Keys and values of one position: 36 layers, 8 heads of 128, two bytes."""
    position_flop: float = 0.6e6
    """Operations of attention to one position."""
    prefill_flop: float = 7.27e9
    """Operations for a token of text; it needs no head, and its attention is little beside the rest."""
    codec_seconds: float = 1e-3 * FRAME_SECONDS
    """For a frame: a millisecond for a second of audio, streamed, in a batch, at a quarter of the peak."""
    latency: float = 2e-3
    """Of the codec, which has a CUDA stream of its own."""
    slower: float = 1.0
    """How many times the floor everything really takes."""
    gap: float = 0.0
    """Seconds of a frame in which the device waits for its next kernel, half of them in the slow transformer."""

    def decode(self, rows: int, positions: int) -> float:
        """Weights are read once for all rows, keys and values for each."""
        flop = rows * (self.slow_flop + self.fast_flop) + positions * self.position_flop
        memory = positions * self.position_bytes / self.bandwidth
        return self._pass(self.slow_bytes + self.fast_bytes, flop) + self.slower * memory + self.gap

    def prefill(self, tokens: int) -> float:
        """Bound by the weights up to some 200 tokens, then by operations."""
        return self._pass(self.slow_bytes, tokens * self.prefill_flop) + self.gap / 2

    def draw(self, rows: int) -> float:
        """The fast transformer alone."""
        return self._pass(self.fast_bytes, rows * self.fast_flop) + self.gap / 2

    def codec(self, frames: int) -> float:
        """In proportion to the frames."""
        return self.slower * frames * self.codec_seconds

    def _pass(self, weights: float, flop: float) -> float:
        return self.slower * max(weights / self.bandwidth, flop / self.peak)


FLOOR = Roofline()
PLAUSIBLE = Roofline(slower=1.25, gap=1.2e-3)
"""Plain PyTorch in CUDA graphs: 700 to 800 kernels a step, 6.0 ms for one stream and 8.7 ms for 64."""
HALF = replace(PLAUSIBLE, slower=2 * PLAUSIBLE.slower, gap=2 * PLAUSIBLE.gap, latency=2 * PLAUSIBLE.latency)
"""A machine of half the speed."""
PRESETS: Mapping[str, Costs] = {"floor": FLOOR, "plausible": PLAUSIBLE, "half": HALF}


@dataclass(frozen=True, slots=True)
class Curve:
    """Straight lines through measured points, ``(x, y)`` by rising ``x``.

    Below the first point as at the first; beyond the last as between the last two.
    """

    points: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        if not self.points or any(b[0] <= a[0] for a, b in zip(self.points, self.points[1:], strict=False)):
            raise ValueError(f"a curve needs points of rising x, not {self.points}")

    def __call__(self, x: float) -> float:
        """The value at ``x``."""
        points = self.points
        if x <= points[0][0] or len(points) == 1:
            return points[0][1]
        right = min(bisect.bisect_left(points, x, key=lambda point: point[0]), len(points) - 1)
        (x0, y0), (x1, y1) = points[right - 1], points[right]
        return y0 + (x - x0) * (y1 - y0) / (x1 - x0)


@dataclass(frozen=True, slots=True)
class Measured:
    """Costs that were measured, in seconds. What was not is taken from :data:`PLAUSIBLE`.

    ``decode_at`` is by rows, each of which had ``context`` positions; ``position`` is what a position more costs.
    """

    decode_at: Curve
    context: float
    position: float
    prefill: Callable[[int], float]
    draw: Callable[[int], float]
    codec: Callable[[int], float]
    latency: float

    def decode(self, rows: int, positions: int) -> float:
        """By rows, corrected by what they attend to."""
        return self.decode_at(rows) + (positions - rows * self.context) * self.position

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a JSON object. Raises ValueError, which names what is wrong with it.

        ``decode_ms``: milliseconds by batch, such as ``{"1": 5.1, "64": 8.0}``, at ``context`` positions each.
        The rest may be left out: ``context`` (1000), ``prefill_ms`` by tokens, ``draw_ms`` by rows, ``codec_ms``
        by frames in a step, ``ms_per_1000_positions``, ``codec_latency_ms``.
        """
        try:
            data = orjson.loads(path.read_bytes())
        except orjson.JSONDecodeError as error:
            raise ValueError(f"{path} is not JSON: {error}") from None
        if not isinstance(data, dict) or "decode_ms" not in data:
            raise ValueError(f'{path} must hold an object with "decode_ms", such as {{"1": 5.1, "64": 8.0}}')
        if unknown := data.keys() - _KEYS:
            raise ValueError(f"{path}: {', '.join(sorted(unknown))} unknown; there is {', '.join(_KEYS)}")
        default = PLAUSIBLE
        per_position = default.slower * default.position_bytes / default.bandwidth
        return cls(
            decode_at=_curve(path, data, "decode_ms"),
            context=_number(path, data, "context", 1000.0),
            position=_number(path, data, "ms_per_1000_positions", per_position * 1e6) / 1e6,
            prefill=_curve(path, data, "prefill_ms") if "prefill_ms" in data else default.prefill,
            draw=_curve(path, data, "draw_ms") if "draw_ms" in data else default.draw,
            codec=_curve(path, data, "codec_ms") if "codec_ms" in data else default.codec,
            latency=_number(path, data, "codec_latency_ms", default.latency * 1e3) / 1e3,
        )


_KEYS = (
    "decode_ms",
    "context",
    "ms_per_1000_positions",
    "prefill_ms",
    "draw_ms",
    "codec_ms",
    "codec_latency_ms",
)


def _number(path: Path, data: Mapping[str, object], key: str, default: float) -> float:
    value = data.get(key, default)
    if not isinstance(value, int | float) or value < 0:
        raise ValueError(f"{path}: {key} must be a number from 0, not {value!r}")
    return float(value)


def _curve(path: Path, data: Mapping[str, object], key: str) -> Curve:
    points = data[key]
    try:
        assert isinstance(points, dict)
        return Curve(tuple(sorted((float(x), float(ms) / 1e3) for x, ms in points.items())))
    except (AssertionError, TypeError, ValueError):
        raise ValueError(
            f'{path}: {key} must be milliseconds by size, as {{"1": 5.1}}, not {points!r}'
        ) from None
