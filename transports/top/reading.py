"""A page of metrics as numbers that can be added and subtracted."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from prometheus_client.parser import text_string_to_metric_families

Labels = frozenset[tuple[str, str]]

_MOST = 1e18  # nothing that is counted or measured is more, and sums of such are finite


class NoMetrics(Exception):
    """What a server sent is no page of parrotfish's metrics."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """A histogram: how many values were at most each bound, in order; the last bound is infinite."""

    bounds: tuple[float, ...] = ()
    counts: tuple[float, ...] = ()
    total: float = 0.0

    @property
    def count(self) -> float:
        """How many values there were."""
        return self.counts[-1] if self.counts else 0.0

    @property
    def mean(self) -> float | None:
        """Their mean; None without any."""
        return self.total / self.count if self.count else None

    def quantile(self, share: float) -> float | None:
        """The value that a ``share`` of all do not exceed, as Prometheus estimates it; None without any."""
        if not self.count:
            return None
        rank, below, least = share * self.count, 0.0, 0.0
        for bound, count in zip(self.bounds, self.counts, strict=True):
            if count >= rank and count > below:
                if math.isinf(bound):
                    return least
                return least + (bound - least) * (rank - below) / (count - below)
            below, least = count, bound
        return least

    def __add__(self, other: Self) -> "Buckets":
        if not self.bounds or not other.bounds:
            return self if self.bounds else other
        if self.bounds != other.bounds:
            raise NoMetrics(
                "two histograms of one name have other bounds: the servers are of different versions"
            )
        counts = tuple(one + two for one, two in zip(self.counts, other.counts, strict=True))
        return Buckets(self.bounds, counts, self.total + other.total)

    def since(self, before: Self) -> "Buckets":
        """What has come since; all of it if the server has begun anew."""
        if before.bounds != self.bounds or before.count > self.count:
            return self
        counts = tuple(one - two for one, two in zip(self.counts, before.counts, strict=True))
        return Buckets(self.bounds, counts, self.total - before.total)


class Reading:
    """One page, read at a time (``time.monotonic``)."""

    def __init__(self, at: float, samples: Mapping[str, Mapping[Labels, float]]) -> None:
        self.at = at
        self._samples = samples

    def sum(self, name: str, **labels: str) -> float | None:
        """The sum of all samples of a name that have these labels; None if there is none."""
        found = [value for have, value in self._of(name) if labels.items() <= dict(have).items()]
        return sum(found) if found else None

    def values(self, name: str, label: str) -> list[str]:
        """Which values a label has in the samples of a name, in alphabetical order."""
        return sorted({dict(have)[label] for have, _ in self._of(name) if label in dict(have)})

    def label(self, name: str, label: str) -> str | None:
        """The label of the one sample of a name whose value is not 0."""
        return next((dict(have).get(label) for have, value in self._of(name) if value), None)

    def buckets(self, name: str, **labels: str) -> Buckets:
        """A histogram, of all samples that have these labels."""
        by_bound: dict[float, float] = defaultdict(float)
        for have, value in self._of(f"{name}_bucket"):
            given = dict(have)
            if labels.items() <= given.items():
                by_bound[float(given["le"])] += value
        if not by_bound:
            return Buckets()
        bounds = tuple(sorted(by_bound))
        total = self.sum(f"{name}_sum", **labels) or 0.0
        return Buckets(bounds, tuple(by_bound[bound] for bound in bounds), total)

    def _of(self, name: str) -> Iterable[tuple[Labels, float]]:
        return self._samples.get(name, {}).items()


def read(page: str, at: float) -> Reading:
    """A page in Prometheus' text format. Raises :class:`NoMetrics`.

    A sample that is no number (NaN, an infinity) is as good as none: a collector has nothing to tell.
    """
    samples: dict[str, dict[Labels, float]] = defaultdict(dict)
    try:
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                if sample.name.endswith("_bucket") and math.isnan(float(sample.labels["le"])):
                    raise ValueError(f"{sample.name}: le is NaN")
                if abs(sample.value) <= _MOST:
                    samples[sample.name][frozenset(sample.labels.items())] = float(sample.value)
    except (ValueError, KeyError, IndexError) as error:
        raise NoMetrics(f"not in Prometheus' text format: {error}") from None
    if "parrotfish_build_info" not in samples:
        raise NoMetrics("a page of metrics, but not of a parrotfish")
    return Reading(at, samples)
