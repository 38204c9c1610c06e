"""Which recogniser the command line hears with."""

import functools
from collections.abc import Callable
from typing import Any

import click

from realtime.ears.choice import DEFAULT_REMOTE, DEFAULT_URL, DEFAULT_WHISPER, KINDS, RecogniserChoice
from transports.cli.types import Url

Command = Callable[..., Any]

_DEFAULTS = RecogniserChoice()


def recogniser_options(*, may_be_none: bool) -> Callable[[Command], Command]:
    """Adds ``--asr`` and its kin to a command, which gets an ``asr``: a RecogniserChoice, or None for "none"."""

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def chosen(
            *, asr: str, asr_model: str | None, asr_url: str | None, asr_key_env: str, **others: Any
        ) -> Any:
            return command(asr=_choice(asr, asr_model, asr_url, asr_key_env, may_be_none), **others)

        decorated: Command = chosen
        for option in reversed(_options(may_be_none)):
            decorated = option(decorated)
        return decorated

    return decorate


def _options(may_be_none: bool) -> list[Callable[[Command], Command]]:
    off = "; none recognises nothing" if may_be_none else ""
    return [
        click.option(
            "--asr",
            default=_DEFAULTS.kind,
            metavar="RECOGNISER",
            help="What recognises speech: moonshine (bundled, English), whisper or whisper:MODEL (a folder, or a "
            f"name such as large-v3), or openai (any server with OpenAI's transcription endpoint){off}.",
        ),
        click.option(
            "--asr-model",
            metavar="NAME",
            show_default=f"{DEFAULT_REMOTE}; for whisper {DEFAULT_WHISPER}",
            help="What the recogniser's model is called.",
        ),
        click.option(
            "--asr-url",
            type=Url("http", "https"),
            metavar="URL",
            show_default=DEFAULT_URL,
            help="Base of the endpoint for --asr openai, up to and with /v1.",
        ),
        click.option(
            "--asr-key-env",
            default=_DEFAULTS.key_variable,
            metavar="NAME",
            help="Environment variable that holds the endpoint's key.",
        ),
    ]


def _choice(
    asr: str, model: str | None, url: str | None, key_variable: str, may_be_none: bool
) -> RecogniserChoice | None:
    kind, _, named = asr.partition(":")
    if asr == "none" and may_be_none:
        return None
    if kind not in KINDS or (named and kind != "whisper"):
        expected = "moonshine, whisper, whisper:MODEL, openai" + (" or none" if may_be_none else "")
        raise click.BadParameter(f"{asr!r} is not one of {expected}", param_hint="--asr")
    if url and kind != "openai":
        raise click.UsageError("--asr-url is for --asr openai")
    if model and (named or kind == "moonshine"):
        raise click.UsageError(
            "--asr-model is for --asr whisper and --asr openai, where no model is named yet"
        )
    return RecogniserChoice(kind, model or named, url or "", key_variable)
