"""``parrotfish say``: a text, or what comes in on stdin while it comes in, to a file or a pipe."""

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import click

from realtime import Audio, Finished, Log
from transports.cli.formats import CONTAINERS, chosen_format, file_to_write
from transports.cli.model import ModelChoice, ModelCommand, chosen_option, model_options
from transports.cli.mouth import Mouth, mouth_here, mouth_there
from transports.cli.output import STDOUT, ListenerGone, Output, open_output
from transports.cli.progress import Progress
from transports.cli.text import piped_text, spelled_text
from transports.cli.types import Number

_DASH = Path("-")
_STDIN = 0
_EXAMPLE = 'give some: parrotfish say "Hello." -o hello.mp3'


@click.command(
    cls=ModelCommand,
    context_settings={"show_default": True},
    epilog="""
    \b
    Examples:
      parrotfish say "Hello there." -o hello.mp3
      parrotfish say --voice walter < book.txt -o book.mp3
      llm "tell me a story" | parrotfish say -o - | ffplay -nodisp -autoexit -
      parrotfish say --url http://127.0.0.1:8080 "Hello there." -o hello.opus
      parrotfish say --model fishaudio/s2-pro "[whispers] Hello there." -o hello.wav
    """,
)
@click.argument("text", nargs=-1)
@model_options
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    show_default="stdout, if it is not a terminal",
    help=f"File to write, in the format that its suffix says ({', '.join(CONTAINERS)}); - is stdout.",
)
@click.option(
    "--format",
    "container",
    type=click.Choice(list(dict.fromkeys(CONTAINERS.values()))),
    show_default="by the file's suffix; wav on stdout",
    help="Format of the audio.",
)
@click.option("--voice", show_default="the model's", help="Id of a voice; parrotfish voices lists them.")
@click.option("--speed", default=1.0, type=Number(0.5, 2.0), help="Pace of the speech.")
@click.option("--volume", default=0.0, type=Number(-20.0, 20.0), help="Gain in dB.")
@click.option(
    "--latency",
    default="balanced",
    type=click.Choice(["low", "balanced", "normal"]),
    help="How soon to speak while a text is still coming in; later sounds better.",
)
@click.option("--sample-rate", type=int, metavar="HZ", show_default="44100; 48000 for opus", help="In Hz.")
@click.option(
    "--bitrate", type=int, metavar="KBPS", show_default="128 for mp3, 32 for opus", help="In kbit/s."
)
@click.option("--url", metavar="URL", help="Speak with the server there instead of in this process.")
@click.option(
    "--api-key",
    envvar=["PARROTFISH_API_KEY", "FISH_API_KEY"],
    show_envvar=True,
    help="Key for the server at --url.",
)
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
def say(
    text: tuple[str, ...],
    output: Path | None,
    container: str | None,
    voice: str | None,
    speed: float,
    volume: float,
    latency: str,
    sample_rate: int | None,
    bitrate: int | None,
    url: str | None,
    api_key: str | None,
    quiet: bool,
    model: ModelChoice,
) -> None:
    """Speak TEXT, or without one what comes in on stdin, as it comes in.

    Without --url the speech is made in this process, as fast as it can.
    """
    if url and (chosen := chosen_option()):
        raise click.UsageError(
            f"{chosen} is for speech that is made here; the server at --url has its own model"
        )
    path = _path(output)
    output_as = chosen_format(path, container, sample_rate, bitrate)
    request: dict[str, Any] = {
        "text": "",
        "format": output_as.container,
        "sample_rate": output_as.sample_rate,
        "reference_id": voice,
        "latency": latency,
        "prosody": {"speed": speed, "volume": volume},
    }
    if bitrate is not None:
        request[f"{output_as.container}_bitrate"] = bitrate
    if text:
        pieces = spelled_text(" ".join(text))
    else:
        _check_stdin(quiet)
        pieces = piped_text(_STDIN)
    mouth = mouth_there(url, api_key, request) if url else mouth_here(model.fetched(), request)
    try:
        with (
            Progress(str(path or "stdout"), output_as, quiet=quiet) as progress,
            open_output(path, output_as) as sink,
        ):
            asyncio.run(_speak(mouth, pieces, sink, progress))
    except ListenerGone:
        return
    except OSError as error:
        raise click.ClickException(f"{path or 'stdout'}: {error.strerror or error}") from None


async def _speak(
    opening: AbstractAsyncContextManager[Mouth],
    pieces: AsyncIterator[str],
    output: Output,
    progress: Progress,
) -> None:
    """Text in and audio out at the same time, until the mouth has finished."""

    async def feed() -> None:
        anything = False
        async for piece in pieces:
            anything = anything or not piece.isspace()
            progress.text_sent()
            await mouth.text(piece)
        if not anything:
            raise click.UsageError(f"there is no text to speak; {_EXAMPLE}")
        await mouth.stop()

    async with opening as mouth:
        try:
            async with asyncio.TaskGroup() as tasks:
                feeding = tasks.create_task(feed())
                await _listen(mouth, output, progress)
                feeding.cancel()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None  # one went wrong; the other was only cancelled for it


async def _listen(mouth: Mouth, output: Output, progress: Progress) -> None:
    notes: list[str] = []
    async for event in mouth.events():
        match event:
            case Audio(data) if data:
                # In a thread: a slow reader of the pipe must not keep a server's pings from being answered.
                await asyncio.to_thread(output, data)
                progress.audio_written(data)
            case Log(message):
                notes.append(message)
            case Finished(error):
                progress.notes(note for note in notes if note != error)  # a reason was logged before
                if error is not None:
                    raise click.ClickException(error)
                progress.finished()
                return
            case Audio():
                pass


def _path(output: Path | None) -> Path | None:
    """The file to write, None for stdout. Audio on a terminal is never what was meant."""
    if output is None and os.isatty(STDOUT):
        raise click.UsageError(
            'say where the audio goes: -o hello.mp3 for a file, or a pipe: parrotfish say "Hi." | ffplay -i -'
        )
    if output is None or output == _DASH:
        return None
    return file_to_write(output)


def _check_stdin(quiet: bool) -> None:
    try:
        mode = os.fstat(_STDIN).st_mode
    except OSError:
        mode = stat.S_IFDIR  # closed, which is as little to read as a folder
    if stat.S_ISDIR(mode):
        raise click.UsageError(f"there is no text on stdin; {_EXAMPLE}")
    if os.isatty(_STDIN) and not quiet:
        click.echo("Reading from the terminal; end with Ctrl-D on a line of its own.", err=True)
