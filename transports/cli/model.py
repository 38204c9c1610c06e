"""Which model the command line speaks with, and how that is run."""

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from engine import EngineError, SpeechModel
from engine.speech import Voice
from transports.cli.endpoint import ENDPOINT, ENDPOINT_OPTIONS, EndpointOption, endpoint_config
from transports.cli.sglang import SGLANG, SGLANG_OPTIONS, SGLangOption, sglang_options
from transports.cli.types import Number

if TYPE_CHECKING:
    from engine.models.dual_ar import DualAROptions
    from engine.models.openai_speech import OpenAISpeechConfig

BUNDLED = "hibari"
BUILT_IN = "builtin"
ENGINES = (BUILT_IN, SGLANG, ENDPOINT)
"""What may compute the speech."""

Command = Callable[..., Any]

_GIB = 1024**3
_ON_HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_FILES = ["*.json", "*.safetensors", "*.pth", "*.tiktoken"]  # of a checkpoint, without pictures and the like
_DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]{1,3})?")
_POSSIBLE = (
    f"it must be {BUNDLED} (the bundled voice), a folder with a checkpoint of S2-Pro or S1-mini, or the "
    "owner/name of one on the Hugging Face hub, such as fishaudio/s2-pro"
)


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model that was asked for, what computes its speech, and the options that were given for it.

    ``options`` are parameter names and their values: those of the engine, or of S2 models.
    """

    name: str = BUNDLED
    options: Mapping[str, Any] = field(default_factory=dict)
    engine: str = BUILT_IN

    @property
    def bundled(self) -> bool:
        """Whether it is the voice that comes with parrotfish."""
        return self.name == BUNDLED and not self.remote

    @property
    def remote(self) -> bool:
        """Whether the speech comes from an endpoint, and nothing of a model is needed here."""
        return self.engine == ENDPOINT

    def fetched(self) -> "ModelChoice":
        """The same, with its files on this machine: ``name`` is then a folder, unless it is the bundled one.

        Raises :class:`click.ClickException`, also if what such a model needs is not installed.
        """
        if self.bundled or self.remote:
            return self
        folder = Path(self.name).expanduser()
        if not folder.is_dir() and not _ON_HUB.fullmatch(self.name):
            raise click.BadParameter(f"there is no model {self.name!r}; {_POSSIBLE}", param_hint="--model")
        _find_dual_ar()
        return replace(self, name=str(folder if folder.is_dir() else _fetch(self.name)))

    def load(self, max_streams: int | None) -> SpeechModel:
        """The model, to speak up to ``max_streams`` at a time; None is what suits it. It has been fetched.

        Raises :class:`click.ClickException` for what the caller can do something about, else whatever happens.
        """
        if self.bundled:
            from engine.models.hibari import (
                HibariModel,
            )  # inside: its import is the slowest part of loading it

            return HibariModel()
        if self.remote:
            from engine.models.openai_speech import OpenAISpeechModel

            return OpenAISpeechModel(self._endpoint(max_streams))
        _import_dual_ar()
        from engine.models.dual_ar import load_dual_ar

        try:
            if self.engine == SGLANG:
                from engine.models.sglang import load_sglang

                how = sglang_options(self.options)
                return load_sglang(Path(self.name), self._dual_ar_options(max_streams), how)
            return load_dual_ar(Path(self.name), self._dual_ar_options(max_streams))
        except (EngineError, ValueError) as error:
            raise click.ClickException(str(error)) from error

    def voices(self) -> tuple[Voice, ...]:
        """The voices, the default one first, without loading more than need be. The model has been fetched.

        Raises as :meth:`load` does.
        """
        if self.bundled:
            info = self.load(None).info
            return tuple(sorted(info.voices, key=lambda voice: voice.id != info.default_voice))
        if self.remote:
            from engine.models.openai_speech import voices_of

            return voices_of(self._endpoint(None))
        _import_dual_ar()
        from engine.models.dual_ar.config import read_config
        from engine.models.dual_ar.voices import list_voices, read_voices

        try:
            read_config(Path(self.name))
            folder = self.options.get("voices")
            return list_voices(read_voices(folder) if folder else ())
        except (EngineError, ValueError) as error:
            raise click.ClickException(str(error)) from error

    def arguments(self) -> list[str]:
        """What to write on a command line to choose the same."""
        arguments = [] if self.engine == BUILT_IN else ["--engine", self.engine]
        if not self.remote:
            arguments += ["--model", self.name]
        for name, value in self.options.items():
            option = "--" + name.replace("_", "-")
            if isinstance(value, bool):
                arguments.append(option if value else option.replace("--", "--no-", 1))
            else:
                arguments += [option, ",".join(value) if isinstance(value, tuple) else str(value)]
        return arguments

    def _endpoint(self, max_streams: int | None) -> "OpenAISpeechConfig":
        """The endpoint, and what it says of itself. Raises :class:`click.ClickException`."""
        from engine.models.openai_speech import EndpointError, discover

        try:
            return discover(endpoint_config(self.options, max_streams))
        except EndpointError as error:
            option = {"key": "key-env"}.get(error.missing, error.missing)
            advice = f"\nSee --engine-{option}." if option else ""
            raise click.ClickException(f"{error}{advice}") from error

    def _dual_ar_options(self, max_streams: int | None) -> "DualAROptions":
        from engine.models.dual_ar import DualAROptions

        given = {name: value for name, value in self.options.items() if name in _S2_OPTIONS}
        if "kv_memory" in given:
            given["kv_memory"] = int(given["kv_memory"] * _GIB)
        return DualAROptions(max_streams=max_streams, **given)


def _import_dual_ar() -> None:
    try:
        import engine.models.dual_ar  # noqa: F401
    except (ImportError, OSError) as error:
        raise click.ClickException(
            f"torch, safetensors and tokenizers are needed for this model: {error}\n"
            "Install them: pip install 'parrotfish[s2]'"
        ) from error


def _find_dual_ar() -> None:
    """The same without loading any of it, for a process that shall not."""
    missing = [name for name in ("torch", "safetensors", "tokenizers") if find_spec(name) is None]
    if missing:
        raise click.ClickException(
            f"{', '.join(missing)} must be installed for this model: pip install 'parrotfish[s2]'"
        )


def _fetch(name: str) -> Path:
    """The folder of a model of the Hugging Face hub, which is fetched if it is not there."""
    login = f"If it is gated, accept its licence on https://huggingface.co/{name}, then: hf auth login"
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise click.ClickException(
            f"huggingface_hub is needed to fetch {name}, and is not installed: pip install huggingface_hub\n"
            f"{login}"
        ) from None
    try:
        folder = Path(snapshot_download(name, allow_patterns=_FILES))
    except Exception as error:  # of many kinds, from several libraries
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise click.ClickException(
            f"{name} could not be fetched from the Hugging Face hub, and is no folder here: {reason}\n{login}"
        ) from error
    click.echo(f"{name} is stored in {folder}", err=True)
    return folder


def _device(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and not _DEVICE.fullmatch(value):
        raise click.BadParameter(f"{value!r} is not auto, cpu, cuda or cuda:N")
    return value


def _ids(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    ids = [part for value in values for name in value.split(",") if (part := name.strip())]
    return ("all",) if "all" in ids else tuple(ids)


class _S2Option(click.Option):
    """An option that only S2 models understand."""


_MODEL = click.option(
    "--model",
    default=BUNDLED,
    envvar="PARROTFISH_MODEL",
    metavar="NAME",
    help=f"{BUNDLED}, the bundled voice; the folder of a checkpoint of Fish Audio S2-Pro or OpenAudio S1-mini; "
    "or a name on the Hugging Face hub, such as fishaudio/s2-pro.",
)


_ENGINE = click.option(
    "--engine",
    default=BUILT_IN,
    type=click.Choice(ENGINES),
    envvar="PARROTFISH_ENGINE",
    help=f"What computes the speech: {BUILT_IN}, here, with --model; {SGLANG}, an S2 model on SGLang, on one "
    f"GPU or several; or {ENDPOINT}, any server with OpenAI's "
    "/audio/speech, such as SGLang-Omni, vLLM-Omni, Kokoro-FastAPI or OpenAI's own.",
)


def _s2_option(flags: str, **attributes: Any) -> tuple[str, Callable[[Command], Command]]:
    """The parameter's name, and the decorator that adds it."""
    name = flags.partition("/")[0].removeprefix("--").replace("-", "_")
    return name, click.option(flags, cls=_S2Option, envvar=f"PARROTFISH_{name.upper()}", **attributes)


