"""Results for people and for machines: the table, and the JSON file."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.cancel import Cancellation, Interruption
from benchmarks.live import LevelResult, Throughput
from benchmarks.loop import Load
from benchmarks.text_cost import TOKEN_LENGTH, TextCost
from benchmarks.texts import NO_COMMA

_NAMES = {"p50": "p50", "p95": "p95", "p100": "max"}


@dataclass(frozen=True, slots=True)
class Target:
    """What a level should reach: seconds of onset at the median and at the 95th percentile, share of C100."""

    p50: float | None = None
    p95: float | None = None
    c100: float | None = None


TARGETS = {1: Target(p50=0.060, p95=0.150), 16: Target(p95=0.150, c100=0.99)}
"""By number of streams."""

TOKEN_SECONDS = 50e-6
"""What a token may cost on its way to the engine, on average."""

BLOCK_SECONDS = 0.005
"""How long the event loop may be busy with one thing while a very long text comes in."""

FRAME_SECONDS = 0.1
"""How long audio may go on after a cancel: one frame of the bundled voice."""

NO_COMMA_TARGET = 16
"""The number of streams at which the sentence without a comma has a target of its own."""


@dataclass(frozen=True, slots=True)
class Results:
    """Everything one run measured."""

    options: dict[str, Any]
    machine: dict[str, Any]
    levels: list[LevelResult] = field(default_factory=list)
    throughput: list[Throughput] = field(default_factory=list)
    interruptions: list[Interruption] = field(default_factory=list)
    cancellations: list[Cancellation] = field(default_factory=list)
    texts: list[TextCost] = field(default_factory=list)
    growth: list[TextCost] = field(default_factory=list)
    loads: list[Load] = field(default_factory=list)

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
        found += [f"text, {one.name}: {one.problem}" for one in self.texts + self.growth if one.problem]
        found += [f"loop, {one.name}: {one.problem}" for one in self.loads if one.problem]
        found += [f"hanging up: {one.problem}" for one in self.interruptions if one.problem]
        return found + [
            f"cancel after {one.after * 1000:.0f} ms: {one.problem}"
            for one in self.cancellations
            if one.problem
        ]


def quantile(values: Iterable[float | None], q: float) -> float | None:
    """The ``q`` quantile of those values that are there; None if there are none."""
    there = [value for value in values if value is not None]
    return float(np.quantile(there, q)) if there else None


def summary(result: LevelResult) -> dict[str, Any]:
    """A level in numbers: seconds, shares and cores."""
    counted = result.counted

    def quantiles(name: str, text: str | None = None) -> dict[str, float | None]:
        values = [getattr(utterance, name) for utterance in counted if text in (None, utterance.text)]
        return {f"p{round(q * 100)}": quantile(values, q) for q in (0.05, 0.5, 0.95, 1.0)}

    return {
        "streams": result.level.streams,
        "utterances": len(counted),
        "failed": sum(utterance.problem is not None for utterance in result.utterances),
        "mean_listeners": result.mean_listeners if result.level.listening else None,
        "mean_open": result.mean_open,
        "onset": quantiles("onset"),
        "onset_no_comma": quantiles("onset", NO_COMMA),
        "utterances_no_comma": sum(utterance.text == NO_COMMA for utterance in counted),
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
        "targets": {
            **{str(streams): asdict(target) for streams, target in TARGETS.items()},
            "token": TOKEN_SECONDS,
            "block": BLOCK_SECONDS,
            "cancel": FRAME_SECONDS,
        },
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
        "cancel_event": [asdict(one) for one in results.cancellations],
        "text": [asdict(one) for one in results.texts],
        "text_growth": [asdict(one) for one in results.growth],
        "loop": [asdict(one) for one in results.loads],
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
    if results.texts:
        console.print(_text_table(results.texts, results.growth))
    if results.loads:
        console.print(_loop_table(results.loads))
    if results.levels:
        console.print(_live_table([summary(result) for result in results.levels]))
    if results.throughput:
        factors = [one.seconds / one.audio_seconds for one in results.throughput if one.audio_seconds]
        console.print(
            f"Alone, text sent at once: real-time factor {_plain(quantile(factors, 0.5), 3)} at the median "
            f"({_plain(1 / max(quantile(factors, 0.5) or 1.0, 1e-9), 0)} times real time)"
        )
    if results.interruptions:
        console.print(_hang_up_table(results.interruptions))
    if results.cancellations:
        console.print(_cancel_table(results.cancellations))
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
    cells = [
        _against(level["onset_no_comma"]["p95"], target.p95 if level["streams"] == NO_COMMA_TARGET else None)
        for level, target in zip(levels, targets, strict=True)
    ]
    table.add_row("onset p95, 40 words, no comma", *cells)
    table.add_row("  of utterances", *(str(level["utterances_no_comma"]) for level in levels))
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


def _text_table(texts: Sequence[TextCost], growth: Sequence[TextCost]) -> Table:
    table = Table(
        title=f"Text until the engine is given it, a token of {TOKEN_LENGTH} characters, one core; microseconds",
        caption="Below: tokens far ahead of the voice",
    )
    for name in ("", "tokens", "lines", "p50", "p99", "max", "mean"):
        table.add_column(name, justify="right" if name else "left")
    for group, target in ((texts, TOKEN_SECONDS), (growth, None)):
        for one in group:
            times = [f"{value * 1e6:.0f}" for value in (one.p50, one.p99, one.longest)]
            mean = _against(one.mean, target, _us)
            table.add_row(one.name, str(one.tokens), str(one.lines), *times, mean)
        table.add_section()
    return table


def _loop_table(loads: Sequence[Load]) -> Table:
    table = Table(
        title="The event loop; milliseconds",
        caption="block: processor time at a stretch. late: the loop's beats. /health: beyond its median without "
        "load. Both have the machine's own noise in them: see no load, and the asker.",
    )
    columns = ("", "block", "late p99", "max", "/health p99", "max", "asker max")
    for index, name in enumerate(columns):
        table.add_column(name, justify="right" if index else "left")
    for index, one in enumerate(loads):
        table.add_row(
            one.name,
            _against(one.block, BLOCK_SECONDS if index else None, _fine),
            *map(_fine, (one.late_p99, one.late_longest, one.p99, one.longest, one.own_longest)),
        )
    return table


def _hang_up_table(interruptions: Sequence[Interruption]) -> Table:
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


def _cancel_table(cancellations: Sequence[Cancellation]) -> Table:
    early = sum(not one.speaking for one in cancellations)
    late = sum(one.last_audio is not None for one in cancellations)
    table = Table(
        title=f"cancel in mid-speech ({len(cancellations)} times, {early} before the first audio); milliseconds",
        caption=f"Audio still came after {late} of them, and after none of cancelled unless a problem says so",
    )
    for name in ("from sending cancel", "p50", "p99", "max"):
        table.add_column(name, justify="left" if "cancel" in name else "right")
    rows: dict[str, list[float | None]] = {
        "last audio, 0 if none came": [one.last_audio or 0.0 for one in cancellations],
        "cancelled": [one.cancelled for one in cancellations],
        "no longer speaking": [one.quiet for one in cancellations],
        "slot free": [one.freed for one in cancellations],
    }
    for index, (name, values) in enumerate(rows.items()):
        p50, p99, longest = (quantile(values, q) for q in (0.5, 0.99, 1.0))
        table.add_row(
            name, _fine(p50), _against(p99, None if index else FRAME_SECONDS, _fine), _fine(longest)
        )
    return table


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.0f}"


def _plain(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _fine(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.1f}"


def _us(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1e6:.1f}"


def _against(seconds: float | None, target: float | None, show: Callable[[float | None], str] = _ms) -> str:
    if seconds is None or target is None:
        return show(seconds)
    return f"(≤ {show(target)}) [{'green' if seconds <= target else 'red'}]{show(seconds)}[/]"


def _share(share: float, target: float | None) -> str:
    if target is None:
        return f"{share:.1%}"
    return f"(≥ {target:.0%}) [{'green' if share >= target else 'red'}]{share:.1%}[/]"
