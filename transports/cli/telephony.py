"""The options of ``parrotfish serve`` for telephone calls."""

import functools
from collections.abc import Callable
from typing import Any

import click

from transports.accounts.secret import key_id
from transports.cli.types import Number
from transports.telephony import TelephonyConfig, check_telnyx_key

Command = Callable[..., Any]

_DEFAULTS = TelephonyConfig()


def telephony_options(command: Command) -> Command:
    """Adds the options to a command, which gets a ``telephony``: a TelephonyConfig."""

    @functools.wraps(command)
    def chosen(
        *,
        twilio_token: str | None,
        telnyx_key: str | None,
        phone_key: str | None,
        max_calls: int,
        max_call: float,
        max_silence: float,
        **others: Any,
    ) -> Any:
        config = TelephonyConfig(
            twilio_token=twilio_token or None,
            telnyx_key=telnyx_key or None,
            api_key=phone_key or None,
            max_calls=max_calls,
            max_seconds=max_call * 60,
            silence_seconds=max_silence,
        )
        return command(telephony=config, **others)

    decorated: Command = chosen
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def _public_key(_: click.Context, parameter: click.Parameter, key: str | None) -> str | None:
    if key:
        try:
            check_telnyx_key(key)
        except ValueError as error:
            raise click.BadParameter(str(error), param=parameter) from None
    return key


def _api_key(_: click.Context, parameter: click.Parameter, key: str | None) -> str | None:
    if key and key_id(key) is None:
        raise click.BadParameter(
            "it is no API key; expected one as parrotfish keys create prints it, pf_ and so on",
            param=parameter,
        )
    return key


_OPTIONS = [
    click.option(
        "--twilio-token",
        hide_input=True,
        envvar="PARROTFISH_TWILIO_TOKEN",
        show_envvar=True,
        metavar="TOKEN",
        help="Auth token of the Twilio account whose numbers call this server; what bears no signature of it is "
        "refused. Better set in the environment, where other users do not see it.",
    ),
    click.option(
        "--telnyx-key",
        callback=_public_key,
        metavar="KEY",
        help="Public key of the Telnyx account whose numbers call this server.",
    ),
    click.option(
        "--phone-key",
        callback=_api_key,
        hide_input=True,
        envvar="PARROTFISH_PHONE_KEY",
        show_envvar=True,
        metavar="KEY",
        help="The API key of this server whose account pays for calls; none is needed where the server is open. "
        "Better set in the environment.",
    ),
    click.option(
        "--max-calls", default=_DEFAULTS.max_calls, type=click.IntRange(1), help="Telephone calls at a time."
    ),
    click.option(
        "--max-call",
        default=_DEFAULTS.max_seconds / 60,
        type=Number(0.1),
        metavar="MINUTES",
        help="How long one may be.",
    ),
    click.option(
        "--max-silence",
        default=_DEFAULTS.silence_seconds,
        type=Number(1.0),
        metavar="SECONDS",
        help="A call in which neither side says anything for so long is ended.",
    ),
]
