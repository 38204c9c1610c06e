"""Results for people and for machines: tables, the JSON files, the picture."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.engine.first import FirstResult
from benchmarks.engine.live import PATIENCE
from benchmarks.engine.results import Results

ONSET_TARGET, C100_TARGET = 0.150, 0.99

_PARTS = ("slow", "fast", "sampling", "codec", "gaps")
_KERNELS = 4  # of a profile that are printed


def show(results: Results, console: Console) -> None:
    """A table for each section that was measured."""
    machine = results.machine
    console.print(
        f"\n[bold]{machine['device']}[/], torch {machine['torch']}, {machine['date']}, {machine['revision']}",
        highlight=False,
    )
    if results.speed:
        console.print(
            f"bandwidth {results.speed.bandwidth / 1e12:.3g} TB/s, "
            f"products {results.speed.peak / 1e12:.3g} TFLOP/s",
            highlight=False,
        )
    for line in results.model:
        console.print(line, highlight=False)
    if not results.setting.cuda:
        console.print("[yellow]No GPU: this proves that everything runs, not how fast it is.[/]")
    for table in (_launches(results), _steps(results), _prefills(results), _shares(results)):
        if table.row_count:
            console.print(table)
    for one in results.profiles:
        top = "; ".join(f"{name[:40]} {ms:.3f} ms in {calls:.0f}" for name, calls, ms in one.top[:_KERNELS])
        console.print(
            f"batch {one.batch}: {one.kernels} {'kernels' if results.setting.cuda else 'operations'} a step, "
            f"{one.busy_ms:.2f} ms: {top}",
            highlight=False,
            markup=False,
        )
    for table in (_first(results), _live(results)):
        if table.row_count:
            console.print(table)
    for section, reason in results.failed.items():
        console.print(f"[red]{section} failed:[/] {escape(reason)}", highlight=False)
    for level in results.live:
        for problem, count in level.problems.items():
            console.print(f"{level.listeners} listeners: {count} × {problem}", markup=False)


def save(results: Results, folder: Path) -> list[Path]:
    """``engine.json`` with everything, and what the simulation takes as ``--costs``."""
    facts = results.as_dict()
    paths = [folder / "engine.json"]
    paths[0].write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    if facts["costs"]:
        paths.append(folder / "engine-costs.json")
        paths[1].write_text(json.dumps(facts["costs"], indent=2) + "\n", encoding="utf-8")
    return paths


def draw(results: Results, path: Path) -> bool:
    """A frame against its floor, onset and C100 over the batch; False if none of these was measured.

    Raises ImportError without matplotlib.
    """
    if not results.steps and not results.live:
        return False
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import PercentFormatter

    figure, (frame, onset, c100) = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")
    batches = [one.batch for one in results.steps]
    if results.steps:
        frame.plot(batches, [one.ms for one in results.steps], marker="o", label="a step in the batcher")
        frame.plot(batches, [one.device_ms for one in results.steps], marker=".", label="on the device")
        frame.plot(batches, [one.floor_ms for one in results.steps], "k:", label="floor")
    if results.whole:
        frame.plot(
            [one.batch for one in results.whole],
            [one.ms for one in results.whole],
            marker="s",
            label="the model, with its codec",
        )
    if results.steps or results.whole:
        frame.legend()
    heard = [one for one in results.live if one.onset]
    listeners = [one.listeners for one in heard]
    if heard:
        for name in ("p50", "p95"):
            onset.plot(listeners, [1e3 * one.onset[name] for one in heard], marker="o", label=name)
        onset.legend()
        c100.plot(listeners, [one.c100 for one in heard], marker="o")
    onset.axhline(1e3 * ONSET_TARGET, color="grey", linestyle=":")
    c100.axhline(C100_TARGET, color="grey", linestyle=":")
    c100.set_ylim(-0.04, 1.04)
    c100.yaxis.set_major_formatter(PercentFormatter(1))
    frame.set(title="A frame", xlabel="streams", ylabel="ms", ylim=(0, None))
    onset.set(title="Audible onset", xlabel="listeners", ylabel="ms", ylim=(0, None))
    c100.set(title="C100", xlabel="listeners")
    for axes, ticks in ((frame, batches), (onset, listeners), (c100, listeners)):
        if ticks:
            axes.set_xscale("log")
            axes.set_xticks(ticks, [str(tick) for tick in ticks])
            axes.minorticks_off()
    machine = results.machine
    figure.suptitle(
        f"{results.setting.folder.name} on {machine['device']}, {machine['revision']}", fontsize=9
    )
    figure.savefig(path, dpi=100)
    plt.close(figure)
    return True


def _launches(results: Results) -> Table:
    table = _table("kernels of a frame, at least (counted, not run)", *results.launches)
    if results.launches:
        table.add_row(*(str(sum(counts.values())) for counts in results.launches.values()))
    return table


def _steps(results: Results) -> Table:
    table = _table(
        f"a decode step, {results.setting.context} positions a stream; milliseconds",
        "batch",
        "step",
        "on the\ndevice",
        "host's\nlaunch",
        "floor",
        "times\nfloor",
        "RTF",
        "frames/s",
        "tokens/s",
        "peak\nGB",
    )
    for one in results.steps:
        table.add_row(
            str(one.batch),
            f"{one.ms:.2f}",
            f"{one.device_ms:.2f}",
            f"{one.launch_ms:.2f}",
            _ms(one.floor_ms),
            f"{one.ratio:.1f}",
            f"{one.rtf:.3f}",
            f"{one.frames_per_second:,.0f}",
            f"{one.tokens_per_second:,.0f}",
            f"{one.peak_bytes / 1e9:.1f}",
        )
    return table


def _prefills(results: Results) -> Table:
    table = _table(
        "a prompt of one stream; milliseconds", "positions", "pass", "floor", "until the first\nframe's codes"
    )
    for one in results.prefills:
        table.add_row(
            str(one.positions), f"{one.read_ms:.2f}", _ms(one.floor_ms), f"{one.first_frame_ms:.2f}"
        )
    return table


def _shares(results: Results) -> Table:
    table = _table("a frame through the whole model; milliseconds", "batch", *_PARTS, "frame")
    for one in results.shares():
        parts = (f"{one[part]:.2f} ({one[part] / one['frame']:.0%})" for part in _PARTS)
        table.add_row(f"{one['batch']:.0f}", *parts, f"{one['frame']:.2f}")
    return table


def _first(results: Results) -> Table:
    table = _table(
        "a lone stream; milliseconds",
        "voice",
        "first\naudio p50",
        "\np95",
        "audible\nonset p50",
        "\np95",
        "runs",
    )
    for one in results.first:
        cells = (_seconds(times, name) for times in (one.first_audio, one.onset) for name in ("p50", "p95"))
        table.add_row(one.voice, *cells, _runs(one))
    return table


def _live(results: Results) -> Table:
    table = _table(
        f"live streams, {results.setting.seconds:g} s; milliseconds",
        "listeners",
        "mean",
        "turns",
        "refused",
        "failed",
        "onset\np50",
        "\np95",
        "wait\np95",
        "\nmax",
        "C100\n%",
    )
    for one in results.live:
        good_onset = one.onset.get("p95", 1.0) <= ONSET_TARGET
        table.add_row(
            str(one.listeners),
            f"{one.mean_listeners:.1f}",
            str(one.turns),
            str(one.refused),
            str(sum(one.problems.values())),
            _seconds(one.onset, "p50"),
            _against(good_onset, _seconds(one.onset, "p95")),
            _seconds(one.longest_wait, "p95"),
            _against(one.longest_wait.get("max", 1.0) <= PATIENCE, _seconds(one.longest_wait, "max")),
            "-" if one.c100 is None else _against(one.c100 >= C100_TARGET, f"{100 * one.c100:.1f}"),
        )
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, box=SIMPLE_HEAD, padding=0)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _against(good: bool, text: str) -> str:
    return f"[{'green' if good else 'red'}]{text}[/]"


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.2f}" if milliseconds >= 0.1 else f"{milliseconds:.2g}"


def _seconds(times: Mapping[str, Any], name: str) -> str:
    return f"{1e3 * times[name]:.0f}" if name in times else "-"


def _runs(one: FirstResult) -> str:
    return f"{one.runs - one.failed} of {one.runs}" if one.failed else str(one.runs)
