"""The options of ``parrotfish serve`` for metrics."""

import functools
import socket
from collections.abc import Callable
from typing import Any

import click

from transports.metrics import MetricsConfig
from transports.metrics.port import HOST

Command = Callable[..., Any]

LEAST_TOKEN = 16


def _token(_: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and len(value) < LEAST_TOKEN:
        raise click.BadParameter(
            f"got {len(value)} characters; expected at least {LEAST_TOKEN}", param=parameter
        )
    return value


def check_port(config: MetricsConfig) -> None:
    """Raise ClickException, before anything is loaded, if the port for metrics is not to be had."""
    if config.port is None:
        return
    try:
        socket.create_server((HOST, config.port)).close()
    except OSError as error:
        raise click.ClickException(
            f"--metrics-port: {config.port} is not to be had ({error.strerror or error}); try another"
        ) from None


_OPTIONS = [
    click.option(
        "--metrics-token",
        callback=_token,
        hide_input=True,
        metavar="TOKEN",
        show_default="none: only programs of this machine may, on a server that only they can reach",
        help="Who bears this token may read /metrics; better given in the environment than here.",
    ),
    click.option(
        "--metrics-port",
        type=click.IntRange(1, 65535),
        metavar="PORT",
        help="Serve /metrics on this port of the loopback address, too, without a token.",
    ),
]


def metrics_options(command: Command) -> Command:
    """Adds the options to a command, which gets a ``metrics``: MetricsConfig."""

    @functools.wraps(command)
    def chosen(*, metrics_token: str | None, metrics_port: int | None, **others: Any) -> Any:
        return command(metrics=MetricsConfig(metrics_token, metrics_port), **others)

    decorated: Command = chosen
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
