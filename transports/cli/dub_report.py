"""What became of a dub, for people and for programs."""

from pathlib import Path
from typing import get_args

import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from realtime.dubbing import LineReport, Outcome
from transports.dubbing.fields import line_fields

_WIDTH = 110  # of a table that nobody reads on a terminal
_HEADINGS = ("asked", "heard", "late", "speed", "trimmed")


def as_json(file: Path, output: Path, reports: list[LineReport], seconds: float) -> bytes:
    """The report of a dubbed file, for programs."""
    lines = [{**line_fields(report), "text": report.caption.text} for report in reports]
    fields = {"file": str(file), "output": str(output), "seconds": round(seconds, 3), **_summary(reports)}
    return orjson.dumps({**fields, "lines": lines}, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _summary(reports: list[LineReport]) -> dict[str, object]:
    drifts = [report.drift for report in reports if report.drift is not None]
    return {
        "max_drift": round(max(drifts, default=0.0), 3),
        "max_speed": round(max((report.speed for report in reports), default=1.0), 3),
        "late": sum(drift > 0.05 for drift in drifts),
        **{kind: sum(report.outcome == kind for report in reports) for kind in get_args(Outcome)},
    }


def show(output: Path, reports: list[LineReport], seconds: float) -> None:
    """The report for somebody at a terminal, or whoever reads our stdout."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH
    table = Table(box=None, pad_edge=False)
    rows = [_row(report) for report in reports]
    for heading, cells in zip(_HEADINGS, zip(*rows, strict=True), strict=True):
        width = max(map(len, (heading, *cells)))
        table.add_column(heading, justify="right", no_wrap=True, min_width=width)
    table.add_column("line", overflow="ellipsis", no_wrap=True, ratio=1)
    for report, row in zip(reports, rows, strict=True):
        style = "yellow" if report.outcome in ("cut", "missed") else ""
        table.add_row(*row, escape(report.caption.text), style=style)
    console.print(table)
    summary = _summary(reports)
    console.print(
        f"{output}: {seconds:.1f} s, {len(reports)} lines, at most {summary['max_drift']} s late and "
        f"{summary['max_speed']} times as fast; {summary['cut']} cut, {summary['missed']} missed",
        markup=False,
        soft_wrap=True,
    )


def _row(report: LineReport) -> tuple[str, ...]:
    asked = f"{_clock(report.caption.start)} - {_clock(report.caption.end)}"
    if report.start is None or report.end is None:
        return asked, report.outcome, "", "", ""
    heard = f"{_clock(report.start)} - {_clock(report.end)}" + (" cut" if report.outcome == "cut" else "")
    return asked, heard, f"{report.drift:.2f}", f"{report.speed:.2f}", f"{report.trimmed:.2f}"


def _clock(seconds: float) -> str:
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths // 10 % 60:02}.{tenths % 10}"
