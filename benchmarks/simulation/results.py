"""A run in numbers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from benchmarks.live import PATIENCE
from benchmarks.simulation.costs import FLOOR, FRAME_SECONDS, Costs
from benchmarks.simulation.policies import POLICIES
from benchmarks.simulation.run import History, simulate
from benchmarks.simulation.workload import Workload
from engine.scheduler import SchedulerConfig

ONSET_TARGET = 0.150
"""Seconds within which a caller should hear something."""
WARM_UP = 20.0
"""Seconds of callers before those who count: until as many listen as shall."""

Scenario = Literal["steady", "burst"]
SCENARIOS: tuple[Scenario, ...] = ("steady", "burst")


@dataclass(frozen=True, slots=True)
class Setting:
    """What is the same for all cases. ``chunk``: tokens of new text that one step may read.

    Nobody is refused unless ``max_streams`` is given, and then by the ``deadline`` policy only.
    """

    seconds: float = 30.0
    seed: int = 1
    max_batch: int = 64
    max_prefills: int = 16
    max_ahead: float = 10.0
    chunk: int = 1024
    max_streams: int | None = None
    workload: Workload = field(default_factory=Workload)


@dataclass(frozen=True, slots=True)
class Case:
    """One policy under one load. ``steady``: turns begin at random; ``burst``: all at once, on an idle model."""

    costs: str
    scenario: Scenario
    streams: int
    policy: str


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a case. Times are seconds.

    ``c100``: of the turns that were heard, the share that never waited longer than 100 ms after the first sound.
    ``in_time``: the share of which that is true and that began within :data:`ONSET_TARGET`. ``busy``: share of
    the time in which the model computed. ``rows`` of a step and ``step``, its seconds, are means; ``rtf`` is
    what it takes of a frame's length. ``kv_bytes``: the most that open streams needed. ``wasted``: share of the
    frames that were computed and not listened to.
    """

    case: Case
    turns: int
    refused: int
    onset: Mapping[str, float]
    longest_wait: Mapping[str, float]
    c100: float
    in_time: float
    busy: float
    rows: float
    step: float
    rtf: float
    kv_bytes: float
    wasted: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON, flat, with no more digits than mean something."""
        facts = asdict(self)
        case: dict[str, Any] = facts.pop("case")
        return case | {name: _rounded(value) for name, value in facts.items()}


def measure(case: Case, costs: Costs, setting: Setting) -> Result:
    """Simulate one case. Raises ValueError if nobody was heard."""
    workload, seed = setting.workload, setting.seed
    if case.scenario == "burst":
        begin, end = 0.0, float("inf")
        turns = workload.burst(case.streams, seed)
    else:
        begin, end = WARM_UP, WARM_UP + setting.seconds
        turns = workload.poisson(case.streams, end, seed)
    config = SchedulerConfig(
        len(turns) + 1 if setting.max_streams is None else setting.max_streams,
        setting.max_batch,
        max_ahead=setting.max_ahead,
        max_prefills=setting.max_prefills,
    )
    history = simulate(turns, POLICIES[case.policy](config), costs, chunk=setting.chunk)
    return summarise(case, history, begin, end)


def summarise(case: Case, history: History, begin: float, end: float) -> Result:
    """The turns that came, and the steps that began, between ``begin`` and ``end``."""
    came = [one for one in history.outcomes if begin <= one.turn.arrives < end]
    steps = [step for step in history.steps if begin <= step.begins < end]
    heard = [(one.onset, one.longest_wait) for one in came if one.onset is not None]
    if not heard:
        raise ValueError(f"nobody heard anything of {case}; give it more seconds")
    onsets, waits = np.array(heard).T
    patient = waits <= PATIENCE
    computed = sum(step.seconds for step in steps)
    return Result(
        case,
        turns=len(came),
        refused=sum(one.refused for one in came),
        onset=_quantiles(onsets),
        longest_wait=_quantiles(waits),
        c100=float(np.mean(patient)),
        in_time=float(np.mean(patient & (onsets <= ONSET_TARGET))),
        busy=computed / (steps[-1].begins + steps[-1].seconds - steps[0].begins),
        rows=sum(step.rows for step in steps) / len(steps),
        step=computed / len(steps),
        rtf=computed / len(steps) / FRAME_SECONDS,
        kv_bytes=max(step.positions for step in steps) * FLOOR.position_bytes,
        wasted=1 - sum(one.heard for one in came) / sum(one.spoken for one in came),
    )


def _quantiles(values: npt.NDArray[np.float64]) -> dict[str, float]:
    p50, p95, longest = np.quantile(values, (0.5, 0.95, 1.0)).tolist()
    return {"p50": p50, "p95": p95, "max": longest}


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value
