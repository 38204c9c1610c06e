"""Which file the audio goes to, and in which format."""

from pathlib import Path

import click

from engine.audio import Container, FormatError, OutputFormat, output_format

CONTAINERS: dict[str, Container] = {
    ".wav": "wav",
    ".mp3": "mp3",
    ".opus": "opus",
    ".ogg": "opus",
    ".pcm": "pcm",
    ".ul": "mulaw",
    ".al": "alaw",
}
"""The format that a file's suffix stands for."""

_OPTION_OF_FIELD = {"sample_rate": "--sample-rate", "mp3_bitrate": "--bitrate", "opus_bitrate": "--bitrate"}


def file_to_write(path: Path) -> Path:
    """The path, if a file can be there. Raises :class:`click.BadParameter`."""
    if path.is_dir():
        raise click.BadParameter(f"{path} is a folder; name a file in it", param_hint="--output")
    if not path.parent.is_dir():
        raise click.BadParameter(f"there is no folder {path.parent}", param_hint="--output")
    return path


def chosen_format(
    path: Path | None, container: str | None, sample_rate: int | None, bitrate: int | None
) -> OutputFormat:
    """The format that was asked for, or else that of the file's suffix; None is stdout, and WAV.

    ``bitrate`` is in kbit/s. Raises :class:`click.BadParameter`.
    """
    if container is None:
        container = "wav" if path is None else CONTAINERS.get(path.suffix.lower())
    if container is None:
        known = ", ".join(CONTAINERS)
        raise click.BadParameter(
            f"{path} does not say which format to write; end it in one of {known}, or give --format",
            param_hint="--output",
        )
    bitrates = {} if bitrate is None else {f"{container}_bitrate": bitrate}
    if bitrates and container not in ("mp3", "opus"):
        raise click.BadParameter(
            f"{container} has none; leave it out, or choose mp3 or opus", param_hint="--bitrate"
        )
    try:
        return output_format(container, sample_rate, **bitrates)
    except FormatError as error:
        raise click.BadParameter(
            f"{error.value} is not {error.expected}", param_hint=_OPTION_OF_FIELD[error.field]
        ) from None
