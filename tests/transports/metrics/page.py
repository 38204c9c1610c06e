"""A page of metrics, read with Prometheus' own parser."""

from typing import Self

import httpx
from prometheus_client.parser import text_string_to_metric_families


class Page:
    """What a server told."""

    def __init__(self, text: str) -> None:
        self.families = {family.name: family for family in text_string_to_metric_families(text)}

    @classmethod
    def of(cls, url: str, **headers: str) -> Self:
        """The page of a server that gives it."""
        answer = httpx.get(f"{url}/metrics", headers=headers)
        assert answer.status_code == 200, answer.text
        return cls(answer.text)

    @property
    def names(self) -> set[str]:
        """Names by which what is on the page can be asked for, whether or not there is a value by now."""
        names = set()
        for family in self.families.values():
            match family.type:
                case "counter":
                    names.add(f"{family.name}_total")
                case "histogram":
                    names |= {f"{family.name}_{part}" for part in ("bucket", "count", "sum")}
                case _:
                    names.add(family.name)
        return names

    @property
    def series(self) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
        """All there are."""
        return {
            (sample.name, tuple(sorted(sample.labels.items())))
            for family in self.families.values()
            for sample in family.samples
        }

    def value(self, name: str, **labels: str) -> float:
        """The sum of all samples of a name with these labels; 0 without any."""
        return sum(
            sample.value
            for family in self.families.values()
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def since(self, before: Self, name: str, **labels: str) -> float:
        """By how much that has grown."""
        return self.value(name, **labels) - before.value(name, **labels)
