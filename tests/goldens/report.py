"""What was compared, how far off it was, and how far it may be."""

import fnmatch
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

EXACT = 0.0


@dataclass(frozen=True, slots=True)
class Line:
    """One comparison. ``difference`` is the largest one, infinite where shapes differ, None if there was none."""

    name: str
    difference: float | None
    tolerance: float = EXACT
    note: str = ""

    @property
    def failed(self) -> bool:
        return self.difference is not None and not self.difference <= self.tolerance

    def __str__(self) -> str:
        if self.difference is None:
            figures, verdict = f"{'':>10}  {'':>9}", "absent"
        else:
            allowed = "exact" if self.tolerance == EXACT else f"{self.tolerance:.1e}"
            figures = f"{self.difference:>10.2e}  {allowed:>9}"
            verdict = "FAIL" if self.failed else "ok"
        return f"{self.name:<44} {figures}  {verdict:<6}  {self.note}".rstrip()


@dataclass
class Report:
    """All comparisons, in the order in which they were made."""

    lines: list[Line] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether something was beyond its tolerance, or nothing could be compared at all."""
        return any(line.failed for line in self.lines) or all(line.difference is None for line in self.lines)

    def open(self, path: Path) -> "Goldens | None":
        """The arrays of a file; None, and a line that says so, if there is no such file."""
        if path.exists():
            return Goldens(self, path)
        self.lines.append(Line(path.stem, None, note=f"no {path}"))
        return None

    def __str__(self) -> str:
        absent = sum(line.difference is None for line in self.lines)
        failed = sum(line.failed for line in self.lines)
        ok = len(self.lines) - absent - failed
        head = f"{'array':<44} {'difference':>10}  {'tolerance':>9}"
        return "\n".join((head, *map(str, self.lines), f"{ok} ok, {failed} failed, {absent} absent"))


class Goldens:
    """The arrays of one file, and the comparisons with them."""

    def __init__(self, report: Report, path: Path) -> None:
        self._report = report
        self._part = path.stem
        with np.load(path) as arrays:
            self._arrays = dict(arrays)
        self._used: set[str] = set()

    def __getitem__(self, name: str) -> Tensor:
        self._used.add(name)
        return torch.from_numpy(self._arrays[name])

    def given(self, inputs: Sequence[str], outputs: Sequence[str]) -> bool:
        """Whether all ``inputs`` are there. If not, the report has a line for each of ``outputs`` (patterns)."""
        missing = [name for name in inputs if name not in self._arrays]
        if missing:
            for pattern in outputs:
                for name in fnmatch.filter(self._arrays, pattern) or (pattern,):
                    self._add(name, None, note=f"without {', '.join(missing)}")
        return not missing

    def info(self, *names: str) -> None:
        """These arrays say how firm a decision was: there is nothing to compare."""
        self._used.update(names)

    def check(
        self,
        name: str,
        tolerance: float,
        ours: Tensor,
        *,
        how: str = "",
        part: Callable[[Tensor], Tensor] = lambda array: array,
    ) -> None:
        """Compare ``ours`` with (``part`` of) an array. ``how`` tells several ways to the same array apart."""
        title = f"{name}, {how}" if how else name
        if name not in self._arrays:
            self._add(title, None)
            return
        golden, got = part(self[name]).double(), ours.double().cpu()
        if golden.shape == got.shape:
            self._add(title, float((got - golden).abs().max()) if got.numel() else 0.0, tolerance)
        else:
            self._add(title, torch.inf, tolerance, f"shape {list(got.shape)} instead of {list(golden.shape)}")

    def close(self) -> None:
        """Tell of arrays that nobody asked for."""
        for name in sorted(self._arrays.keys() - self._used):
            self._add(name, None, note="an array that this check does not know")

    def _add(self, name: str, difference: float | None, tolerance: float = EXACT, note: str = "") -> None:
        self._used.add(name)
        self._report.lines.append(Line(f"{self._part}: {name}", difference, tolerance, note))