_S2_OPTIONS = dict(
    [
        _s2_option(
            "--device",
            callback=_device,
            metavar="DEVICE",
            show_default="auto: the GPU if there is one",
            help="auto, cpu, cuda or cuda:N.",
        ),
        _s2_option(
            "--dtype",
            type=click.Choice(["auto", "bfloat16", "float32"]),
            show_default="auto: bfloat16 on a GPU, else float32",
            help="Type of the weights and of the KV cache.",
        ),
        _s2_option(
            "--kv-memory",
            type=Number(0, min_open=True),
            metavar="GIB",
            show_default="most of what is free on a GPU, 1 on a CPU",
            help="Memory of the KV cache, in GiB.",
        ),
        _s2_option(
            "--context",
            type=click.IntRange(1),
            metavar="POSITIONS",
            show_default="4096",
            help="What one stream remembers at most: its voice, what it has said, what it says. A second of "
            "speech takes 21.5.",
        ),
        _s2_option(
            "--compile/--no-compile",
            default=None,
            show_default="no-compile",
            help="Have torch compile the model: minutes at the start, faster then.",
        ),
        _s2_option(
            "--graphs/--no-graphs",
            default=None,
            show_default="graphs",
            help="Capture CUDA graphs at the start.",
        ),
        _s2_option(
            "--voices",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            metavar="FOLDER",
            help="Voices to clone: a sub-folder for each, named by its id, with recordings and, beside each, a "
            ".txt of the same name with the words that are spoken in it.",
        ),
        _s2_option(
            "--warm-voices",
            multiple=True,
            callback=_ids,
            metavar="ID[,ID...]",
            help="Voices to prepare at the start, so that their first stream is as fast as the next; all is "
            "every one. May be repeated.",
        ),
        _s2_option(
            "--greedy-residuals/--no-greedy-residuals",
            default=None,
            show_default="no-greedy-residuals",
            help="Take the likeliest code of codebooks 1 to 9 instead of drawing it.",
        ),
    ]
)


