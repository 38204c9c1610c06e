"""The options that say who may read the metrics."""

import socket

import click
import pytest
from click.testing import CliRunner

from transports.cli.metrics import check_port, metrics_options
from transports.metrics import MetricsConfig

TOKEN = "a token of the operator's"


def chosen(*arguments: str, **environment: str) -> MetricsConfig | str:
    """What the options make; or what is said of them."""
    made: list[MetricsConfig] = []

    @click.command(context_settings={"auto_envvar_prefix": "PARROTFISH"})
    @metrics_options
    def command(metrics: MetricsConfig) -> None:
        made.append(metrics)

    result = CliRunner(env=environment).invoke(command, arguments)
    return made[0] if made else result.output


def test_by_default_there_is_neither_token_nor_port() -> None:
    assert chosen() == MetricsConfig(None, None)


def test_both_arrive_and_the_token_from_the_environment() -> None:
    assert chosen("--metrics-port", "9464", PARROTFISH_METRICS_TOKEN=TOKEN) == MetricsConfig(TOKEN, 9464)


def test_a_token_that_could_be_guessed_is_refused_and_not_shown() -> None:
    said = chosen("--metrics-token", "hunter2")
    assert isinstance(said, str)
    assert "got 7 characters; expected at least 16" in said
    assert "hunter2" not in said


def test_a_port_that_is_taken_is_said_before_anything_is_loaded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(click.ClickException, match=f"--metrics-port: {port} is not to be had"):
            check_port(MetricsConfig(port=port))
    check_port(MetricsConfig(port=port))
    check_port(MetricsConfig())
