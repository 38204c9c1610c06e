"""``parrotfish dub``: a subtitle file as speech on its own timeline, or as the sound of a film."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from engine import ModelInfo
from engine.audio import OutputFormat
from realtime import Encoders, Speaker, SpeechRequest
from realtime.dubbing import Caption, Dubber, Ended, Limits, LineReport
from realtime.dubbing import dub as dub_file
from transports.cli import film
from transports.cli.dub_report import as_json, show
from transports.cli.formats import CONTAINERS, chosen_format, file_to_write
from transports.cli.model import ModelChoice, ModelCommand, model_options
from transports.cli.mouth import engine_here
from transports.cli.output import open_output
from transports.cli.types import Number
from transports.dubbing.subtitles import FORMATS, MAX_BYTES, BadSubtitles, Subtitles, read_subtitles
from transports.fish.casting import own_voices
from transports.fish.schema import parse_request, speech_request

_AT_ONCE = 4


@click.command(
    cls=ModelCommand,
    context_settings={"show_default": True},
    epilog="""
    \b
    Examples:
      parrotfish dub film.srt -o film.opus
      parrotfish dub film.vtt -o film.mp3 --voice walter --cast "Mary Ann=heart" --report film.json
      parrotfish dub film.srt --video film.mp4 -o dubbed.mp4
      parrotfish hear film.mkv --srt > film.srt        makes a subtitle file to begin with
    """,
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@model_options
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    help="File to write, in the format that its suffix says "
    f"({', '.join(CONTAINERS)}; with --video {', '.join(film.SUFFIXES)}).",
)
@click.option(
    "--format",
    "container",
    type=click.Choice(list(dict.fromkeys(CONTAINERS.values()))),
    show_default="by the file's suffix",
    help="Format of the audio.",
)
@click.option("--voice", show_default="the model's", help="Id of a voice; parrotfish voices lists them.")
@click.option(
    "--cast",
    multiple=True,
    metavar="NAME=VOICE",
    help="Voice of somebody who speaks in a WebVTT file (<v NAME>). May be repeated.",
)
@click.option(
    "--max-speed",
    default=1.3,
    type=Number(1.0, 1.3),
    help="How many times as fast as by nature a line may be spoken to fit its time.",
)
@click.option(
    "--max-drift",
    default=2.0,
    type=Number(0.0, 30.0),
    help="How many seconds late a line may begin; rather than that, the one before is broken off.",
)
@click.option(
    "--video",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Film whose pictures get this sound instead of theirs.",
)
@click.option(
    "--report", type=click.Path(dir_okay=False, path_type=Path), help="File for the report as JSON."
)
@click.option("--sample-rate", type=int, metavar="HZ", show_default="44100; 48000 for opus", help="In Hz.")
@click.option(
    "--bitrate", type=int, metavar="KBPS", show_default="128 for mp3, 32 for opus", help="In kbit/s."
)
@click.option("-q", "--quiet", is_flag=True, help="Show neither progress nor the report.")
def dub(
    file: Path,
    output: Path,
    container: str | None,
    voice: str | None,
    cast: tuple[str, ...],
    max_speed: float,
    max_drift: float,
    video: Path | None,
    report: Path | None,
    sample_rate: int | None,
    bitrate: int | None,
    quiet: bool,
    model: ModelChoice,
) -> None:
    """Speak the subtitles in FILE (.srt or .vtt), each when it is shown.

    What takes longer to say than it is shown is spoken with shorter pauses, then faster, then goes on into the
    gap behind it. The report tells when each line is really heard.
    """
    subtitles = _subtitles(file)
    roles = _roles(cast, subtitles)
    file_to_write(output)
    if report is not None and not report.parent.is_dir():
        raise click.BadParameter(f"there is no folder {report.parent}", param_hint="--report")
    if video is None:
        output_as = chosen_format(output, container, sample_rate, bitrate)
    else:
        output_as = _film_format(video, output, container, sample_rate, bitrate)
    seconds = film.film_seconds(video) if video else 0.0
    limits = Limits(max_speed=max_speed, max_drift=max_drift, at_once=_AT_ONCE)
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    if not quiet:
        for note in subtitles.notes:
            console.print(f"[yellow]note:[/] {note}")
    try:
        with (
            _progress(console, len(subtitles.captions), quiet) as ended,
            _sink(video, output, output_as) as sink,
        ):
            reports, length = asyncio.run(
                _dub(model.fetched(), subtitles, voice, roles, output_as, limits, seconds, sink, ended)
            )
        if all(line.outcome == "missed" for line in reports):
            raise click.ClickException(f"{file}: no line could be spoken: {reports[0].reason}")
        if report is not None:
            report.write_bytes(as_json(file, output, reports, length))
    except OSError as error:
        raise click.ClickException(f"{error.filename or output}: {error.strerror or error}") from None
    if not quiet:
        show(output, reports, length)


async def _dub(
    model: ModelChoice,
    subtitles: Subtitles,
    voice: str | None,
    roles: Mapping[str, str],
    output: OutputFormat,
    limits: Limits,
    seconds: float,
    sink: Callable[[bytes], None],
    ended: Callable[[], None],
) -> tuple[list[LineReport], float]:
    """Dub it; returns what became of each line, and how many seconds there are."""
    async with engine_here(model, _AT_ONCE) as engine:
        voices = _cast(subtitles, voice, roles, engine.info)

        async def ask(caption: Caption) -> SpeechRequest:
            return voices[caption.voice]

        def same(name: str) -> str:
            return voices[name].options.voices[0]

        with ThreadPoolExecutor(2, "parrotfish-encoder") as encoder:
            encoders = Encoders(encoder, encoder)
            reports: list[LineReport] = []
            length = 0.0
            async with Dubber(
                lambda: Speaker(engine, encoders),
                encoder,
                engine.info,
                ask,
                output,
                limits=limits,
                same=same,
            ) as dubber:
                async for made in dub_file(dubber, subtitles.captions, seconds):
                    await asyncio.to_thread(sink, made.data)
                    length = made.until
                    for event in made.events:
                        if isinstance(event, Ended):
                            reports.append(event.report)
                            ended()
    return sorted(reports, key=lambda report: report.caption.start), length


def _subtitles(file: Path) -> Subtitles:
    form = FORMATS.get(file.suffix.lower())
    if form is None:
        raise click.BadParameter(f"{file} does not end in {' or '.join(FORMATS)}", param_hint="FILE")
    with file.open("rb") as opened:
        data = opened.read(MAX_BYTES + 1)
    try:
        return read_subtitles(data, form)
    except BadSubtitles as error:
        raise click.BadParameter(f"{file}: {error}", param_hint="FILE") from None


def _roles(given: tuple[str, ...], subtitles: Subtitles) -> dict[str, str]:
    """The voices by the names of those who speak."""
    roles = {}
    for one in given:
        name, equals, id_ = one.rpartition("=")
        if not equals or name not in subtitles.speakers or not name:
            known = ", ".join(filter(None, subtitles.speakers)) or "nobody by name"
            raise click.BadParameter(
                f"{one!r} is not of the form NAME=VOICE with one who speaks in the file: {known}",
                param_hint="--cast",
            )
        roles[name] = id_
    return roles


def _cast(
    subtitles: Subtitles, voice: str | None, roles: Mapping[str, str], info: ModelInfo
) -> dict[str, SpeechRequest]:
    """How each who speaks is spoken.

    Those without a role speak with the voice that has their name, or else with the next that nobody has.
    """
    first = voice or info.default_voice
    if own_voices(first, info, {}) is None:
        raise _unknown(first, "--voice", info)
    taken = {first, *roles.values()}
    free = [id_ for id_ in info.voice_ids if id_ not in taken] or [first]
    requests, at = {}, 0
    for name in subtitles.speakers:
        id_ = roles.get(name, first)
        if name and name not in roles:
            if name.lower() in info.voice_ids:
                id_ = name.lower()
            else:
                id_, at = free[at % len(free)], at + 1
        if (found := own_voices(id_, info, {})) is None:
            raise _unknown(id_, "--cast", info)
        requests[name] = speech_request(parse_request({"text": ""}), info, found, paced=False)
    return requests


def _unknown(voice: str, option: str, info: ModelInfo) -> click.BadParameter:
    return click.BadParameter(f"{voice!r} is not one of {', '.join(info.voice_ids)}", param_hint=option)


def _film_format(
    video: Path, output: Path, container: str | None, sample_rate: int | None, bitrate: int | None
) -> OutputFormat:
    for option, value in (("--format", container), ("--sample-rate", sample_rate), ("--bitrate", bitrate)):
        if value is not None:
            raise click.BadParameter("the film's container decides; leave it out", param_hint=option)
    if output.suffix.lower() not in film.SUFFIXES:
        raise click.BadParameter(
            f"{output} does not say which film to write; end it in one of {', '.join(film.SUFFIXES)}",
            param_hint="--output",
        )
    if output.exists() and output.samefile(video):
        raise click.BadParameter(f"{output} is the film itself; name another file", param_hint="--output")
    return OutputFormat("pcm", film.RATE)


@contextlib.contextmanager
def _sink(video: Path | None, output: Path, output_as: OutputFormat) -> Iterator[Callable[[bytes], None]]:
    if video is None:
        with open_output(output, output_as) as write:
            yield write
    else:
        try:
            with film.Film(video, output) as target:
                yield target.write
        except ValueError as error:  # FFmpeg's, and PyAV's
            raise click.ClickException(f"{output}: the film cannot be written: {error}") from error


@contextlib.contextmanager
def _progress(console: Console, lines: int, quiet: bool) -> Iterator[Callable[[], None]]:
    columns = TextColumn("{task.completed}/{task.total} lines"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("lines", total=lines)
        yield lambda: bar.advance(task)
