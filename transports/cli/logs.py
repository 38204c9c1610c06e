"""What the server that the command line starts writes into its log."""

import functools
from collections.abc import Callable
from typing import Any, get_args

import click

from engine.logs import LogConfig, LogFormat, LogLevel

Command = Callable[..., Any]

_DEFAULTS = LogConfig()

_OPTIONS = [
    click.option(
        "--log-level", default=_DEFAULTS.level, type=click.Choice(get_args(LogLevel)), help="How much to log."
    ),
    click.option(
        "--log-format",
        default=_DEFAULTS.format,
        type=click.Choice(get_args(LogFormat)),
        help="Lines for people, or a JSON object a line for programs.",
    ),
    click.option(
        "--log-text",
        is_flag=True,
        help="Log also what is spoken, heard and thought, the texts of errors, and what libraries tell below the "
        "level of warnings. Without it no log has any text of a user.",
    ),
]


def log_options(command: Command) -> Command:
    """Adds ``--log-level`` and its kin to a command, which gets them as ``log``."""

    @functools.wraps(command)
    def chosen(*, log_level: LogLevel, log_format: LogFormat, log_text: bool, **others: Any) -> Any:
        return command(log=LogConfig(log_level, log_format, log_text), **others)

    decorated: Command = chosen
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
