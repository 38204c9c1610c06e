"""``parrotfish voices``."""

import dataclasses
import json

import click

from transports.cli.model import bundled_model


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As a JSON list, for programs.")
def voices(as_json: bool) -> None:
    """List the voices: what to give as --voice, or as reference_id in a request. The first is the default."""
    info = bundled_model().info
    ordered = sorted(info.voices, key=lambda voice: voice.id != info.default_voice)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(voice) for voice in ordered], indent=2))
        return
    ids, names = (max(len(getattr(voice, field)) for voice in ordered) for field in ("id", "name"))
    for voice in ordered:
        click.echo(f"{voice.id:{ids}}  {voice.name:{names}}  {voice.description} ({voice.language})")
