"""Kinds of values that options take: click's types and callbacks."""

import re
from datetime import timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import urlsplit

import click

_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_MOST = 1_000_000  # beyond, no number of an option makes sense, and some cannot be reckoned or waited with


class Number(click.FloatRange):
    """A number of a range. Those that are in every range and yet nowhere are refused: nan and infinities."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The number, or a usage error."""
        number = super().convert(value, param, ctx)  # nan passes: it compares false with every bound
        if not abs(number) <= _MOST:
            self.fail(f"{value} is not a number up to {_MOST}.", param, ctx)
        return number


class Url(click.types.StringParamType):
    """A URL, of one of the ``schemes`` if there are any. It may hold passwords: it is not told as it is."""

    def __init__(self, *schemes: str) -> None:
        self._beginnings = tuple(f"{scheme}://" for scheme in schemes)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The URL, or a usage error."""
        url = str(value)
        if self._beginnings and (wrong := self._wrong(url)):
            from engine.urls import without_secrets  # inside: help must not wait for it

            self.fail(f"{without_secrets(url)!r} {wrong}", param, ctx)
        return url

    def _wrong(self, url: str) -> str:
        """What is wrong with a URL, in words that do not quote it; else ""."""
        if not url.startswith(self._beginnings):
            return f"does not begin with {' or '.join(self._beginnings)}"
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError:
            return (
                "has a host or a port that cannot be read; expected host:port, with %2F for / in a password"
            )
        if parts.scheme in ("http", "https") and not parts.hostname:
            return "names no host"
        return ""


def duration(_: click.Context, parameter: click.Parameter, value: str | None) -> timedelta | None:
    """A time from now, such as 30d."""
    if value is None:
        return None
    if not (found := re.fullmatch(r"([1-9]\d{0,4})([mhdw])", value)):
        raise click.BadParameter(f"{value!r} is not of the form 90m, 12h, 30d or 8w", param=parameter)
    return timedelta(seconds=int(found[1]) * _SECONDS[found[2]])


def change(_: click.Context, parameter: click.Parameter, value: str | None) -> Decimal | None:
    """An exact amount of money, above or below zero."""
    if value is None:
        return None
    try:
        amount = Decimal(value)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or abs(amount) >= 10**12:
        raise click.BadParameter(f"{value!r} is not an amount such as 10 or 2.50", param=parameter)
    return amount


def amount(ctx: click.Context, parameter: click.Parameter, value: str | None) -> Decimal | None:
    """An exact amount of money."""
    found = change(ctx, parameter, value)
    if found is not None and found < 0:
        raise click.BadParameter(f"{value} is below zero", param=parameter)
    return found
