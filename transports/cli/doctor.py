"""``parrotfish doctor``."""

import asyncio
import dataclasses
import json
import sys

import click
from rich.console import Console
from rich.markup import escape

from transports.cli.checks import Check, State, installation, machine
from transports.cli.model import ModelChoice, ModelCommand, model_options
from transports.cli.trial import speak_one_sentence

_MARKS = {State.OK: "[green]✓[/]", State.NOTE: "[yellow]![/]", State.FAILED: "[red]✗[/]"}


@click.command(cls=ModelCommand, context_settings={"show_default": True})
@model_options
@click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")
def doctor(as_json: bool, model: ModelChoice) -> None:
    """Check the installation, and speak one sentence through all of it.

    Starts a server of its own on a free port of the loopback interface, speaks over its live WebSocket, decodes
    and measures what it hears. Exits with 1 if anything is wrong, and says what to do about it.

    How long and how loud the sentence should be is known of the bundled voice only. Of another model it is enough
    that it can be heard, and is made faster than it is heard.
    """
    checks = [*installation(s2=not model.bundled and not model.remote), *machine()]
    if as_json:
        checks += _trial(model)
        well = _well(checks)
        click.echo(
            json.dumps({"ok": well, "checks": [dataclasses.asdict(check) for check in checks]}, indent=2)
        )
    else:
        console = Console(highlight=False, soft_wrap=True)
        _show(console, checks)
        with console.status("speaking a sentence"):
            trial = _trial(model)
        _show(console, trial)
        well = _well([*checks, *trial])
        console.print("[green]All is well.[/]" if well else "[red]Something is wrong[/]: see above.")
    sys.exit(0 if well else 1)


def _trial(model: ModelChoice) -> list[Check]:
    try:
        return asyncio.run(speak_one_sentence(model.fetched()))
    except click.ClickException as error:
        found, _, advice = error.message.partition("\n")
        return [Check("model", State.FAILED, found, advice)]


def _show(console: Console, checks: list[Check]) -> None:
    for check in checks:
        console.print(f"{_MARKS[check.state]} {check.name:18} {escape(check.found)}")
        if check.advice:
            console.print(f"  {'':18} -> {escape(check.advice)}")


def _well(checks: list[Check]) -> bool:
    return all(check.state is not State.FAILED for check in checks)
