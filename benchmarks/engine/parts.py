"""Where a frame's time goes: its parts run one by one, and the whole through the model."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from statistics import median

import torch
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks.engine.machine import milliseconds
from benchmarks.engine.rig import Rig
from benchmarks.engine.setting import Setting
from benchmarks.engine.step import Told
from benchmarks.texts import TEXTS
from engine.errors import SpeechError
from engine.models.base import SpeechModel
from engine.models.dual_ar.vocoder import PIECES
from engine.speech import Frame, Sampling, Segment, StreamId, StreamOptions

_CALLS = 20
_PROFILED = 5  # frames
_TOP = 15
_WARM_UPS = 4
_STRIDE = 997  # characters between the beginnings of two texts
_ROUNDS = 6  # of as many steps as the largest piece has frames; a random model's speech is over after some 80


@dataclass(frozen=True, slots=True)
class PartsResult:
    """Milliseconds of a frame of ``batch`` streams, part by part, each run alone and without a break.

    ``slow`` with its head, ``fast`` with nothing to choose, ``sampling`` of all codes, ``codec`` of a frame when
    it decodes the largest piece at once; ``codec_single`` when one frame. ``draw`` is a first frame, without the
    slow step: head, fast transformer and draws.
    """

    batch: int
    slow: float
    fast: float
    sampling: float
    codec: float
    codec_single: float
    draw: float

    @property
    def sum(self) -> float:
        """All that a frame needs."""
        return self.slow + self.fast + self.sampling + self.codec


@dataclass(frozen=True, slots=True)
class WholeResult:
    """Milliseconds of a step of the whole model, codec and host included."""

    batch: int
    ms: float


@dataclass(frozen=True, slots=True)
class Profile:
    """A decode step as a profiler sees it: ``kernels`` are calls, ``busy_ms`` the sum of their times.

    ``top`` are the costliest, each with its calls and milliseconds in a step. On a CPU these are operations.
    """

    batch: int
    kernels: int
    busy_ms: float
    top: tuple[tuple[str, float, float], ...]


def measure_parts(rig: Rig, batch: int, told: Told) -> PartsResult:
    """The parts of a frame of so many streams."""
    told(f"batch {batch}: parts")
    with rig.contexts(batch) as slots:
        rows = rig.upload(slots)

        def alone(part: Callable[..., torch.Tensor]) -> float:
            captured = rig.captured(part)
            return milliseconds(rig.lane, lambda: captured(rows), calls=_CALLS)

        return PartsResult(
            batch,
            slow=alone(rig.slow_at(rig.setting.context)),
            fast=alone(rig.fast_loop),
            sampling=alone(rig.sampling),
            codec=_codec(rig, batch, PIECES[0]) / PIECES[0],
            codec_single=_codec(rig, batch, 1),
            draw=alone(rig.draw),
        )


def position_ms(rig: Rig, told: Told) -> float:
    """Milliseconds that a thousand positions more cost a step, all streams together; 0 if it cannot be seen."""
    batch, context = rig.setting.largest, rig.setting.context
    near = max(context // 4, 1)
    told(f"batch {batch}: the price of a position")
    with rig.contexts(batch) as slots:
        rows = rig.upload(slots)
        times = []
        for at in (near, context):
            step = rig.captured(rig.slow_at(at))
            times.append(milliseconds(rig.lane, lambda step=step: step(rows), calls=_CALLS))  # type: ignore[misc]
    return max(0.0, 1000 * (times[1] - times[0]) / max(1, batch * (context - near)))


def profile_steps(rig: Rig, told: Told) -> list[Profile]:
    """Which kernels the smallest and the largest batch run."""
    return [_profile(rig, batch, told) for batch in sorted({min(rig.setting.batches), rig.setting.largest})]


def _codec(rig: Rig, batch: int, frames: int) -> float:
    return milliseconds(rig.lane, rig.codec(batch, frames), calls=_CALLS)


def measure_whole(model: SpeechModel, batch: int, setting: Setting, told: Told) -> WholeResult:
    """Steps of the model itself, all streams speaking; their codec decodes the largest pieces."""
    streams = [StreamId(-1000 - number) for number in range(batch)]
    options = StreamOptions((model.info.default_voice,), sampling=Sampling(seed=setting.seed), paced=False)
    texts = _long_texts(setting.context, setting.seed)

    def say(stream: StreamId) -> None:
        model.prefill(stream, Segment(next(texts)), options)

    told(f"batch {batch}: the whole model")
    for stream in streams:
        say(stream)
        while not _spoke(model, [stream], say):
            pass
    for _ in range(_WARM_UPS):
        _spoke(model, streams, say)
    took = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        for _ in range(PIECES[0]):
            _spoke(model, streams, say)
        took.append((time.perf_counter() - started) / PIECES[0])
    for stream in streams:
        model.release(stream)
    return WholeResult(batch, 1e3 * median(took))


def _spoke(model: SpeechModel, streams: Sequence[StreamId], say: Callable[[StreamId], None]) -> bool:
    """One step; whether there was anything to hear. Who is at the end begins anew."""
    heard = False
    for stream, outcome in zip(streams, model.step(streams), strict=True):
        if not isinstance(outcome, Frame):
            model.release(stream)
        if isinstance(outcome, SpeechError) or outcome.last:
            say(stream)
        else:
            heard = heard or len(outcome.pcm) > 0
    return heard


def _long_texts(length: int, seed: int) -> Iterator[str]:
    """Texts of so many characters, each another one."""
    everything = " ".join(TEXTS)
    for number in count(seed):
        start = (number * _STRIDE) % len(everything)
        yield (everything[start:] + " " + everything)[:length]


def _profile(rig: Rig, batch: int, told: Told) -> Profile:
    told(f"batch {batch}: profile")
    cuda = rig.setting.cuda
    activity = ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU
    with rig.contexts(batch) as slots:
        rows = rig.upload(slots)
        decode = rig.captured(rig.decode)
        milliseconds(rig.lane, lambda: decode(rows), calls=1)
        with profile(activities=[activity]) as profiler:
            with rig.lane.work():
                for _ in range(_PROFILED):
                    decode(rows)
            rig.lane.finish()
    wanted = DeviceType.CUDA if cuda else DeviceType.CPU
    found = [row for row in profiler.key_averages() if row.device_type == wanted]
    timed = [
        (row.key, row.count, row.self_device_time_total if cuda else row.self_cpu_time_total) for row in found
    ]
    timed.sort(key=lambda row: -row[2])
    return Profile(
        batch,
        kernels=round(sum(calls for _, calls, _ in timed) / _PROFILED),
        busy_ms=sum(micros for *_, micros in timed) / _PROFILED / 1e3,
        top=tuple(
            (name[:80], calls / _PROFILED, micros / _PROFILED / 1e3) for name, calls, micros in timed[:_TOP]
        ),
    )
