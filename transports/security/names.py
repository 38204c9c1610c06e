"""The names that a server is called by, and the pages that may call it. Sans I/O."""

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from urllib.parse import urlsplit

METHODS_THAT_READ = frozenset(("GET", "HEAD", "OPTIONS"))
_ORIGIN_PARTS = "scheme://host, or scheme://host:port, such as https://example.com"


@dataclass(frozen=True, slots=True)
class Names:
    """Which names of this server are known.

    ``hosts`` are those that its operator gave, "*.example.com" for all below one; ``own`` those that it has
    anyway. Addresses, and what can only be this machine, are always known: a page cannot make them mean another.
    """

    hosts: tuple[str, ...] = ()
    own: frozenset[str] = frozenset()

    def known(self, host: str) -> bool:
        """Whether a ``Host`` header has one of them, whatever the port."""
        name = _name(host)
        if name is None:
            return False
        if name == "localhost" or name.endswith(".localhost") or name in self.own or _is_address(name):
            return True
        return any(_matches(name, pattern) for pattern in self.hosts)


def own_names(public_url: str | None) -> frozenset[str]:
    """What this machine is called by itself and in the address that is told to clients."""
    name = _hostname()
    public = _name(urlsplit(public_url).netloc) if public_url else None
    return frozenset(filter(None, (name, f"{name}.local" if name else None, public)))


def check_origin(text: str) -> str:
    """An origin as browsers write it. Raises ValueError for what no browser will ever send."""
    if text in ("*", "null"):
        return text
    try:
        parts = urlsplit(text)
        whole = parts.scheme and parts.hostname and parts.port != 0 and not parts.username
    except ValueError:
        whole = None
    if not whole or text != f"{parts.scheme}://{parts.netloc}".lower():
        raise ValueError(f"{text!r} is no origin; expected {_ORIGIN_PARTS}, in lower case and without a path")
    return text


def check_host(text: str) -> str:
    """A name for :class:`Names`. Raises ValueError for what no ``Host`` header can match."""
    name = text.removeprefix("*.")
    if text != "*" and (_name(name) != name or not name or set(name) & set("/*@:[] ")):
        raise ValueError(
            f"{text!r} is no host name; expected voice.example.com, or *.example.com, in lower case"
        )
    return text


def count(headers: Sequence[tuple[bytes, bytes]], wanted: bytes) -> int:
    """How often a header was sent."""
    return sum(name == wanted for name, _ in headers)


def _matches(name: str, pattern: str) -> bool:
    return pattern == "*" or name == pattern or (pattern.startswith("*.") and name.endswith(pattern[1:]))


def _name(host: str) -> str | None:
    """The name in a ``Host`` header, without its port and in lower case."""
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return None
    return name.rstrip(".") if name else None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


@cache
def _hostname() -> str:
    return socket.gethostname().lower()
