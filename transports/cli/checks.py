"""What the doctor finds without speaking: what is installed, and what machine this is."""

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import av
from av.codec.codec import UnknownCodecError

from transports.settings import Settings
from transports.version import VERSION

_GIB = 1024**3
_NEEDED_GIB = 1.0
_S2_GIB = 12.0  # 9.9 for weights, the rest for the KV cache of a few streams
_BFLOAT16_SINCE = 8  # compute capability


class State(StrEnum):
    """How a check came out."""

    OK = "ok"
    NOTE = "note"  # works, but somebody may want to know
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, what was found, and what to do about it unless it is well.

    ``value`` is the number in what was found, for programs: seconds, LUFS, GiB, or a ratio.
    """

    name: str
    state: State
    found: str
    advice: str = ""
    value: float | None = None


def installation(*, s2: bool = False) -> Iterator[Check]:
    """The software; with ``s2`` also what an S2 model needs."""
    yield Check("parrotfish", State.OK, VERSION)
    yield Check("Python", State.OK, f"{platform.python_version()} on {platform.platform()}")
    libraries = ", ".join(
        f"{name} {'.'.join(map(str, av.library_versions[name]))}"
        for name in ("libavcodec", "libavformat", "libswresample")
    )
    yield Check("PyAV", State.OK, f"{av.__version__} with FFmpeg's {libraries}")
    for codec, container in (("libopus", "opus"), ("libmp3lame", "mp3")):
        yield _encoder(codec, container)
    yield from (_package("onnxruntime"), _package("hibari-tts"))
    if s2:
        yield from (_package(name, "'parrotfish[s2]'") for name in ("safetensors", "tokenizers"))
    yield from torch_checks(s2=s2)


def machine() -> Iterator[Check]:
    """The hardware, and whether the port is free."""
    yield Check("CPU", State.OK, f"{_cores()} cores for this process")
    available = _available_gib()
    if available is not None:
        yield Check(
            "memory",
            State.OK if available >= _NEEDED_GIB else State.NOTE,
            f"{available:.1f} GiB available",
            "" if available >= _NEEDED_GIB else f"end something else; {_NEEDED_GIB:g} GiB is comfortable",
            available,
        )
    yield _gpu_driver()
    yield port_check(Settings().host, Settings().port)


def _package(name: str, requirement: str | None = None) -> Check:
    try:
        return Check(name, State.OK, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Check(name, State.FAILED, "not installed", f"pip install {requirement or name}")


def _encoder(codec: str, container: str) -> Check:
    name = f"{codec} encoder"
    try:
        av.Codec(codec, "w")
    except UnknownCodecError:
        advice = f"{container} cannot be written; pip install --force-reinstall av"
        return Check(name, State.FAILED, "missing from PyAV's FFmpeg", advice)
    return Check(name, State.OK, f"writes {container}")


def torch_checks(*, s2: bool = False) -> Iterator[Check]:
    """torch and the devices that it sees; with ``s2`` these are needed."""
    wanting = State.FAILED if s2 else State.NOTE
    if importlib.util.find_spec("torch") is None:
        found = "not installed; only S2 models need it"
        yield (
            Check("torch", State.FAILED, found, "pip install 'parrotfish[s2]'")
            if s2
            else Check("torch", State.OK, found)
        )
        return
    try:
        torch = importlib.import_module("torch")  # untyped, since it need not be there
    except Exception as error:
        advice = "pip install --force-reinstall torch, or pip uninstall torch if nothing needs it"
        yield Check("torch", wanting, f"installed, but: {error}", advice)
        return
    devices = torch.cuda.device_count()
    yield Check("torch", State.OK, f"{torch.__version__}, {devices or 'no'} CUDA device{'s'[: devices != 1]}")
    for index in range(devices):
        yield _cuda_device(torch, index)
    if s2 and not devices:
        advice = "take a machine with a GPU of at least 12 GiB, unless the model is a small one"
        yield Check(
            "GPU", State.NOTE, "none that torch could use; S2-Pro on a CPU is far from real time", advice
        )


def _cuda_device(torch: Any, index: int) -> Check:
    name, device = f"cuda:{index}", torch.cuda.get_device_properties(index)
    memory = device.total_memory / _GIB
    triton = importlib.util.find_spec("triton") is not None
    found = (
        f"{device.name}, {memory:.0f} GiB, compute capability {device.major}.{device.minor}; CUDA graphs, "
        f"{'Triton' if triton else 'no Triton'}"
    )
    if memory < _S2_GIB:
        advice = f"S2-Pro needs about {_S2_GIB:g} GiB: take a larger GPU"
    elif device.major < _BFLOAT16_SINCE:
        advice = "bfloat16 is slow before compute capability 8.0: --dtype float32, if the memory is enough"
    elif not triton:
        advice = "pip install triton: attention is slower without"
    else:
        return Check(name, State.OK, found, value=memory)
    return Check(name, State.NOTE, found, advice, memory)


def _gpu_driver() -> Check:
    program = shutil.which("nvidia-smi")
    if program is None:
        return Check("GPU driver", State.OK, "none; the bundled voice runs on the CPU")
    query = [program, "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        return Check("GPU driver", State.NOTE, str(error), "run nvidia-smi and see what it says")
    return Check("GPU driver", State.OK, "; ".join(answer.stdout.strip().splitlines()))


def port_check(host: str, port: int) -> Check:
    """Whether a server could listen there."""
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        advice = f"parrotfish serve --port {port + 1}, unless it is a parrotfish already"
        return Check(f"port {port}", State.NOTE, error.strerror or str(error), advice)
    return Check(f"port {port}", State.OK, "free")


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _available_gib() -> float | None:
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / _GIB
    except (ValueError, OSError):
        return None
