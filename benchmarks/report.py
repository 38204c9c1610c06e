"""Results for people and for machines: the table, the JSON file, and what they were measured on."""

import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.cancel import Interruption
from benchmarks.live import LevelResult, Throughput

_PACKAGES = ("parrotfish", "hibari-tts", "numpy", "onnxruntime", "av", "uvicorn", "uvloop", "websockets")
_NAMES = {"p50": "p50", "p95": "p95", "p100": "max"}


@dataclass(frozen=True, slots=True)
class Target:
    """What a level should reach: seconds of onset at the median and at the 95th percentile, share of C100."""

    p50: float | None = None
    p95: float | None = None
    c100: float | None = None


TARGETS = {1: Target(p50=0.060, p95=0.150), 16: Target(p95=0.150, c100=0.99)}
"""By number of streams."""


@dataclass(frozen=True, slots=True)
class Results:
    """Everything one run measured."""

    options: dict[str, Any]
    machine: dict[str, Any]
    levels: list[LevelResult]
    throughput: list[Throughput]
    interruptions: list[Interruption]

    def problems(self) -> list[str]:
        """What was wrong with the audio or the server, in words; the exit status hangs on it."""
        found = [
            f"{result.level.streams} streams: {utterance.problem}: {utterance.text[:40]!r}"
            for result in self.levels
            for utterance in result.utterances
            if utterance.problem
        ]
        found += [
            f"{result.level.streams} streams: nothing began after the ramp; give it more --seconds"
            for result in self.levels
            if not result.counted
        ]
        found += [f"throughput: {one.problem}" for one in self.throughput if one.problem]
        return found + [f"cancel: {one.problem}" for one in self.interruptions if one.problem]


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "system": platform.platform(),
        "python": sys.version.split()[0],
        "packages": {name: _version(name) for name in _PACKAGES},
        "revision": _revision(),
    }


def quantile(values: Iterable[float | None], q: float) -> float | None:
    """The ``q`` quantile of those values that are there; None if there are none."""
    there = [value for value in values if value is not None]
    return float(np.quantile(there, q)) if there else None


def summary(result: LevelResult) -> dict[str, Any]:
    """A level in numbers: seconds, shares and cores."""
    counted = result.counted

    def quantiles(name: str) -> dict[str, float | None]:
        values = [getattr(utterance, name) for utterance in counted]
        return {f"p{round(q * 100)}": quantile(values, q) for q in (0.05, 0.5, 0.95, 1.0)}

    return {
        "streams": result.level.streams,
        "utterances": len(counted),
        "failed": sum(utterance.problem is not None for utterance in result.utterances),
        "mean_listeners": result.mean_listeners if result.level.listening else None,
        "mean_open": result.mean_open,
        "onset": quantiles("onset"),
        "onset_from_token": quantiles("onset_from_token"),
        "first_byte": quantiles("first_byte"),
        "underrun": quantiles("underrun"),
        "longest_wait": quantiles("longest_wait"),
        "c100": sum(utterance.patient for utterance in counted) / max(len(counted), 1),
        "audio_seconds": sum(utterance.audio_seconds or 0.0 for utterance in counted),
        "client_lag": {"p50": quantile(result.client_lag, 0.5), "p95": quantile(result.client_lag, 0.95)},
        "cores": {"server": result.server_cpu, "client": result.client_cpu, "others": result.other_cpu},
    }


def save(results: Results, path: Path) -> None:
    """Write everything, each utterance included, as JSON."""
    document = {
        "machine": results.machine,
        "options": results.options,
        "targets": {str(streams): asdict(target) for streams, target in TARGETS.items()},
        "problems": results.problems(),
        "live": [
            {
                **summary(level),
                "level": asdict(level.level),
                "each": [asdict(one) for one in level.utterances],
            }
            for level in results.levels
        ],
        "throughput": [asdict(one) for one in results.throughput],
        "cancel": [asdict(one) for one in results.interruptions],
    }
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))


