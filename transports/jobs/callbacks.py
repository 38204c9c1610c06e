"""Telling a stranger's address of a job's end, without becoming a stranger's tool.

Such an address could be one that only this machine can reach. So its name is looked up once, all of its addresses
must be public ones, and the connection is made to one of those, not to what the name means a moment later. No
redirect is followed, no proxy used, and of the answer nothing is read but its status.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

from transports.errors import RequestError, invalid
from transports.version import VERSION

MAX_URL = 2000
RESOLVE_SECONDS = 5.0
TOTAL_SECONDS = 15.0
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# All that has been given out of IPv6 for everybody (RFC 4291, 2.4), but for examples (RFC 9637).
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_DOCUMENTATION = ipaddress.ip_network("3fff::/20")
# A name server that does not answer holds a thread for much longer than we wait. These are nobody else's.
_RESOLVERS = ThreadPoolExecutor(4, "parrotfish-names")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class CallbackFailed(Exception):
    """The other side could not be told; the text says why."""


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Posts to addresses that clients gave. ``allow_private``: also to those of this machine and its network."""

    allow_private: bool = False

    async def check(self, url: str) -> None:
        """Refuse a callback that would not be made. Raises RequestError."""
        await self._resolve(_parsed(url))

    async def post(self, url: str, body: Mapping[str, Any]) -> None:
        """Post JSON to it once. Raises :class:`CallbackFailed`."""
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                parsed = _parsed(url)
                address = await self._resolve(parsed)
                status = await _post(parsed, address, body)
        except (RequestError, httpx.HTTPError, OSError) as error:
            raise CallbackFailed(f"{type(error).__name__}: {error}"[:300]) from None
        except TimeoutError:
            raise CallbackFailed(f"no answer within {TOTAL_SECONDS:g} s") from None
        if not 200 <= status < 300:
            raise CallbackFailed(f"status {status}; expected 2xx")

    async def _resolve(self, url: httpx.URL) -> Address:
        """An address of its host. Raises RequestError if there is none that may be called."""
        try:
            async with asyncio.timeout(RESOLVE_SECONDS):
                host = url.raw_host.decode("ascii")
                found = await asyncio.get_running_loop().run_in_executor(
                    _RESOLVERS, lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
                )
        except (OSError, UnicodeError, TimeoutError):
            raise invalid("callback_url", str(url), "an address whose host can be found") from None
        addresses = [ipaddress.ip_address(str(where[0]).partition("%")[0]) for *_, where in found]
        if not self.allow_private and not all(is_public(each) and not own(each) for each in addresses):
            raise invalid("callback_url", str(url), "an address that everybody can reach")
        return addresses[0]


def is_public(address: Address) -> bool:
    """Whether an address is everybody's, and no cloak for one that is not."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address not in _GLOBAL_UNICAST or address in _DOCUMENTATION or address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast


def own(address: Address) -> bool:
    """Whether it is one of this machine's: from within, no firewall stands before it."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))  # sends nothing; the system says from where it would
            return ipaddress.ip_address(probe.getsockname()[0]) == address
    except OSError:  # it cannot be reached at all
        return False


def _parsed(url: str) -> httpx.URL:
    """Raises RequestError unless it is an address that could be called."""
    expected = f"an http:// or https:// address of at most {MAX_URL} characters, without a password"
    try:
        parsed = httpx.URL(url) if len(url) <= MAX_URL else httpx.URL()
    except (httpx.InvalidURL, UnicodeError):
        raise invalid("callback_url", url, expected) from None
    if parsed.scheme not in ("http", "https") or not parsed.raw_host or parsed.userinfo:
        raise invalid("callback_url", url, expected)
    return parsed


async def _post(url: httpx.URL, address: Address, body: Mapping[str, Any]) -> int:
    """Post to a host at an address that is known to be its own; returns the status."""
    headers = {"Host": url.netloc.decode("ascii"), "User-Agent": f"parrotfish/{VERSION}"}
    extensions = {"sni_hostname": url.raw_host.decode("ascii")}  # which the certificate is checked for
    trusted = await asyncio.to_thread(httpx.create_ssl_context, trust_env=False)  # it reads files
    async with (
        httpx.AsyncClient(verify=trusted, trust_env=False, timeout=TOTAL_SECONDS) as client,
        client.stream(
            "POST", url.copy_with(host=str(address)), json=body, headers=headers, extensions=extensions
        ) as response,
    ):
        return response.status_code
