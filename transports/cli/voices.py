"""``parrotfish voices``."""

import dataclasses
import json

import click

from transports.cli.model import ModelChoice, ModelCommand, model_options


@click.command(cls=ModelCommand, context_settings={"show_default": True})
@model_options
@click.option("--json", "as_json", is_flag=True, help="As a JSON list, for programs.")
def voices(as_json: bool, model: ModelChoice) -> None:
    """List the voices: what to give as --voice, or as reference_id in a request. The first is the default."""
    known = model.fetched().voices()
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(voice) for voice in known], indent=2))
        return
    ids, names = (max(len(getattr(voice, field)) for voice in known) for field in ("id", "name"))
    for voice in known:
        language = f" ({voice.language})" if voice.language else ""
        click.echo(f"{voice.id:{ids}}  {voice.name:{names}}  {voice.description}{language}")
