"""Where the server's models run: on a thread of its own process, or in worker processes."""

import functools
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import click

from engine import Models, ModelSpec, ModelUnavailable, ProcessConfig, SpeechModel
from engine.process import shares, threads_each
from transports.cli.model import ModelChoice
from transports.cli.types import Number

Command = Callable[..., Any]

GPUS: Literal["gpus"] = "gpus"

_DEFAULTS = ProcessConfig()
_GPU_SECONDS = 120.0  # to import torch on a slow disk


@dataclass(frozen=True, slots=True)
class WorkersChoice:
    """How many worker processes were asked for, None for none, and how they are looked after."""

    count: int | Literal["gpus"] | None = None
    config: ProcessConfig = _DEFAULTS

    def models(
        self, model: ModelChoice, max_streams: int | None, aliases: Mapping[str, str], agent_voice: str = ""
    ) -> Models:
        """What makes a model that has been fetched, to speak up to ``max_streams`` at a time in all.

        It must have the voices that ``aliases`` stand for, and ``agent_voice`` if that is given.
        Raises :class:`click.ClickException` for what cannot be.
        """
        if self.count is None:
            return functools.partial(load, model, max_streams, dict(aliases), agent_voice)
        if model.remote:
            raise click.UsageError(
                f"--workers is for models that run here; --engine {model.engine} needs none"
            )
        choices = self._choices(model)
        try:
            limits = shares(max_streams, len(choices)) if max_streams is not None else [None] * len(choices)
        except ValueError:
            raise click.UsageError(
                f"--max-streams {max_streams} is less than one for each of {len(choices)} workers"
            ) from None
        environment = {} if len(choices) == 1 else threads_each(len(choices))
        return [
            ModelSpec(
                f"{__name__}:load_described",
                {
                    "model": _described(choice),
                    "max_streams": limit,
                    "aliases": dict(aliases),
                    "agent_voice": agent_voice,
                },
                environment,
            )
            for choice, limit in zip(choices, limits, strict=True)
        ]

    def _choices(self, model: ModelChoice) -> list[ModelChoice]:
        """The model of each worker: the same, on one device or another."""
        assert self.count is not None
        if model.bundled:
            if self.count == GPUS:
                raise click.UsageError(f"--workers {GPUS}: {model.name} runs on processors; give a number")
            return [model] * self.count
        asked = model.options.get("device", "auto")
        places = devices(self.count, asked, _count_gpus, shared="kv_memory" in model.options)
        return [replace(model, options={**model.options, "device": place}) for place in places]


def devices(
    count: int | Literal["gpus"], asked: str, count_gpus: Callable[[], int], *, shared: bool
) -> list[str]:
    """The device of each worker of an S2 model for which ``asked`` was given as --device.

    Only what is ``shared``, by a limit on its memory, may have several workers.
    Raises :class:`click.ClickException` for what cannot be.
    """
    if asked in ("auto", "cuda"):
        gpus = [f"cuda:{number}" for number in range(count_gpus())]
        if count == GPUS and not gpus:
            raise click.ClickException(f"--workers {GPUS}: torch sees no GPU here; give a number")
        found = gpus or ["cpu" if asked == "auto" else asked]
    elif count == GPUS:
        raise click.UsageError(f"--workers {GPUS} takes every GPU, --device {asked} only one; give a number")
    else:
        found = [asked]
    number = len(found) if count == GPUS else count
    if number > len(found) and found[0] != "cpu" and not shared:
        raise click.UsageError(
            f"--workers {number} on {', '.join(found)}: those that share a GPU need --kv-memory, or the first "
            "takes it all"
        )
    return [found[place % len(found)] for place in range(number)]


def load(
    model: ModelChoice, max_streams: int | None, aliases: Mapping[str, str], agent_voice: str
) -> SpeechModel:
    """The model, which has the voices that options name. Raises :class:`click.ClickException`."""
    loaded = model.load(max_streams)
    named = [("--voice-alias", f"{name}={voice}", voice) for name, voice in aliases.items()]
    if agent_voice:
        named.append(("--agent-voice", agent_voice, agent_voice))
    for option, given, voice in named:
        if voice not in loaded.info.voice_ids:
            loaded.close()
            known = ", ".join(loaded.info.voice_ids)
            raise click.BadParameter(f"{given}: the voices are {known}", param_hint=option)
    return loaded


def load_described(
    model: Mapping[str, Any], max_streams: int | None, aliases: Mapping[str, str], agent_voice: str
) -> SpeechModel:
    """The same in a worker's process. Raises :class:`ModelUnavailable` with what the operator is to read."""
    options = {
        name: Path(value) if name == "voices" else tuple(value) if isinstance(value, list) else value
        for name, value in model["options"].items()
    }
    try:
        return load(ModelChoice(model["name"], options, model["engine"]), max_streams, aliases, agent_voice)
    except click.ClickException as error:
        raise ModelUnavailable(error.format_message()) from error


def _described(model: ModelChoice) -> dict[str, Any]:
    """A choice as JSON can say it."""
    options = {
        name: str(value) if isinstance(value, Path) else value for name, value in model.options.items()
    }
    return {"name": model.name, "options": options, "engine": model.engine}


def _count_gpus() -> int:
    """How many GPUs torch would see. Another process asks, for this one shall not load it."""
    command = [sys.executable, "-c", "import torch; print(torch.cuda.device_count())"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_GPU_SECONDS, check=True)  # noqa: S603
        return int(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise click.ClickException(f"the GPUs could not be counted: {error}") from None


def _count(_: click.Context, parameter: click.Parameter, value: str | None) -> int | str | None:
    if value is None or value == GPUS:
        return value
    if not value.isascii() or not value.isdigit() or not 0 < int(value) <= 256:
        raise click.BadParameter(f"{value!r} is neither a number from 1 to 256 nor {GPUS}", param=parameter)
    return int(value)


_OPTIONS = [
    click.option(
        "--workers",
        callback=_count,
        metavar="N|gpus",
        show_default="none: the model is on a thread of the server",
        help="Processes that speak, each with a model of its own: so many, or one for each GPU. When one "
        "crashes, its streams end, and it is started again.",
    ),
    click.option(
        "--worker-timeout",
        default=_DEFAULTS.hang_seconds,
        type=Number(1.0),
        metavar="SECONDS",
        help="A worker whose model takes longer for one step has hung, and is started again.",
    ),
]


def worker_options(command: Command) -> Command:
    """Adds ``--workers`` and its kin to a command, which gets them as ``workers``."""

    @functools.wraps(command)
    def chosen(*, workers: int | Literal["gpus"] | None, worker_timeout: float, **others: Any) -> Any:
        choice = WorkersChoice(workers, ProcessConfig(hang_seconds=worker_timeout))
        return command(workers=choice, **others)

    decorated: Command = chosen
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