def model_options(command: Command) -> Command:
    """The options that say which model to speak with; the command gets them as ``model``, a ModelChoice.

    To be listed apart in the help they need ``cls=ModelCommand``.
    """

    @functools.wraps(command)
    def with_choice(*args: Any, **kwargs: Any) -> Any:
        values = {name: kwargs.pop(name) for name in (*_S2_OPTIONS, *SGLANG_OPTIONS, *ENDPOINT_OPTIONS)}
        source = click.get_current_context().get_parameter_source
        given = {name: values[name] for name in values if source(name) is not ParameterSource.DEFAULT}
        choice = ModelChoice(kwargs.pop("model"), given, kwargs.pop("engine"))
        _check(choice, model_given=source("model") is ParameterSource.COMMANDLINE)
        return command(*args, model=choice, **kwargs)

    decorated: Command = with_choice
    for option in reversed([*_S2_OPTIONS.values(), *SGLANG_OPTIONS.values(), *ENDPOINT_OPTIONS.values()]):
        decorated = option(decorated)
    return _MODEL(_ENGINE(decorated))


def _check(choice: ModelChoice, *, model_given: bool) -> None:
    """Raise :class:`click.UsageError` for options that are for something else than what was chosen."""
    for name in choice.options:
        option = f"--{name.replace('_', '-')}"
        if name in ENDPOINT_OPTIONS and not choice.remote:
            raise click.UsageError(f"{option} is for --engine {ENDPOINT}")
        if name in SGLANG_OPTIONS and choice.engine != SGLANG:
            raise click.UsageError(f"{option} is for --engine {SGLANG}")
        if name in _S2_OPTIONS and choice.remote:
            raise click.UsageError(f"{option} is for S2 models that are computed here, not for {ENDPOINT}")
        if name in _S2_OPTIONS and choice.bundled:
            raise click.UsageError(
                f"{option} is for S2 models; {BUNDLED} does not know it: leave it out, or choose another --model"
            )
    if choice.engine == SGLANG and choice.bundled:
        raise click.UsageError(f"--engine {SGLANG} needs --model: a checkpoint of S2-Pro")
    if choice.remote and "engine_url" not in choice.options:
        raise click.UsageError(f"--engine {ENDPOINT} needs --engine-url")
    if choice.remote and model_given:
        raise click.UsageError(f"--model is computed here; --engine {ENDPOINT} has --engine-model")


def chosen_option() -> str | None:
    """The first option of :func:`model_options` that was written on the command line."""
    source = click.get_current_context().get_parameter_source
    names = ("model", "engine", *_S2_OPTIONS, *SGLANG_OPTIONS, *ENDPOINT_OPTIONS)
    written = (name for name in names if source(name) is ParameterSource.COMMANDLINE)
    return next((f"--{name.replace('_', '-')}" for name in written), None)


class ModelCommand(click.Command):
    """A command whose help has sections of their own for what only some models understand."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, in sections."""
        sections: dict[str, list[tuple[str, str]]] = {title: [] for title in ("Options", *_TITLES.values())}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                sections[_TITLES.get(type(parameter), "Options")].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


_TITLES: dict[type[click.Parameter], str] = {
    _S2Option: "Options of S2 models",
    SGLangOption: f"Options of --engine {SGLANG}",
    EndpointOption: f"Options of --engine {ENDPOINT}",
}
