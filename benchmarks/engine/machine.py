"""What a run was measured on, and how fast that is at best."""

import os
import platform
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch

from benchmarks.engine.floor import Speed
from benchmarks.machine import cores, cpu_model, version
from engine.models.lane import Lane

_READ_ON_CUDA, _READ_ON_CPU = 4 << 30, 128 << 20  # bytes: far more than any cache holds
_SIDE_ON_CUDA, _SIDE_ON_CPU = 8192, 1024  # of the matrices whose product shows the peak
_TRIES_ON_CUDA, _TRIES_ON_CPU = 50, 10  # a GPU that was idle needs a while until its clocks are up
_WARM_UPS = 3


def milliseconds(lane: Lane, run: Callable[[], object], *, calls: int) -> float:
    """The median time of one of ``calls`` calls that follow one another without a break.

    On CUDA it is the device's time, between events that are recorded around each; the host waits at the end only.
    Where the host takes longer to launch a call than the device to do it, that is what is measured.
    """
    with lane.work():
        for _ in range(_WARM_UPS):
            run()
    lane.finish()
    if lane.device.type == "cuda":
        marks = [torch.cuda.Event(enable_timing=True) for _ in range(calls + 1)]  # type: ignore[no-untyped-call]
        with lane.work():
            marks[0].record()
            for mark in marks[1:]:
                run()
                mark.record()
        lane.finish()
        return float(median(before.elapsed_time(after) for before, after in pairwise(marks)))
    times = [perf_counter()]
    with lane.work():
        for _ in range(calls):
            run()
            times.append(perf_counter())
    return 1e3 * median(after - before for before, after in pairwise(times))


def speed(device: torch.device, dtype: torch.dtype) -> Speed:
    """The bandwidth of a large copy or sum, whichever is faster, and the operations of a large product."""
    lane = Lane(device)
    if device.type == "cuda":
        size = min(_READ_ON_CUDA, torch.cuda.mem_get_info(device)[0] // 4)
        side, tries = _SIDE_ON_CUDA, _TRIES_ON_CUDA
    else:
        size, side, tries = _READ_ON_CPU, _SIDE_ON_CPU, _TRIES_ON_CPU
    with lane.work():
        source = torch.ones(size // 4, device=device)
        target = torch.empty_like(source)
    copied = 2 * source.nbytes / milliseconds(lane, partial(target.copy_, source), calls=tries)
    read = source.nbytes / milliseconds(lane, source.sum, calls=tries)
    del source, target
    with lane.work():
        # Of random numbers: the product of zeros takes less power, and so less time.
        left, right = (torch.randn((side, side), device=device).to(dtype) for _ in range(2))
    product = 2 * side**3 / milliseconds(lane, partial(torch.mm, left, right), calls=tries)
    del left, right
    release(device)
    return Speed(bandwidth=1e3 * max(copied, read), peak=1e3 * product)


def forget_peak(device: torch.device) -> None:
    """Let :func:`peak_bytes` begin anew, where that can be."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_bytes(device: torch.device) -> int:
    """The most memory that tensors took on a GPU since :func:`forget_peak`; on a CPU, this process ever."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def release(device: torch.device) -> None:
    """Give memory that no tensor needs any more back to the device."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def facts(device: torch.device) -> dict[str, Any]:
    """What the numbers were measured on."""
    cuda = device.type == "cuda"
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": _told("git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"),
        "device": torch.cuda.get_device_name(device) if cuda else cpu_model(),
        "driver": _told("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
        if cuda
        else None,
        "cuda": torch.version.cuda if cuda else None,
        "capability": list(torch.cuda.get_device_capability(device)) if cuda else None,
        "memory_bytes": torch.cuda.get_device_properties(device).total_memory if cuda else None,
        "cpu": cpu_model(),
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "load_before": os.getloadavg()[0],
        "torch": torch.__version__,
        "triton": version("triton"),
        "python": sys.version.split()[0],
        "system": platform.platform(),
    }


def _told(program: str, *arguments: str) -> str | None:
    """What a program prints, its first line; None if it cannot be asked."""
    path = shutil.which(program)
    if path is None:
        return None
    try:
        done = subprocess.run([path, *arguments], capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return None
    return next(iter(done.stdout.splitlines()), None)
