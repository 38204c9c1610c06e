"""All that a run found, and what of it the simulation can take as costs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.engine.first import FirstResult
from benchmarks.engine.floor import Floor, Speed
from benchmarks.engine.launches import Launches
from benchmarks.engine.live import LiveResult
from benchmarks.engine.parts import PartsResult, Profile, WholeResult
from benchmarks.engine.setting import Setting
from benchmarks.engine.step import PrefillResult, StepResult


@dataclass(slots=True)
class Results:
    """Filled section by section; what was not measured is empty. ``failed`` says why a section is."""

    setting: Setting
    machine: Mapping[str, Any]
    speed: Speed | None = None
    floor: Floor | None = None
    frame_seconds: float | None = None
    weights_bytes: int | None = None
    launches: Mapping[str, Launches] = field(default_factory=dict)
    steps: list[StepResult] = field(default_factory=list)
    prefills: Sequence[PrefillResult] = ()
    parts: list[PartsResult] = field(default_factory=list)
    whole: list[WholeResult] = field(default_factory=list)
    profiles: Sequence[Profile] = ()
    position_ms: float = 0.0
    codec_latency_ms: float | None = None
    first: Sequence[FirstResult] = ()
    live: list[LiveResult] = field(default_factory=list)
    engine_peak_bytes: int | None = None
    model: Sequence[str] = ()
    failed: dict[str, str] = field(default_factory=dict)

    def shares(self) -> list[dict[str, float]]:
        """Where the time of a whole step goes, for each batch whose parts and whole were measured: milliseconds.

        ``gaps`` is what the parts do not explain: the host, launches, what the parts leave out. It is negative
        where the codec, which has a queue of its own, runs beside the transformers.
        """
        whole = {one.batch: one.ms for one in self.whole}
        return [
            {
                "batch": one.batch,
                "slow": one.slow,
                "fast": one.fast,
                "sampling": one.sampling,
                "codec": one.codec,
                "gaps": whole[one.batch] - one.sum,
                "frame": whole[one.batch],
            }
            for one in self.parts
            if one.batch in whole
        ]

    def costs(self) -> dict[str, Any] | None:
        """Costs for ``python -m benchmarks.simulation --costs FILE``; None without measured steps."""
        if not self.steps:
            return None
        costs: dict[str, Any] = {
            "decode_ms": {str(one.batch): one.ms for one in self.steps},
            "context": self.setting.context,
        }
        if self.prefills:
            costs["prefill_ms"] = {str(one.positions): one.read_ms for one in self.prefills}
        if self.parts:
            costs["draw_ms"] = {str(one.batch): one.draw for one in self.parts}
            costs["codec_ms"] = {str(one.batch): one.codec_single for one in self.parts}
        if self.position_ms:
            costs["ms_per_1000_positions"] = self.position_ms
        if self.codec_latency_ms is not None:
            costs["codec_latency_ms"] = self.codec_latency_ms
        return costs

    def as_dict(self) -> dict[str, Any]:
        """For JSON, with no more digits than mean something."""
        facts = {
            "setting": self.setting.as_dict(),
            "machine": dict(self.machine),
            "speed": asdict(self.speed) if self.speed else None,
            "floor": asdict(self.floor) if self.floor else None,
            "frame_seconds": self.frame_seconds,
            "weights_bytes": self.weights_bytes,
            "model": list(self.model),
            "launches": {
                part: {"kernels": sum(counts.values()), "by_operation": dict(counts)}
                for part, counts in self.launches.items()
            },
            "step": [asdict(one) | {"ratio": one.ratio} for one in self.steps],
            "prefill": [asdict(one) for one in self.prefills],
            "parts": [asdict(one) for one in self.parts],
            "shares": self.shares(),
            "profile": [asdict(one) for one in self.profiles],
            "first": [asdict(one) for one in self.first],
            "live": [asdict(one) for one in self.live],
            "engine_peak_bytes": self.engine_peak_bytes,
            "costs": self.costs(),
            "failed": self.failed,
        }
        rounded: dict[str, Any] = _rounded(facts)
        return rounded


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value
