"""Who is one stranger, as far as an address can tell."""

import ipaddress
from collections.abc import Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_HOST_BITS = 64


def whose(host: str) -> str:
    """What an address counts as: itself, or of IPv6 the 64 bits that a subscriber's network has (RFC 6177).

    What is no address is left as it is. An IPv4 address written as one of IPv6 is the former.
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address) >> _HOST_BITS << _HOST_BITS, 128 - _HOST_BITS)))


def networks(texts: Sequence[str]) -> tuple[Network, ...]:
    """Networks of their CIDR notation, or of single addresses. Raises ValueError that names the wrong one."""
    found = []
    for text in texts:
        try:
            found.append(ipaddress.ip_network(text))
        except ValueError as error:
            raise ValueError(f"{text!r} is no network such as 10.0.0.0/8: {error}") from None
    return tuple(found)


def within(host: str, trusted: Sequence[Network]) -> bool:
    """Whether an address is of one of these networks."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in network for network in trusted)
