"""Results for people and for machines: tables, the JSON file, the picture."""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

import orjson
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from benchmarks.live import PATIENCE
from benchmarks.simulation.results import ONSET_TARGET, Case, Result, Setting

_COLUMNS = (
    "onset\np50",
    "\np95",
    "\nwait",
    "C100\n%",
    "in time\n%",
    "\nRTF",
    "\nrows",
    "busy\n%",
    "waste\n%",
    "KV\nGB",
)


def show(results: Sequence[Result], console: Console) -> None:
    """A table for each scenario and set of costs."""
    for (costs, scenario), group in groupby(results, lambda one: (one.case.costs, one.case.scenario)):
        table = Table(title=f"{scenario}, costs: {costs}; milliseconds", box=SIMPLE_HEAD, padding=0)
        table.add_column("streams", justify="right", vertical="bottom")
        table.add_column("policy", vertical="bottom")
        for name in _COLUMNS:
            table.add_column(name, justify="right")
        for streams, level in groupby(group, lambda one: one.case.streams):
            for index, one in enumerate(level):
                table.add_row("" if index else str(streams), *_cells(one))
            table.add_section()
        console.print(table)
        for one in results:
            if one.refused and (one.case.costs, one.case.scenario) == (costs, scenario):
                console.print(f"{one.case.streams} streams: {one.refused} of {one.turns} turns refused")


def save(results: Sequence[Result], setting: Setting, path: Path) -> None:
    """Everything, as JSON."""
    data = {"setting": asdict(setting), "results": [one.as_dict() for one in results]}
    path.write_bytes(orjson.dumps(data, option=orjson.OPT_INDENT_2) + b"\n")


def draw(results: Sequence[Result], path: Path) -> None:
    """Onset, C100 and the share in time over the streams: a line for each policy, a row for each load.

    Raises ImportError without matplotlib.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import PercentFormatter

    loads = list(dict.fromkeys((one.case.scenario, one.case.costs) for one in results))
    policies = list(dict.fromkeys(one.case.policy for one in results))
    figure, grid = plt.subplots(
        len(loads), 3, figsize=(11, 0.6 + 2.4 * len(loads)), layout="constrained", squeeze=False, sharex=True
    )
    for (scenario, costs), row in zip(loads, grid, strict=True):
        onset, c100, in_time = row
        for order, policy in enumerate(policies):
            level = [one for one in results if one.case == Case(costs, scenario, one.case.streams, policy)]
            streams = [one.case.streams for one in level]
            # Where lines lie on one another, all can be seen.
            style = {"label": policy, "linewidth": 2 * (len(policies) - order), "marker": "o"}
            onset.plot(streams, [1000 * one.onset["p95"] for one in level], **style)
            c100.plot(streams, [one.c100 for one in level], **style)
            in_time.plot(streams, [one.in_time for one in level], **style)
        onset.axhline(1000 * ONSET_TARGET, color="grey", linestyle=":")
        onset.set(title=f"{scenario}, costs: {costs}\nonset p95", ylabel="ms", yscale="log")
        c100.set(title="C100")
        in_time.set(title="in time")
        for axes in (c100, in_time):
            axes.axhline(0.99, color="grey", linestyle=":")
            axes.set_ylim(-0.04, 1.04)
            axes.yaxis.set_major_formatter(PercentFormatter(1))
    ticks = sorted({one.case.streams for one in results})
    for axes in grid[-1]:
        axes.set(xlabel="streams", xscale="log")
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
    grid[0][0].legend()
    figure.savefig(path, dpi=90)
    plt.close(figure)


def _cells(one: Result) -> list[str]:
    def against(good: bool, text: str) -> str:
        return f"[{'green' if good else 'red'}]{text}[/]"

    return [
        one.case.policy,
        _ms(one.onset["p50"]),
        against(one.onset["p95"] <= ONSET_TARGET, _ms(one.onset["p95"])),
        against(one.longest_wait["max"] <= PATIENCE, _ms(one.longest_wait["max"])),
        against(one.c100 >= 0.99, f"{100 * one.c100:.1f}"),
        f"{100 * one.in_time:.1f}",
        f"{one.rtf:.2f}",
        f"{one.rows:.1f}",
        f"{100 * one.busy:.0f}",
        f"{100 * one.wasted:.0f}",
        f"{one.kv_bytes / 1e9:.1f}",
    ]


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"
