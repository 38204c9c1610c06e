"""``parrotfish hear``: what is said in a recording."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import orjson

from realtime.ears import (
    HeardSegment,
    HearingError,
    Recogniser,
    RecogniserChoice,
    Transcript,
    UnknownLanguage,
)
from realtime.ears.file import FilePhrases
from realtime.ears.phrases import hear as hear_phrase
from realtime.ears.recogniser import language_of
from transports.cli.recogniser import recogniser_options

_DASH = Path("-")


@click.command(
    context_settings={"show_default": True},
    epilog="""
    \b
    Examples:
      parrotfish hear talk.mp3
      parrotfish hear film.mkv --srt > film.srt
      parrotfish hear gespraech.opus --asr whisper:large-v3 --language de --json
      parrotfish say "Hello there." -o - | parrotfish hear -
    """,
)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--language", metavar="CODE", show_default="found out", help="Such as en.")
@click.option("--json", "form", flag_value="json", help="Text, duration and segments as JSON, in seconds.")
@click.option("--srt", "form", flag_value="srt", help="As subtitles.")
@recogniser_options(may_be_none=False)
def hear(file: Path, language: str | None, form: str | None, asr: RecogniserChoice) -> None:
    """Print what is said in FILE, phrase by phrase; - is stdin.

    Any audio or video that FFmpeg reads will do.
    """
    source = sys.stdin.buffer.read() if file == _DASH else file
    try:
        recogniser = asr.load()
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    try:
        phrases = FilePhrases(source, recogniser.info)
        heard = _heard(phrases, recogniser, language_of(recogniser.info, language))
        match form:
            case "json":
                transcript = Transcript(tuple(heard), phrases.seconds)
                click.echo(orjson.dumps(_fields(transcript), option=orjson.OPT_INDENT_2))
            case "srt":
                for number, segment in enumerate(heard, 1):
                    times = f"{_srt_time(segment.start)} --> {_srt_time(segment.end)}"
                    click.echo(f"{number}\n{times}\n{segment.text}\n")
            case _:
                for segment in heard:
                    click.echo(segment.text)
    except UnknownLanguage as error:
        raise click.BadParameter(str(error), param_hint="--language") from None
    except HearingError as error:
        raise click.ClickException(f"{file}: {error}") from None
    except BrokenPipeError:
        raise  # whoever read it has enough, which click knows
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror or error}") from None
    finally:
        recogniser.close()


def _heard(phrases: FilePhrases, recogniser: Recogniser, language: str | None) -> Iterator[HeardSegment]:
    for phrase in phrases:
        if phrase is not None:
            yield from hear_phrase(recogniser, phrase, language)


def _fields(transcript: Transcript) -> dict[str, object]:
    return {
        "text": transcript.text,
        "duration": round(transcript.seconds, 3),
        "segments": [
            {"start": round(part.start, 3), "end": round(part.end, 3), "text": part.text}
            for part in transcript.segments
        ],
    }


def _srt_time(seconds: float) -> str:
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02},{milliseconds:03}"
