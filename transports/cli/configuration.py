"""Options that are read from a file: under the command line and the environment, above what is built in.

The file is TOML. Its keys are the options of ``parrotfish serve`` without their dashes; tables are headings.
"""

import datetime
import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from transports.cli.types import Url

FILE_NAME = "parrotfish.toml"
"""What the file is called that is read if no other is named. It lies in the usual data folder."""

OPTION = "config"
_PAIRS = "voice-alias"  # a table of this name is its value, for it is one
_JSON = "engine-fields"  # likewise
_HIDDEN = "***"


def with_file(command: click.Command) -> click.Command:
    """Give a command ``--config``, once; and those of a group to each of its commands."""
    if all(parameter.name != OPTION for parameter in command.params):
        command.params.append(
            click.Option(
                ["--config"],
                type=click.Path(exists=True, dir_okay=False, path_type=Path),
                callback=_read,
                is_eager=True,  # before other options look for their values
                expose_value=False,
                envvar="PARROTFISH_CONFIG",
                show_envvar=True,
                show_default=f"{FILE_NAME} in the data folder, if it is there",
                help="TOML file with options, under the environment and the command line.",
            )
        )
        for inner in command.commands.values() if isinstance(command, click.Group) else ():
            with_file(inner)
    return command


def file_of(context: click.Context) -> Path | None:
    """The file that the options of a command were read from."""
    found: Path | None = context.meta.get(__name__)
    return found


def is_secret(option: click.Parameter) -> bool:
    """Whether nobody should read an option's value: the option says so by ``hide_input``."""
    return bool(getattr(option, "hide_input", False))


def shown(option: click.Parameter, value: str) -> str:
    """A value of an option without what is secret in it."""
    from engine.urls import hide_in_urls, without_secrets  # inside: help must not wait for it

    if is_secret(option):
        return _HIDDEN if value else ""
    if isinstance(option.type, Url):
        return without_secrets(value)
    if key_of(option) == _JSON:
        return _without_texts(value)
    return hide_in_urls(value)


def _without_texts(fields: str) -> str:
    """A JSON object without the texts in it, any of which may be a key."""
    try:
        found = json.loads(fields)
    except json.JSONDecodeError:
        return _HIDDEN
    if not isinstance(found, dict):
        return _HIDDEN
    return json.dumps(
        {name: _HIDDEN if isinstance(value, str | list | dict) else value for name, value in found.items()}
    )


def key_of(option: click.Parameter) -> str:
    """What an option is called in a file."""
    return option.opts[0].removeprefix("--")


def _read(context: click.Context, _: click.Parameter, given: Path | None) -> None:
    from transports.settings import default_data  # inside: help must not wait for it

    written = context.get_parameter_source(OPTION) is ParameterSource.COMMANDLINE
    if file_of(context) is not None and not written:
        return  # the group around this command has read the file
    file = given or default_data() / FILE_NAME
    if given is None and not file.is_file():
        return
    values = {}
    for option, value in _values(file):
        _check(context, file, option, value)
        values[option.name or ""] = value
    context.meta[__name__] = file
    context.default_map = _for_commands(context.command, values)


def _for_commands(command: click.Command, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values for a command's context, and under their names for those of its own commands."""
    own: dict[str, Any] = dict(values)
    if isinstance(command, click.Group):
        own |= {name: _for_commands(inner, values) for name, inner in command.commands.items()}
    return own


def _values(file: Path) -> Iterator[tuple[click.Option, str | list[str]]]:
    """The options that are set in a file, with what could stand on a command line."""
    serve: click.Command = import_module("transports.cli.serve").serve
    options = {
        key_of(one): one for one in serve.params if isinstance(one, click.Option) and one.name != OPTION
    }
    seen = set()
    for written, value in _settings(file):
        key = written.replace("_", "-")
        if key not in options:
            near = difflib.get_close_matches(key, options, 1)
            advice = f"did you mean {near[0]}?" if near else "parrotfish config lists all that there are"
            raise click.ClickException(f"{file}: {written}: there is no such option; {advice}")
        if key in seen:
            raise click.ClickException(f"{file}: {written}: it is there twice")
        seen.add(key)
        yield options[key], _as_written(file, key, value, repeated=options[key].multiple)


def _settings(file: Path) -> Iterator[tuple[str, Any]]:
    """Keys and their values, wherever in the file they stand."""
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise click.ClickException(f"{file}: {error}") from None
    for key, value in content.items():
        if isinstance(value, dict) and key.replace("_", "-") not in (_PAIRS, _JSON):
            yield from value.items()
        else:
            yield key, value


def _as_written(file: Path, key: str, value: Any, *, repeated: bool) -> str | list[str]:
    """A value as it would be written on a command line."""
    match value:
        case dict() if key == _PAIRS:
            return [f"{name}={_word(file, key, voice)}" for name, voice in value.items()]
        case dict() if key == _JSON:
            return json.dumps(value)
        case list() if repeated:
            return [_word(file, key, item) for item in value]
        case _:
            word = _word(file, key, value)
            return [word] if repeated else word


def _word(file: Path, key: str, value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int() | float() | datetime.date() | datetime.time():
            return str(value)
        case _:
            kind = "a list" if isinstance(value, list) else "a table"
            raise click.ClickException(f"{file}: {key}: got {kind}; expected one value")


def _check(context: click.Context, file: Path, option: click.Option, value: str | list[str]) -> None:
    """See that a value would do, also where another one will be used: a wrong one is a mistake in any case."""
    try:
        option.process_value(context, value)
    except click.BadParameter as error:
        written = [shown(option, one) for one in value] if isinstance(value, list) else shown(option, value)
        told = "this value cannot be used" if is_secret(option) else f"{written!r}: {error.message}"
        raise click.ClickException(f"{file}: {key_of(option)}: {told}") from None
