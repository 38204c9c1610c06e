"""The options for a model that is an OpenAI-compatible speech endpoint."""

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click
import orjson

from transports.cli.types import Number, Url

if TYPE_CHECKING:
    from engine.models.openai_speech import OpenAISpeechConfig

Command = Callable[..., Any]

ENDPOINT = "openai-speech"
"""The engine that these options are for."""

_CLONING = ("none", "one", "all")
_SPEEDS = (0.1, 10.0)  # beyond, no number makes sense
_DEFAULT_STREAMS = 64
_DEFAULT_KEY_VARIABLE = "OPENAI_API_KEY"


class EndpointOption(click.Option):
    """An option that only a speech endpoint understands."""


def endpoint_config(options: Mapping[str, Any], max_streams: int | None) -> "OpenAISpeechConfig":
    """The endpoint that options describe: names of parameters and the values that were given."""
    from engine.models.openai_speech import OpenAISpeechConfig

    given = {name.removeprefix("engine_"): value for name, value in options.items()}
    given["url"] = given["url"].rstrip("/")
    given["key"] = os.environ.get(given.pop("key_env", _DEFAULT_KEY_VARIABLE)) or None
    for name, ours in (
        ("rate", "sample_rate"),
        ("tags", "reads_tags"),
        ("references", "cloning"),
        ("silence", "silence_seconds"),
    ):
        if name in given:
            given[ours] = given.pop(name)
    if "speeds" in given:
        given["speeds"] = _range(given["speeds"])
    if "fields" in given:
        given["fields"] = orjson.loads(given["fields"])
    return OpenAISpeechConfig(max_streams=max_streams or _DEFAULT_STREAMS, **given)


def _voices(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(name for value in values for part in value.split(",") if (name := part.strip()))
    )


def _range(text: str) -> tuple[float, float]:
    slowest, _, fastest = text.partition("-")
    return float(slowest), float(fastest)


def _speeds(_: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        slowest, fastest = _range(value)
    except ValueError:
        slowest, fastest = 0.0, 0.0
    if not _SPEEDS[0] <= slowest <= 1.0 <= fastest <= _SPEEDS[1]:
        raise click.BadParameter(
            f"{value!r} is not of the form SLOWEST-FASTEST with 1 in between, such as 0.25-4", param=parameter
        )
    return value


def _fields(_: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    try:
        found = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise click.BadParameter(f"it is no JSON: {error}", param=parameter) from None
    if not isinstance(found, dict):
        raise click.BadParameter("it is no JSON object", param=parameter)
    return value


def _option(flags: str, **attributes: Any) -> tuple[str, Callable[[Command], Command]]:
    """The parameter's name, and the decorator that adds it."""
    name = flags.partition("/")[0].removeprefix("--").replace("-", "_")
    return name, click.option(flags, cls=EndpointOption, envvar=f"PARROTFISH_{name.upper()}", **attributes)


ENDPOINT_OPTIONS = dict(
    [
        _option(
            "--engine-url",
            type=Url("http", "https"),
            metavar="URL",
            help="Base of the endpoint, up to and with /v1.",
        ),
        _option(
            "--engine-model",
            metavar="NAME",
            show_default="the only one there, or tts-1",
            help="What the model is called there.",
        ),
        _option(
            "--engine-voices",
            multiple=True,
            callback=_voices,
            metavar="ID[,ID...]",
            show_default="those that it lists",
            help="Voices that it has, the default one first. May be repeated.",
        ),
        _option(
            "--engine-key-env",
            metavar="NAME",
            show_default=_DEFAULT_KEY_VARIABLE,
            help="Environment variable that holds its key.",
        ),
        _option(
            "--engine-rate",
            type=click.IntRange(8_000, 192_000),
            metavar="HZ",
            show_default="24000",
            help="Sample rate of its PCM, where its answers do not tell, and of what is made of it.",
        ),
        _option(
            "--engine-tags/--no-engine-tags",
            default=None,
            show_default="no-engine-tags",
            help="It reads [tags] in the text, as S2-Pro does.",
        ),
        _option(
            "--engine-references",
            type=click.Choice(_CLONING),
            show_default="none",
            help="It clones voices from recordings that come with a request: one (vLLM-Omni) or all "
            "(SGLang-Omni) of a voice's.",
        ),
        _option(
            "--engine-sampling/--no-engine-sampling",
            default=None,
            show_default="no-engine-sampling",
            help="It takes temperature, top_p, repetition_penalty, max_new_tokens and seed.",
        ),
        _option(
            "--engine-speeds",
            callback=_speeds,
            metavar="SLOWEST-FASTEST",
            show_default="none: speech is stretched here",
            help="The range in which its own speed field works well, such as 0.25-4.",
        ),
        _option(
            "--engine-fields",
            callback=_fields,
            metavar="JSON",
            help="""More fields for every request, such as '{"instructions": "Speak calmly."}'; null leaves """
            "one out that would be there.",
        ),
        _option(
            "--engine-loudness",
            type=Number(-60, 0),
            metavar="LUFS",
            show_default="-20",
            help="How loud its voices are, for the first syllables; then it is measured.",
        ),
        _option(
            "--engine-silence",
            type=Number(0.1),
            metavar="SECONDS",
            show_default="30",
            help="After so long without an answer, or in the middle of one, it counts as broken.",
        ),
    ]
)
