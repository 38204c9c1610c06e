"""Figures of several servers as tables for a terminal."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from transports.top.figures import Figures

_NOTHING = "–"
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class View:
    """A server as it was seen last: its ``figures``, or why there are none."""

    url: str
    figures: Figures | None
    problem: str = ""


def show(views: Sequence[View]) -> RenderableType:
    """A column for each server, and beneath a row for each transport of each."""
    return Group(_servers(views), Text(), _transports(views))


def _servers(views: Sequence[View]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for view in views:
        table.add_column(Text(view.url), justify="right", overflow="fold")
    table.add_row("state", *(_state(view) for view in views))
    for name, cell in _ROWS:
        table.add_row(name, *(_NOTHING if view.figures is None else cell(view.figures) for view in views))
    return table


def _transports(views: Sequence[View]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    several = len(views) > 1
    if several:
        table.add_column("server", overflow="fold")
    table.add_column("transport")
    for name in ("streams", "ended", "failed", "refused", "onset", "p95", "1st byte", "underruns", "waited"):
        table.add_column(name, justify="right")
    for view in views:
        for one in view.figures.transports if view.figures else ():
            table.add_row(
                *([Text(view.url)] if several else []),
                one.transport,
                str(one.streams),
                str(one.ended),
                _alarming(one.failed),
                _alarming(one.refused),
                _time(one.onset_p50),
                _time(one.onset_p95),
                _time(one.first_byte_p95),
                _alarming(one.underruns),
                _time(one.underrun_seconds or None),
            )
    return table


def _state(view: View) -> Text:
    if view.figures is None:
        return Text(view.problem, style="red")
    return Text(view.figures.state, style="green" if view.figures.state == "ready" else "yellow")


def _alarming(count: int) -> Text:
    return Text(str(count), style="red" if count else "")


def _time(seconds: float | None) -> str:
    if seconds is None:
        return _NOTHING
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _share(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.0%}"


def _number(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:.2f}"


def _workers(figures: Figures) -> str:
    restarted = f", {figures.restarts} restarted" if figures.restarts else ""
    return f"{figures.workers_up} of {figures.workers}{restarted}"


def _connections(figures: Figures) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in figures.connections.items() if count) or _NOTHING


_ROWS: list[tuple[str, Callable[[Figures], str]]] = [
    ("over", lambda one: "its life" if one.seconds is None else f"{one.seconds:.0f} s"),
    ("model", lambda one: one.model or _NOTHING),
    ("streams open", lambda one: str(one.open)),
    ("speaking / limit", lambda one: f"{one.speaking} / {one.limit}"),
    ("waiting", lambda one: str(one.waiting)),
    ("workers up", _workers),
    ("connections", _connections),
    ("real-time factor", lambda one: _number(one.rtf)),
    ("step p95", lambda one: _time(one.step_p95)),
    ("streams a step", lambda one: _number(one.batch_mean)),
    ("pages used", lambda one: _share(one.pages_used)),
    ("prefix hits", lambda one: _share(one.prefix_hits)),
    ("cancel p95", lambda one: _time(one.cancel_p95)),
    ("ASR p95", lambda one: _time(one.asr_p95)),
    ("LLM token p95", lambda one: _time(one.llm_p95)),
    ("turn p95", lambda one: _time(one.turn_p95)),
    ("loop lag p99", lambda one: _time(one.lag_p99)),
    ("CPU cores", lambda one: _number(one.cpu)),
    ("memory", lambda one: _NOTHING if one.memory_bytes is None else f"{one.memory_bytes / _MIB:.0f} MiB"),
    ("version", lambda one: one.version),
]
