"""The command line: ``parrotfish serve | say | doctor | voices | version``."""

from transports.cli.group import main

__all__ = ["main"]
