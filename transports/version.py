"""Which parrotfish this is."""

from importlib.metadata import version

VERSION = version("parrotfish")
"""Version of the installed distribution."""