def show(results: Results, console: Console) -> None:
    """Print the tables."""
    facts = results.machine
    console.print(
        f"[bold]parrotfish {facts['packages']['parrotfish']}[/] at {facts['revision']}, {facts['date']}\n"
        f"{facts['cpu']}, {facts['cores']} cores (load {facts['load_before']:.1f} before), "
        f"Python {facts['python']}",
        highlight=False,
    )
    if results.levels:
        console.print(_live_table([summary(result) for result in results.levels]))
    if results.throughput:
        factors = [one.seconds / one.audio_seconds for one in results.throughput if one.audio_seconds]
        console.print(
            f"Alone, text sent at once: real-time factor {_plain(quantile(factors, 0.5), 3)} at the median "
            f"({_plain(1 / max(quantile(factors, 0.5) or 1.0, 1e-9), 0)} times real time)"
        )
    if results.interruptions:
        console.print(_cancel_table(results.interruptions))
    for problem in results.problems():
        console.print(f"[red]problem[/] {problem}", markup=True, highlight=False)


def _live_table(levels: Sequence[dict[str, Any]]) -> Table:
    table = Table(
        title="Live, 20 tokens/s, listened to in real time; milliseconds",
        caption="What the rows mean: python -m benchmarks --help",
    )
    table.add_column("streams")
    for level in levels:
        table.add_column(str(level["streams"]), justify="right")
    targets = [TARGETS.get(level["streams"], Target()) for level in levels]

    def quantiles(title: str, name: str, *columns: str) -> None:
        for column in columns:
            table.add_row(f"{title} {_NAMES[column]}", *(_ms(level[name][column]) for level in levels))

    table.add_row("utterances", *(str(level["utterances"]) for level in levels))
    table.add_row("listening, mean", *(_plain(level["mean_listeners"], 1) for level in levels))
    table.add_row("open, mean", *(_plain(level["mean_open"], 1) for level in levels), end_section=True)
    for column in ("p50", "p95"):
        cells = [
            _against(level["onset"][column], getattr(target, column))
            for level, target in zip(levels, targets, strict=True)
        ]
        table.add_row(f"[bold]onset {column}[/]", *cells)
    quantiles("onset", "onset", "p100")
    quantiles("onset from first token", "onset_from_token", "p50", "p95")
    quantiles("first byte", "first_byte", "p50", "p95")
    table.add_section()
    shares = [_share(level["c100"], target.c100) for level, target in zip(levels, targets, strict=True)]
    table.add_row("[bold]C100[/]", *shares)
    quantiles("longest wait", "longest_wait", "p95", "p100")
    quantiles("all waits", "underrun", "p95", "p100")
    table.add_section()
    for name in ("server", "client", "others"):
        table.add_row(f"cores used, {name}", *(_plain(level["cores"][name], 2) for level in levels))
    table.add_row("client lag p95", *(_ms(level["client_lag"]["p95"]) for level in levels))
    return table


def _cancel_table(interruptions: Sequence[Interruption]) -> Table:
    table = Table(title=f"Hang up in mid-speech, call again ({len(interruptions)} times); milliseconds")
    for name in ("", "p50", "p95", "max"):
        table.add_column(name, justify="right" if name else "left")
    rows = {
        "slot free after hanging up": [one.freed for one in interruptions],
        "next sentence heard, from dialling": [one.next_sound for one in interruptions],
        "next sentence heard, from sending it": [one.next_onset for one in interruptions],
    }
    for name, values in rows.items():
        table.add_row(name, *(_ms(quantile(values, q)) for q in (0.5, 0.95, 1.0)))
    return table


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.0f}"


def _plain(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _against(seconds: float | None, target: float | None) -> str:
    if seconds is None or target is None:
        return _ms(seconds)
    return f"(≤ {_ms(target)}) [{'green' if seconds <= target else 'red'}]{_ms(seconds)}[/]"


def _share(share: float, target: float | None) -> str:
    if target is None:
        return f"{share:.1%}"
    return f"(≥ {target:.0%}) [{'green' if share >= target else 'red'}]{share:.1%}[/]"


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _revision() -> str | None:
    """The commit that is checked out, marked if the tree differs from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
