"""Kinds of values that options take, as click's callbacks."""

import re
from datetime import timedelta
from decimal import Decimal, InvalidOperation

import click

_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


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
