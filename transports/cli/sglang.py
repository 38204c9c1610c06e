"""The options for S2-Pro on SGLang's engine."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from engine.models.sglang import SGLangOptions

Command = Callable[..., Any]

SGLANG = "sglang"
"""The engine that these options are for."""


class SGLangOption(click.Option):
    """An option that only SGLang understands."""


def sglang_options(options: Mapping[str, Any]) -> "SGLangOptions":
    """How SGLang is to be run by the options that were given: names of parameters and their values."""
    from engine.models.sglang import SGLangOptions

    python = options.get("sglang_python")
    return SGLangOptions(options.get("tp", 1), Path(python) if python else None)


SGLANG_OPTIONS: dict[str, Callable[[Command], Command]] = {
    "tp": click.option(
        "--tp",
        cls=SGLangOption,
        type=click.IntRange(1),
        envvar="PARROTFISH_TP",
        metavar="GPUS",
        show_default="1",
        help="GPUs that share the model (tensor parallelism), from the one of --device on.",
    ),
    "sglang_python": click.option(
        "--sglang-python",
        cls=SGLangOption,
        type=click.Path(exists=True, dir_okay=False),
        envvar="PARROTFISH_SGLANG_PYTHON",
        metavar="PATH",
        show_default="the one that runs parrotfish",
        help="Python of the environment in which sglang is installed, if it has one of its own.",
    ),
}
