"""Where tables are printed."""

import sys

from rich.console import Console

_COLUMNS = 160  # more than any of our tables needs


def screen() -> Console:
    """As wide as the terminal; in a file or a pipe, so wide that nothing of a table is left out."""
    return Console(width=None if sys.stdout.isatty() else _COLUMNS)
