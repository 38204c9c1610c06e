"""``parrotfish make-checkpoint``."""

from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn


@click.command(
    "make-checkpoint",
    context_settings={"show_default": True},
    epilog="""
    \b
    Examples:
      parrotfish make-checkpoint --like s2-pro babble
      parrotfish make-checkpoint --like s2-pro --scale full --seed 7 /data/s2-random
      parrotfish serve --model babble
    """,
)
@click.option(
    "--like",
    type=click.Choice(["s2-pro", "s1-mini"]),
    required=True,
    help="The model whose layout it has: Fish Audio S2-Pro or OpenAudio S1-mini.",
)
@click.option(
    "--scale",
    type=click.Choice(["tiny", "full"]),
    default="tiny",
    help="tiny: 10 MB that a laptop speaks. full: the size of the real one, 11 GB (s1-mini: 4 GB).",
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, help="The same seed gives the same weights, byte for byte."
)
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
def make_checkpoint(like: str, scale: str, seed: int, folder: Path) -> None:
    """Write a checkpoint of random weights into DIR: config, weights, tokenizer and codec.

    It has the files, names and shapes of the published model and loads, streams and costs like it, but it has
    learnt nothing: what it speaks is noise, about four seconds for each piece of text. It is for trying out the
    server without the real weights, and for measuring a machine at full size.

    DIR must not exist, or be empty. It appears when all of it is written.
    """
    try:
        from engine.models.dual_ar.checkpoint import checkpoint_size, write_checkpoint
        from engine.models.dual_ar.config import CheckpointError, Layout
        from engine.models.dual_ar.presets import Scale
    except ImportError as error:
        raise click.ClickException(
            f"{error.name} is needed to make a checkpoint, and is not installed.\n"
            "Install it: pip install 'parrotfish[s2]'"
        ) from error
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    try:
        with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
            task = progress.add_task("drawing", total=checkpoint_size(Layout(like), Scale(scale)))
            write_checkpoint(
                folder,
                Layout(like),
                Scale(scale),
                seed,
                lambda file, count: progress.update(task, advance=count, description=file),
            )
    except CheckpointError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(
            f"{folder} could not be written: {error.strerror}.\n"
            "Name a folder that you may write to, on a disk with room."
        ) from error
    size = sum(file.stat().st_size for file in folder.iterdir())
    click.echo(f"{folder}: {size / 1e6:,.0f} MB of random weights. Try: parrotfish serve --model {folder}")
