"""What is the same for all that one run measures."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch


@dataclass(frozen=True, slots=True)
class Setting:
    """Parameters of a run.

    ``batches`` are measured one after the other, at ``context`` positions of each stream. ``seconds`` of live
    streams count at each batch; ``runs`` and ``new_runs`` are how often first audio is awaited with a voice that
    is in the cache and with a new one; ``steps`` are timed for each batch.
    """

    folder: Path
    device: torch.device
    dtype: torch.dtype
    batches: tuple[int, ...]
    context: int
    graphs: bool
    compile: bool
    seconds: float
    runs: int
    new_runs: int
    steps: int
    seed: int

    @property
    def largest(self) -> int:
        """The largest batch."""
        return max(self.batches)

    @property
    def cuda(self) -> bool:
        """Whether this is about a GPU."""
        return self.device.type == "cuda"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "checkpoint": self.folder.name,
            "device": str(self.device),
            "dtype": str(self.dtype).removeprefix("torch."),
            "batches": list(self.batches),
            "context": self.context,
            "graphs": self.graphs,
            "compile": self.compile,
            "seconds": self.seconds,
            "runs": self.runs,
            "new_runs": self.new_runs,
            "steps": self.steps,
            "seed": self.seed,
        }
