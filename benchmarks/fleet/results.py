"""What a run has found, and what it should have: rows of a table and of the JSON file."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from benchmarks.conversation.report import facts


@dataclass(frozen=True, slots=True)
class Row:
    """One finding. Where it has a ``target`` (text, as it is shown), ``reached`` says whether it is met."""

    part: str
    name: str
    found: str
    target: str = ""
    reached: bool = True


@dataclass(slots=True)
class Results:
    """The rows of all parts, and beside them what they are made of."""

    options: dict[str, Any]
    machine: dict[str, Any]
    rows: list[Row] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)

    def add(self, part: str, rows: list[Row], numbers: Any) -> None:
        """What one part has found."""
        self.rows += rows
        self.numbers[part] = numbers

    @property
    def missed(self) -> bool:
        """Whether a target was not met."""
        return not all(row.reached for row in self.rows)

    def show(self, console: Console) -> None:
        """Print the table."""
        console.print(facts(self.machine), highlight=False)
        table = Table(title="Three replicas behind HAProxy, with PostgreSQL and Redis")
        for name in ("", "", "found", "target"):
            table.add_column(name)
        before = ""
        for row in self.rows:
            if before and row.part != before:
                table.add_section()
            colour = "" if not row.target else "[green]" if row.reached else "[red]"
            table.add_row(
                row.part if row.part != before else "", row.name, f"{colour}{row.found}", row.target
            )
            before = row.part
        console.print(table)

    def save(self, path: Path) -> None:
        """Write everything as JSON."""
        document = {
            "machine": self.machine,
            "options": self.options,
            "rows": self.rows,
            "missed": self.missed,
            **self.numbers,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
