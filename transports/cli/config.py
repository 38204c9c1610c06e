"""``parrotfish config``."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import click
from click.core import ParameterSource

from transports.cli.configuration import file_of, key_of, shown
from transports.cli.environment import check_environment
from transports.cli.model import ModelCommand
from transports.cli.serve import serve

_WIDEST = 60  # characters of a value that is read by people


@dataclass(frozen=True, slots=True)
class Setting:
    """An option as ``serve`` would have it: where its value came from, and by what name it was there.

    ``unset`` is what it means that there is no value.
    """

    option: str
    value: Any
    source: str
    name: str = ""
    unset: str = ""


def _show(context: click.Context, /, *, as_json: bool, **_: Any) -> None:
    """Print the options that parrotfish serve would have here, and where each of them came from.

    It takes the same options. Passwords, tokens and keys are not printed.
    """
    check_environment(context, serve)
    settings = list(_settings(context))
    file = file_of(context)
    if as_json:
        told = {"config": str(file) if file else None, "settings": [asdict(setting) for setting in settings]}
        click.echo(json.dumps(told, indent=2))
        return
    rows = [(one.option, _text(one.value, one.unset), one.source, one.name) for one in settings]
    options, values = (max(len(row[column]) for row in rows) for column in (0, 1))
    for option, value, source, name in rows:
        click.echo(f"{option:{options}}  {value:{values}}  {source} {name}".rstrip())


def _settings(context: click.Context) -> Iterator[Setting]:
    for option in serve.params:
        if not isinstance(option, click.Option) or not option.expose_value or option.name is None:
            continue
        value = context.params[option.name]
        source, name = _origin(context, option)
        unset = option.show_default if isinstance(option.show_default, str) and not value else ""
        yield Setting(key_of(option), _plain(value, option), source, name, unset)


def _origin(context: click.Context, option: click.Option) -> tuple[str, str]:
    """Where an option's value came from, and what it is called there."""
    assert option.name is not None
    match context.get_parameter_source(option.name):
        case ParameterSource.COMMANDLINE:
            return "command line", option.opts[0]
        case ParameterSource.ENVIRONMENT:
            return "environment", _variable(context, option)
        case ParameterSource.DEFAULT_MAP:
            return "file", str(file_of(context))
        case _:
            return "default", ""


def _variable(context: click.Context, option: click.Option) -> str:
    """The environment variable that an option was set by."""
    assert option.name is not None
    named = [option.envvar] if isinstance(option.envvar, str) else list(option.envvar or ())
    return next(
        (name for name in named if os.environ.get(name)),
        f"{context.auto_envvar_prefix}_{option.name.upper()}",
    )


def _plain(value: Any, option: click.Option) -> Any:
    """A value as JSON has it, without what is secret in it."""
    match value:
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {str(key): _plain(item, option) for key, item in value.items()}
        case tuple() | list():
            return [_plain(item, option) for item in value]
        case _:
            return shown(option, str(value))


def _text(value: Any, unset: str) -> str:
    """A value in one line, shortened if need be; in brackets what holds without one."""
    line = " ".join((f"({unset})" if unset else _words(value)).split())
    return line if len(line) <= _WIDEST else f"{line[: _WIDEST - 1]}…"


def _words(value: Any) -> str:
    match value:
        case None | "":
            return "-"
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(f"{key}={item}" for key, item in value.items()) or "-"
        case list():
            return ", ".join(map(_words, value)) or "-"
        case _:
            return str(value)


config = ModelCommand(
    name="config",
    callback=click.pass_context(_show),
    params=[*serve.params, click.Option(["--json", "as_json"], is_flag=True, help="As JSON, for programs.")],
    help=_show.__doc__,
    context_settings=serve.context_settings,
)
