"""The options of ``parrotfish serve`` for agents."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from realtime.mind import ChatConfig
from realtime.turns import PauseSettings
from transports.agent.config import AgentSettings
from transports.cli.types import Number, Url

Command = Callable[..., Any]

_DEFAULTS = AgentSettings()
_SMART_TURN = "smart-turn"


def agent_options(command: Command) -> Command:
    """Adds the options to a command, which gets an ``agent``: AgentSettings."""

    @functools.wraps(command)
    def chosen(
        *,
        llm_url: str | None,
        llm_model: str | None,
        llm_key_env: str,
        instructions: str,
        greeting: str,
        agent_voice: str,
        agent_language: str | None,
        pause: float,
        turn_model: str | None,
        filler: str,
        filler_after: float,
        max_agents: int,
        **others: Any,
    ) -> Any:
        agent = AgentSettings(
            chat=_chat(llm_url, llm_model, llm_key_env),
            instructions=instructions,
            greeting=greeting,
            voice=agent_voice,
            language=agent_language,
            pauses=_pauses(pause),
            turn_model=_turn_model(turn_model),
            filler=filler,
            filler_after=filler_after,
            max_agents=max_agents,
        )
        return command(agent=agent, **others)

    decorated: Command = chosen
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def _chat(url: str | None, model: str | None, key_variable: str) -> ChatConfig | None:
    if url is None and model is None:
        return None
    if url is None or model is None:
        raise click.UsageError("--llm-url and --llm-model belong together")
    return ChatConfig(url, model, os.environ.get(key_variable))


def _pauses(pause: float) -> PauseSettings:
    usual = _DEFAULTS.pauses
    return PauseSettings(pause, min(pause, usual.shortest), max(pause, usual.longest))


def _turn_model(given: str | None) -> Path | None:
    if given is None:
        return None
    path = Path() if given == _SMART_TURN else Path(given)
    if path != Path() and not path.is_file():
        raise click.BadParameter(
            f"there is no file {given!r}; expected {_SMART_TURN} or a path", param_hint="--turn-model"
        )
    return path


def _text(_: click.Context, parameter: click.Parameter, value: str) -> str:
    """The text, or with @ before it the file of that name."""
    if not value.startswith("@"):
        return value
    try:
        return Path(value[1:]).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{value}: {error}", param=parameter) from None


_OPTIONS = [
    click.option(
        "--llm-url",
        type=Url("http", "https"),
        metavar="URL",
        help="Base of an OpenAI-compatible API, up to and with /v1, whose language model answers callers of "
        "agents. Without one they say back what they understood.",
    ),
    click.option("--llm-model", metavar="NAME", help="What the language model is called there."),
    click.option(
        "--llm-key-env",
        default="OPENAI_API_KEY",
        metavar="NAME",
        help="Environment variable that holds the key of that API.",
    ),
    click.option(
        "--instructions",
        default=_DEFAULTS.instructions,
        callback=_text,
        metavar="TEXT",
        help="What agents are told to be (the system prompt); @FILE reads it from a file.",
    ),
    click.option(
        "--greeting",
        default=_DEFAULTS.greeting,
        callback=_text,
        metavar="TEXT",
        help="What agents say first; nothing, unless given.",
    ),
    click.option(
        "--agent-voice",
        default=_DEFAULTS.voice,
        metavar="VOICE",
        help="The voice of agents: one of the model's, or of the library.",
    ),
    click.option(
        "--agent-language",
        metavar="CODE",
        help="What callers of agents speak; found out, unless given.",
    ),
    click.option(
        "--pause",
        default=_DEFAULTS.pauses.pause,
        type=Number(0.2, 3.0),
        metavar="SECONDS",
        help="Silence after which a caller's turn counts as over, at first: it is adapted to his own pauses.",
    ),
    click.option(
        "--turn-model",
        metavar="PATH",
        help=f"Judges by the sound of a turn whether it is complete: {_SMART_TURN} (found in an installed "
        "pipecat-ai, or fetched from the Hugging Face hub), or the path of its ONNX file.",
    ),
    click.option(
        "--filler",
        default=_DEFAULTS.filler,
        metavar="TEXT",
        help="What agents say while the language model is slow, such as 'One moment.'; nothing, unless given.",
    ),
    click.option(
        "--filler-after",
        default=_DEFAULTS.filler_after,
        type=Number(0.0),
        metavar="SECONDS",
        help="When the language model is slow.",
    ),
    click.option(
        "--max-agents",
        default=_DEFAULTS.max_agents,
        type=click.IntRange(0),
        help="Conversations of agents at a time; more are refused.",
    ),
]
