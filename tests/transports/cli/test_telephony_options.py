"""What the options for telephone calls make of what an operator writes."""

import base64
from typing import Any

import click
import pytest
from click.testing import CliRunner

from transports.cli.telephony import telephony_options
from transports.telephony import TelephonyConfig

KEY = base64.b64encode(
    bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
).decode()

PHONE_KEY = f"pf_abcdefghij_{'x' * 43}"


def config(*arguments: str, **env: str) -> TelephonyConfig:
    """What the command gets."""
    got: list[TelephonyConfig] = []

    @click.command(context_settings={"auto_envvar_prefix": "PARROTFISH"})
    @telephony_options
    def serve(telephony: TelephonyConfig) -> None:
        got.append(telephony)

    result = CliRunner(env=env).invoke(serve, arguments)
    assert result.exit_code == 0, result.output
    return got[0]


def test_nothing_given_is_as_the_config_has_it() -> None:
    assert config() == TelephonyConfig()


@pytest.mark.parametrize(
    ("arguments", "env"),
    [
        (("--twilio-token", "12345", "--telnyx-key", KEY, "--phone-key", PHONE_KEY), {}),
        (
            (),
            {
                "PARROTFISH_TWILIO_TOKEN": "12345",
                "PARROTFISH_TELNYX_KEY": KEY,
                "PARROTFISH_PHONE_KEY": PHONE_KEY,
            },
        ),
    ],
)
def test_secrets_come_as_options_or_from_the_environment(
    arguments: tuple[str, ...], env: dict[str, Any]
) -> None:
    got = config(*arguments, **env)
    assert (got.twilio_token, got.telnyx_key, got.api_key) == ("12345", KEY, PHONE_KEY)
    assert "12345" not in repr(got)
    assert PHONE_KEY not in repr(got)


def test_an_empty_variable_is_no_secret() -> None:
    got = config(PARROTFISH_TWILIO_TOKEN="", PARROTFISH_TELNYX_KEY="", PARROTFISH_PHONE_KEY="")
    assert got == TelephonyConfig()


def test_limits() -> None:
    got = config("--max-calls", "3", "--max-call", "0.5", "--max-silence", "20")
    assert (got.max_calls, got.max_seconds, got.silence_seconds) == (3, 30.0, 20.0)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--telnyx-key", "secret"],
        ["--phone-key", "pf_abcdefghij_x"],
        ["--max-calls", "0"],
        ["--max-call", "0"],
        ["--max-silence", "0"],
    ],
)
def test_a_bad_one_is_a_usage_error_that_names_it(arguments: list[str]) -> None:
    @click.command
    @telephony_options
    def serve(telephony: TelephonyConfig) -> None:
        raise AssertionError("it is not run")

    result = CliRunner().invoke(serve, arguments)
    assert result.exit_code == 2
    assert arguments[0] in result.output
