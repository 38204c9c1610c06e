"""Results for people and for machines: tables, a JSON file and a picture."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.conversation.levels import Level
from benchmarks.report import quantile

ONSET = 0.7
"""From the end of the caller's speech to the agent's audible onset, at the median; seconds."""

OURS = 0.2
"""Of that, after the turn was decided to be over."""

SILENCE = 0.3
"""From the caller's first voiced sample to the agent's last audible one, at the 95th percentile."""

SILENCE_VOICED = 0.2
"""The same from the end of his first voiced 100 ms."""

C100 = 0.99
"""Share of replies in which nobody waits for more than 100 ms."""

_ALARMS = ("cough", "mhm", "yeah")
_STAGES = {
    "transcript": "transcript there",
    "decided": "turn decided to be over",
    "first_token": "first token",
    "first_byte": "first audio",
}
_SERVERS = {
    "transcript": "transcript",
    "decided": "decided",
    "first_token": "first token",
    "first_audio": "first audio",
}


@dataclass(frozen=True, slots=True)
class Results:
    """Everything one run measured."""

    options: dict[str, Any]
    machine: dict[str, Any]
    levels: list[Level] = field(default_factory=list)

    def problems(self) -> list[str]:
        """What went wrong, in words; the exit status hangs on it."""
        found = [
            f"{level.callers} at once: {type(one).__name__.lower()}, {one.text!r}: {one.problem}"
            for level in self.levels
            for one in level.judgements
            if one.problem
        ]
        return found + [
            f"{level.callers} at once: {error}" for level in self.levels for error in level.broken
        ]


def summary(level: Level) -> dict[str, Any]:
    """A level in numbers: seconds, shares and cores."""
    answers, interruptions, alarms = level.answers, level.interruptions, level.alarms

    def quantiles(values: Iterable[float | None]) -> dict[str, float | None]:
        there = list(values)
        return {f"p{round(q * 100)}": quantile(there, q) for q in (0.5, 0.95, 1.0)}

    held = [alarm for alarm in alarms if alarm.noticed]
    return {
        "callers": level.callers,
        "seconds": level.seconds,
        "answers": len(answers),
        "cut_in": sum(answer.cut_in for answer in answers),
        "talked_over": sum(answer.talked_over for answer in answers),
        "onset": quantiles(answer.onset for answer in answers),
        "ours": quantiles(answer.ours for answer in answers),
        **{stage: quantiles(getattr(answer, stage) for answer in answers) for stage in _STAGES},
        "server": {name: quantiles(answer.server.get(name) for answer in answers) for name in _SERVERS},
        "interruptions": len(interruptions),
        "interrupted": sum(one.from_voice is not None for one in interruptions),
        "from_voice": quantiles(one.from_voice for one in interruptions),
        "from_voiced": quantiles(one.from_voiced for one in interruptions),
        "told": quantiles(one.told for one in interruptions),
        "alarms": {
            kind: {
                "times": len(those),
                "noticed": sum(one.noticed for one in those),
                "resumed": sum(one.resumed for one in those),
            }
            for kind in _ALARMS
            if (those := [one for one in alarms if one.text == kind])
        },
        "hole": quantiles(one.hole for one in held),
        "twice": quantiles(one.twice for one in held),
        "lost": max((-one.twice for one in held if one.twice is not None), default=None),
        "words": asdict(level.words),
        "plain_words": asdict(level.plain_words),
        "replies": len(level.waits),
        "c100": level.c100,
        "longest_wait": quantiles(level.waits),
        "client_lag": {"p50": quantile(level.client_lag, 0.5), "p95": quantile(level.client_lag, 0.95)},
        "cores": {
            "server": level.server_cpu,
            "client": level.client_cpu,
            "model": level.model_cpu,
            "others": level.other_cpu,
        },
    }


def save(results: Results, path: Path) -> None:
    """Write everything, each act included, as JSON."""
    document = {
        "machine": results.machine,
        "options": results.options,
        "targets": {
            "onset": ONSET,
            "ours": OURS,
            "from_voice": SILENCE,
            "from_voiced": SILENCE_VOICED,
            "c100": C100,
        },
        "problems": results.problems(),
        "levels": [
            {
                **summary(level),
                "each": [
                    {"what": type(one).__name__.lower()}
                    | {key: value for key, value in asdict(one).items() if key != "pcm"}
                    for one in level.judgements
                ],
            }
            for level in results.levels
        ],
    }
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))


def facts(machine: dict[str, Any]) -> str:
    """What was measured on what, in two lines."""
    return (
        f"[bold]parrotfish {machine['packages']['parrotfish']}[/] at {machine['revision']}, {machine['date']}\n"
        f"{machine['cpu']}, {machine['cores']} cores (load {machine['load_before']:.1f} before), "
        f"Python {machine['python']}"
    )


def show(results: Results, console: Console) -> None:
    """Print the tables."""
    console.print(facts(results.machine), highlight=False)
    if results.levels:
        levels = [summary(level) for level in results.levels]
        for table in (_answers(levels), _interruptions(levels), _load(levels)):
            console.print(table)
    for problem in results.problems():
        console.print(f"[red]problem[/] {problem}", highlight=False)


def _answers(levels: Sequence[dict[str, Any]]) -> Table:
    table = _table("Turns: from the last audible sample of the caller; milliseconds, p50 / p95", levels)
    table.add_row("turns", *(str(level["answers"]) for level in levels))
    table.add_row("  taken for over too early", *(str(level["cut_in"]) for level in levels))
    cells = [str(level["talked_over"]) for level in levels]
    table.add_row("    and the agent was heard", *cells, end_section=True)
    for name, title in _STAGES.items():
        table.add_row(title, *(_pair(level[name]) for level in levels))
    table.add_row("[bold]audible onset[/]", *(_pair(level["onset"], p50=ONSET) for level in levels))
    table.add_row(
        "[bold]of it after the decision[/]",
        *(_pair(level["ours"], p50=OURS) for level in levels),
        end_section=True,
    )
    for name, title in _SERVERS.items():
        table.add_row(f"server says: {title}", *(_pair(level["server"][name]) for level in levels))
    return table


def _interruptions(levels: Sequence[dict[str, Any]]) -> Table:
    table = _table("Interruptions and false alarms; milliseconds, p50 / p95", levels)
    table.add_row(
        "interrupted, of", *(f"{level['interrupted']} of {level['interruptions']}" for level in levels)
    )
    table.add_row(
        "[bold]first sample to silence[/]", *(_pair(level["from_voice"], p95=SILENCE) for level in levels)
    )
    table.add_row(
        "[bold]first voiced 100 ms to silence[/]",
        *(_pair(level["from_voiced"], p95=SILENCE_VOICED) for level in levels),
    )
    table.add_row("known to be one", *(_pair(level["told"]) for level in levels), end_section=True)
    for kind in _ALARMS:
        those = [level["alarms"].get(kind, {"times": 0, "noticed": 0, "resumed": 0}) for level in levels]
        table.add_row(
            f"{kind}: resumed, of noticed, of all",
            *(f"{one['resumed']}, {one['noticed']}, {one['times']}" for one in those),
        )
    table.add_row("silent for", *(_pair(level["hole"]) for level in levels))
    table.add_row("heard twice at the resume", *(_pair(level["twice"]) for level in levels))
    table.add_row("lost at the resume, most", *(_ms(max(0.0, level["lost"] or 0.0)) for level in levels))
    for name, title in (("words", "words missing, too many, of all"), ("plain_words", "  without an alarm")):
        cells = [
            f"{level[name]['missing']}, {level[name]['extra']}, {level[name]['words']}" for level in levels
        ]
        table.add_row(title, *cells)
    return table


def _load(levels: Sequence[dict[str, Any]]) -> Table:
    table = _table("What a number of conversations costs", levels)
    table.add_row("replies", *(str(level["replies"]) for level in levels))
    table.add_row("[bold]C100[/]", *(_share(level["c100"], C100) for level in levels))
    table.add_row(
        "longest wait, ms", *(_ms(level["longest_wait"]["p100"]) for level in levels), end_section=True
    )
    for name in ("server", "model", "client", "others"):
        title = "language model's stub" if name == "model" else name
        table.add_row(f"cores used, {title}", *(_plain(level["cores"][name]) for level in levels))
    table.add_row("client lag p95, ms", *(_ms(level["client_lag"]["p95"]) for level in levels))
    return table


def _table(title: str, levels: Sequence[dict[str, Any]]) -> Table:
    table = Table(title=title, caption="What the rows mean: python -m benchmarks.conversation --help")
    table.add_column("conversations at once")
    for level in levels:
        table.add_column(str(level["callers"]), justify="right")
    return table


def draw(results: Results, path: Path) -> None:
    """Cumulative shares, a line for each level. Raises ImportError without matplotlib."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(13, 4.2), layout="constrained", sharey=True)
    plots: list[tuple[str, float, Callable[[Level], Iterable[float | None]]]] = [
        (
            "End of the caller's speech to the agent's onset",
            ONSET,
            lambda level: (a.onset for a in level.answers),
        ),
        ("Of it after the turn was decided to be over", OURS, lambda level: (a.ours for a in level.answers)),
        (
            "Interruption: first voiced sample to silence",
            SILENCE,
            lambda level: (one.from_voice for one in level.interruptions),
        ),
    ]
    for axis, (title, target, values_of) in zip(axes, plots, strict=True):
        for level in results.levels:
            values = sorted(value for value in values_of(level) if value is not None)
            if values:
                share = np.arange(len(values) + 1) / len(values)
                label = f"{level.callers} at once"
                axis.step(1000 * np.array([values[0], *values]), share, where="post", label=label)
        axis.axvline(target * 1000, color="grey", linestyle=":")
        axis.axhline(0.95, color="grey", linestyle=":")
        axis.set(title=title, xlabel="ms")
        axis.set_xlim(left=0)
    axes[0].set_ylabel("share")
    axes[0].legend()
    machine = results.machine
    figure.suptitle(
        f"parrotfish {machine['revision']} on {machine['cpu']}, {machine['cores']} cores", fontsize=9
    )
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _pair(values: dict[str, float | None], p50: float | None = None, p95: float | None = None) -> str:
    return f"{_against(values['p50'], p50)} / {_against(values['p95'], p95)}"


def _against(seconds: float | None, target: float | None) -> str:
    if seconds is None or target is None:
        return _ms(seconds)
    return f"(≤ {_ms(target)}) [{'green' if seconds <= target else 'red'}]{_ms(seconds)}[/]"


def _share(share: float, target: float) -> str:
    return f"(≥ {target:.0%}) [{'green' if share >= target else 'red'}]{share:.1%}[/]"


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.0f}"


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
