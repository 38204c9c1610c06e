"""``parrotfish keys``: who may use the server."""

import asyncio
import dataclasses
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import click

from transports.accounts import KeyInfo, Keyring, KeyringError, Limits
from transports.cli.store import opened, store_options
from transports.cli.types import amount, change, duration

T = TypeVar("T")


def _id(_: click.Context, __: click.Parameter, value: str) -> str:
    """The id of a key, which may be given as its text, too."""
    return value.removeprefix("pf_").partition("_")[0]


key_argument = click.argument("key", metavar="ID", callback=_id)


@click.group()
def keys() -> None:
    """API keys: create, list and revoke them, and give their accounts credit.

    \b
    A key belongs to an account, which owns its voices and its credit; several
    keys may share one. An account without credit or package needs none.
    Running servers notice every change within seconds.
    """


@keys.command()
@store_options
@click.option("--name", required=True, help="What the key is for; shown in lists.")
@click.option(
    "--account", help="Account that the key belongs to, made if new.  [default: one of the key's name]"
)
@click.option(
    "--expires",
    callback=duration,
    metavar="DURATION",
    help="When it becomes void, such as 12h, 30d or 8w.  [default: never]",
)
@click.option(
    "--credit",
    callback=amount,
    metavar="AMOUNT",
    help="Credit for the account, which from then on is limited to it.  [default: not limited]",
)
@click.option("--rpm", type=click.IntRange(1), help="Requests a minute.  [default: any number]")
@click.option("--concurrency", type=click.IntRange(1), help="Requests at once.  [default: any number]")
def create(
    data: Path,
    database_url: str | None,
    name: str,
    account: str | None,
    expires: timedelta | None,
    credit: Decimal | None,
    rpm: int | None,
    concurrency: int | None,
) -> None:
    """Create an API key, and print it: this once, for it is not kept.

    Only the key is written to stdout.
    """
    limits = Limits(rpm, concurrency)
    key = _run(
        data,
        database_url,
        lambda keyring: keyring.create(
            name, account=account, credit=credit, limits=limits, expires_in=expires
        ),
    )
    click.echo(
        "Keep it safe, it cannot be shown again. Clients send it as Authorization: Bearer ...", err=True
    )
    click.echo(key)


@keys.command("list")
@store_options
@click.option("--json", "as_json", is_flag=True, help="As a JSON list, for programs.")
def list_keys(data: Path, database_url: str | None, as_json: bool) -> None:
    """List all keys, their accounts, and what they have used."""
    found = _run(data, database_url, Keyring.list)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(key) for key in found], indent=2, default=str))
        return
    rows = [
        (
            "ID",
            "NAME",
            "ACCOUNT",
            "STATE",
            "EXPIRES",
            "CREDIT",
            "PACKAGE",
            "A MINUTE",
            "AT ONCE",
            "SPOKEN",
            "HEARD",
        ),
        *(_row(key) for key in found),
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


@keys.command()
@store_options
@key_argument
def revoke(data: Path, database_url: str | None, key: str) -> None:
    """Void a key, for good."""
    _run(data, database_url, lambda keyring: keyring.revoke(key))
    click.echo(f"{key} is void; running servers know within seconds")


@keys.command(context_settings={"ignore_unknown_options": True})  # -5 is none
@store_options
@key_argument
@click.argument("amount", callback=change)
def credit(data: Path, database_url: str | None, key: str, amount: Decimal) -> None:
    """Add AMOUNT to the credit of a key's account, such as +10, or take from it, such as -2.50.

    From then on the account is limited to its credit.
    """
    left = _run(data, database_url, lambda keyring: keyring.add_credit(key, amount))
    click.echo(f"credit: {left:f}")


@keys.command()
@store_options
@key_argument
@click.argument("units", type=click.IntRange(1, 10**15))
@click.option("--type", "kind", default="prepaid", show_default=True, help="What clients are told it is.")
def package(data: Path, database_url: str | None, key: str, units: int, kind: str) -> None:
    """Add UNITS to the package of a key's account: UTF-8 bytes of text that are paid for already.

    From then on the account is limited to its package and its credit.
    """
    left = _run(data, database_url, lambda keyring: keyring.add_package(key, units, kind))
    click.echo(f"package: {left}")


def _row(key: KeyInfo) -> tuple[str, ...]:
    def some(value: object) -> str:
        return "-" if value is None else f"{value:f}" if isinstance(value, Decimal) else str(value)

    return (
        key.id,
        key.name,
        key.account_name,
        key.state,
        f"{key.expires_at:%Y-%m-%d %H:%M}Z" if key.expires_at else "-",
        some(key.credit),
        some(key.package),
        some(key.limits.requests_per_minute),
        some(key.limits.max_concurrency),
        f"{key.text_bytes} B",
        f"{key.audio_seconds:.0f} s",
    )


def _run(data: Path, url: str | None, work: Callable[[Keyring], Awaitable[T]]) -> T:
    async def run() -> T:
        async with opened(data, url) as database:
            return await work(Keyring(database))

    try:
        return asyncio.run(run())
    except KeyringError as error:
        raise click.ClickException(str(error)) from None
