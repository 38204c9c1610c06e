"""``parrotfish voices``: those of the model, and those of the library."""

import asyncio
import dataclasses
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from transports.cli.model import ModelChoice, ModelCommand, model_options
from transports.cli.store import opened, store_options
from transports.cli.types import Url

if TYPE_CHECKING:
    from transports.voices import Library, LibraryVoice

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., object])


class _Group(click.Group, ModelCommand):
    """A group whose own options may be those of a model."""


def library_options(command: F) -> F:
    """Add the options that say which library, and whose voices."""
    command = click.option(
        "--account", default="local", help="Whose voices; local is everybody's on a server without keys."
    )(command)
    command = click.option(
        "--blobs-url",
        type=Url(),
        envvar="PARROTFISH_BLOBS_URL",
        metavar="URL",
        help="Where audio and pictures are kept, such as s3://bucket/prefix; else in the data folder.",
    )(command)
    return store_options(command)


@click.group(cls=_Group, invoke_without_command=True, context_settings={"show_default": True})
@model_options
@click.option("--json", "as_json", is_flag=True, help="As a JSON list, for programs.")
@click.pass_context
def voices(context: click.Context, as_json: bool, model: ModelChoice) -> None:
    """List the model's voices: what to give as --voice, or as reference_id in a request. The default is first.

    The commands are for the library: voices that are made of recordings.
    """
    if context.invoked_subcommand is not None:
        return
    known = model.fetched().voices()
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(voice) for voice in known], indent=2))
        return
    ids, names = (max(len(getattr(voice, field)) for voice in known) for field in ("id", "name"))
    for voice in known:
        language = f" ({voice.language})" if voice.language else ""
        click.echo(f"{voice.id:{ids}}  {voice.name:{names}}  {voice.description}{language}")


@voices.command()
@library_options
@click.argument("name")
@click.argument(
    "files",
    metavar="FILE...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option(
    "--text",
    "texts",
    multiple=True,
    help="What is said in the first FILE; again for the second, and so on. Else the server listens to it.",
)
def add(
    data: Path,
    database_url: str | None,
    blobs_url: str | None,
    account: str,
    name: str,
    files: tuple[Path, ...],
    texts: tuple[str, ...],
) -> None:
    """Make a voice of recordings, 10 to 30 seconds of clear speech in any format, and print its id.

    A server trains it, at once if one is running.
    """
    from transports.voices import NewVoice

    def source(file: Path) -> Callable[[], Awaitable[bytes]]:
        return lambda: asyncio.to_thread(file.read_bytes)

    new = NewVoice(name, [source(file) for file in files], texts)
    made = _run(data, database_url, blobs_url, account, lambda library, owner: library.create(owner, new))
    click.echo(made.id)


@voices.command("list")
@library_options
@click.option("--json", "as_json", is_flag=True, help="As a JSON list, for programs.")
def list_voices(
    data: Path, database_url: str | None, blobs_url: str | None, account: str, as_json: bool
) -> None:
    """List an account's voices in the library."""
    from transports.voices import MAX_PAGE, Query

    async def find(library: "Library", owner: str) -> Sequence["LibraryVoice"]:
        found: list[LibraryVoice] = []
        more = True
        while more:
            number = len(found) // MAX_PAGE + 1
            page = await library.find(
                owner, Query(mine=True, sort_by="created_at", page_size=MAX_PAGE, page_number=number)
            )
            found, more = [*found, *page.voices], page.more
        return found

    found = _run(data, database_url, blobs_url, account, find)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(voice) for voice in found], indent=2, default=str))
        return
    for voice in found:
        state = f"{voice.state}: {voice.failure}" if voice.failure else voice.state
        click.echo(f"{voice.id}  {voice.visibility:7}  {voice.title}  ({state})")


@voices.command()
@library_options
@click.argument("voice", metavar="ID")
def remove(data: Path, database_url: str | None, blobs_url: str | None, account: str, voice: str) -> None:
    """Delete a voice of the library, with its recordings."""
    _run(data, database_url, blobs_url, account, lambda library, owner: library.delete(owner, voice))
    click.echo(f"{voice} is deleted")


def _run(
    data: Path,
    url: str | None,
    blobs_url: str | None,
    account: str,
    work: Callable[["Library", str], Awaitable[T]],
) -> T:
    """Do something with the library for an account, which is given by name."""
    from sqlalchemy import select

    from transports.accounts.tables import Account
    from transports.errors import RequestError
    from transports.settings import Settings
    from transports.store import Blobs
    from transports.voices import Library

    async def run() -> T:
        async with opened(data, url) as database:
            async with database.reading() as session:
                owner = await session.scalar(select(Account.id).where(Account.name == account))
            if owner is None:
                raise click.BadParameter(f"there is no account {account!r}", param_hint="--account")
            blobs = Blobs(Settings(data=data, blobs_url=blobs_url).blobs_place)
            await blobs.start()
            library = Library(database, blobs)
            try:
                return await work(library, owner)
            finally:
                await library.close()

    try:
        return asyncio.run(run())
    except RequestError as error:
        raise click.ClickException(str(error)) from None
