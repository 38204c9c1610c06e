"""The options of every command that needs what is kept, and the opening of it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import click

from transports.accounts import Keyring, make_limiter
from transports.accounts.auth import is_loopback
from transports.cli.types import Url
from transports.jobs import load_secret
from transports.settings import Settings, default_data
from transports.store import Blobs, Database, StoreError, database_url

F = TypeVar("F", bound=Callable[..., object])


def store_options(command: F) -> F:
    """Add ``--data`` and ``--database-url``."""
    for option in (
        click.option(
            "--database-url",
            type=Url(),
            envvar="DATABASE_URL",
            show_envvar=True,
            metavar="URL",
            help="postgresql://user:password@host/name, for several servers or machines; else a file in the data "
            "folder. Better set in the environment, where other users do not see the password.",
        ),
        click.option(
            "--data",
            type=click.Path(file_okay=False, path_type=Path),
            envvar="PARROTFISH_DATA",
            show_envvar=True,
            default=default_data,
            show_default="~/.local/share/parrotfish",
            help="Folder of all that is kept: API keys, voices, jobs.",
        ),
    ):
        command = option(command)
    return command


@asynccontextmanager
async def opened(data: Path, url: str | None) -> AsyncIterator[Database]:
    """The database, brought up to date. What is wrong with it is told to the operator."""
    try:
        database = Database(database_url(url, data))
        await database.start()
        try:
            yield database
        finally:
            await database.close()
    except (StoreError, OSError) as error:
        raise click.ClickException(str(error)) from None


async def check(settings: Settings) -> bool:
    """See that a server with these settings could start; returns whether it has API keys."""
    try:
        load_secret(settings.data)
        make_limiter(settings.redis_url)
        await Blobs(settings.blobs_place).start()
    except (StoreError, OSError) as error:
        raise click.ClickException(str(error)) from None
    async with opened(settings.data, settings.database_url) as database:
        keys = await Keyring(database).any_key()
    if not (keys or settings.open_to_all or is_loopback(settings.host)):
        raise click.ClickException(
            f"whoever reaches {settings.host} could use this server, for it has no API keys yet\n"
            "Create one: parrotfish keys create --name me\n"
            "Or serve everybody: parrotfish serve --open"
        )
    return keys
