"""Where the server that the command line starts sends its traces."""

import functools
from collections.abc import Callable
from typing import Any

import click

from transports.cli.types import Url
from transports.tracing import TracingConfig

Command = Callable[..., Any]

_OPTION = click.option(
    "--otlp-endpoint",
    type=Url("http", "https"),
    metavar="URL",
    show_default="$OTEL_EXPORTER_OTLP_ENDPOINT, or no traces",
    help="Where traces of OpenTelemetry are sent by OTLP over HTTP, such as http://localhost:4318; needs the "
    "extra [otel]. Its environment variables (OTEL_...) say the rest.",
)


def tracing_options(command: Command) -> Command:
    """Adds ``--otlp-endpoint`` to a command, which gets it as ``tracing``."""

    @functools.wraps(command)
    def chosen(*, otlp_endpoint: str | None, **others: Any) -> Any:
        return command(tracing=TracingConfig(otlp_endpoint or None), **others)

    decorated: Command = _OPTION(chosen)
    return decorated
