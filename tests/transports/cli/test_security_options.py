"""The options that say who may reach the server, and how much of it."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from transports.cli.security import origins, security_options
from transports.security import Limits, SecurityConfig


def chosen(*arguments: str) -> SecurityConfig | str:
    """What the options make; or what is said of them."""
    made: list[SecurityConfig] = []

    @click.command()
    @security_options
    @click.option("--allow-origin", multiple=True, callback=origins)
    def command(security: SecurityConfig, allow_origin: tuple[str, ...]) -> None:
        made.append(security)

    result = CliRunner().invoke(command, arguments)
    return made[0] if made else result.output


def test_by_default_it_is_as_the_settings_have_it() -> None:
    assert chosen() == SecurityConfig()


def test_every_option_arrives() -> None:
    made = chosen(
        *(
            "--tls-cert",
            "a.pem",
            "--tls-key",
            "b.pem",
            "--allow-host",
            "voice.example",
            "--allow-host",
            "*.example",
        ),
        *("--trusted-proxy", "10.0.0.0/8", "--trusted-proxy", "192.0.2.1", "--max-connections", "9"),
        *("--max-per-address", "8", "--request-rate", "7", "--header-seconds", "6", "--body-seconds", "5"),
        *("--stall-seconds", "4", "--allow-origin", "https://example.com"),
    )
    assert made == SecurityConfig(
        tls_cert=Path("a.pem"),
        tls_key=Path("b.pem"),
        hosts=("voice.example", "*.example"),
        proxies=("10.0.0.0/8", "192.0.2.1/32"),
        limits=Limits(
            connections=9,
            per_address=8,
            request_rate=7.0,
            request_burst=70,
            head_seconds=6.0,
            body_seconds=5.0,
            stall_seconds=4.0,
        ),
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--tls-key", "b.pem"), "belong together"),
        (("--allow-host", "https://voice.example"), "is no host name"),
        (("--allow-origin", "voice.example"), "expected scheme://host"),
        (("--trusted-proxy", "10.0.0.1/8"), "is no network such as 10.0.0.0/8"),
        (("--max-connections", "0"), "--max-connections"),
        (("--request-rate", "-1"), "--request-rate"),
    ],
)
def test_what_is_wrong_is_named(arguments: tuple[str, ...], said: str) -> None:
    told = chosen(*arguments)
    assert isinstance(told, str)
    assert said in told.replace("\n", " ").replace("│", "")
