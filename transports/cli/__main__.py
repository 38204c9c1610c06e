"""``python -m transports.cli``, for where the ``parrotfish`` script is not on the path."""

from transports.cli.group import main

main(prog_name="parrotfish")
