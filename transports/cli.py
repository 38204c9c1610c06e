"""The command line: ``parrotfish serve | say | doctor | version``."""

import os
import sys

import click

from engine import EngineConfig, SpeechModel
from transports.services import Services
from transports.settings import Settings
from transports.version import VERSION


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, message="%(prog)s %(version)s")
def main() -> None:
    """A real-time voice server: text or LLM tokens in, speech out, over the Fish Audio API."""


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="0 takes any.")
@click.option("--max-streams", type=click.IntRange(1), help="Utterances at once [default: as measured].")
def serve(host: str, port: int, max_streams: int | None) -> None:
    """Run the server."""
    from transports.server import Server

    settings = Settings(host=host, port=port, engine=EngineConfig(max_streams=max_streams))

    def ready(services: Services) -> None:
        click.echo("ready")

    server = Server(settings, bundled_model, ready)
    listener = server.bind()
    click.echo(f"http://{host}:{listener.getsockname()[1]}")
    server.serve_on(listener)
    if server.failure is not None:
        click.echo(f"the model could not be loaded: {server.failure}", err=True)
        sys.exit(1)


def bundled_model() -> SpeechModel:
    """The voice that comes with parrotfish."""
    from engine.models.hibari import HibariModel

    return HibariModel()


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    main()
