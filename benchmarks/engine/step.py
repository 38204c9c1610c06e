"""A frame of a batch: how long it takes in the engine's batcher, and on the device alone."""

import gc
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from benchmarks.engine.floor import Speed
from benchmarks.engine.machine import forget_peak, milliseconds, peak_bytes
from benchmarks.engine.rig import PREFILLS, Rig

_WARM_UPS = 3
_READS = 5
_DEVICE_CALLS = 30

Told = Callable[[str], None]
"""Called with what is being done."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """A decode step of ``batch`` streams at ``context`` positions, all draws included, without the codec.

    ``ms`` is the time from one step's end to the next one's, through the batcher, with all that the host does;
    ``device_ms`` that of the same step repeated on the device alone; ``launch_ms`` what the host takes to launch
    one. ``peak_bytes`` is the most memory that was taken by then: on a GPU, by tensors.
    """

    batch: int
    context: int
    ms: float
    device_ms: float
    launch_ms: float
    floor_ms: float
    rtf: float
    frames_per_second: float
    tokens_per_second: float
    peak_bytes: int

    @property
    def ratio(self) -> float:
        """How many times the floor it takes."""
        return self.ms / self.floor_ms


@dataclass(frozen=True, slots=True)
class PrefillResult:
    """A prompt of one stream: ``read_ms`` the pass over it on the device, ``first_frame_ms`` from its beginning
    in the batcher to its first frame's codes on the host.
    """

    positions: int
    read_ms: float
    first_frame_ms: float
    floor_ms: float


def measure_step(rig: Rig, batch: int, speed: Speed, told: Told) -> StepResult:
    """A step of so many streams."""
    setting = rig.setting
    told(f"batch {batch}: contexts of {setting.context} positions")
    forget_peak(setting.device)
    with rig.contexts(batch) as slots:
        told(f"batch {batch}: steps")
        rig.steps(slots, _WARM_UPS)
        gc.collect()
        steps = rig.steps(slots, setting.steps)
        rows = rig.upload(slots)
        decode = rig.captured(rig.decode)
        device_ms = milliseconds(rig.lane, lambda: decode(rows), calls=min(setting.steps, _DEVICE_CALLS))
    seconds = median(step.took for step in steps)
    return StepResult(
        batch=batch,
        context=setting.context,
        ms=1e3 * seconds,
        device_ms=device_ms,
        launch_ms=1e3 * median(step.launched for step in steps),
        floor_ms=1e3 * rig.floor.decode(speed, batch, setting.context),
        rtf=seconds / rig.frame_seconds,
        frames_per_second=batch / seconds,
        tokens_per_second=batch * rig.config.codebooks / seconds,
        peak_bytes=peak_bytes(setting.device),
    )


def measure_prefills(rig: Rig, speed: Speed, told: Told) -> list[PrefillResult]:
    """Prompts of the usual lengths, of which nothing is cached."""
    results = []
    for positions in PREFILLS:
        told(f"reading {positions} positions")
        took = []
        for turn in range(1 + _READS):
            rig.batcher.free(0)
            seconds = rig.read(0, rig.rows(positions))
            if turn:
                took.append(seconds)
        read_ms = milliseconds(rig.lane, rig.read_alone(positions), calls=_READS)
        rig.batcher.free(0)
        floor_ms = 1e3 * rig.floor.prefill(speed, positions)
        results.append(PrefillResult(positions, read_ms, 1e3 * median(took), floor_ms))
    return results
