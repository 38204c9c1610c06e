"""``parrotfish version``."""

import platform

import click

from transports.version import VERSION


@click.command()
def version() -> None:
    """Show the version of parrotfish, of Python and of the platform."""
    click.echo(f"parrotfish {VERSION}")
    click.echo(f"Python {platform.python_version()} ({platform.python_implementation()})")
    click.echo(platform.platform())
