"""How WebRTC peers reach the server that the command line starts."""

import functools
import ipaddress
import os
import re
from collections.abc import Callable
from typing import Any

import click
from aiortc.rtcicetransport import parse_stun_turn_uri

from transports.webrtc import WebRtcConfig

Command = Callable[..., Any]

_DEFAULTS = WebRtcConfig()


def _addresses(_: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            ipaddress.ip_address(value)
        except ValueError:
            raise click.BadParameter(f"{value!r} is no IP address", param=parameter) from None
    return values


def _ports(_: click.Context, parameter: click.Parameter, value: str | None) -> tuple[int, int] | None:
    if value is None:
        return None
    found = re.fullmatch(r"(\d{1,5})-(\d{1,5})", value)
    if not found or not 0 < int(found[1]) <= int(found[2]) < 65_536:
        raise click.BadParameter(
            f"{value!r} is not of the form FIRST-LAST, such as 40000-40099", param=parameter
        )
    return int(found[1]), int(found[2])


def _servers(_: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        try:
            parse_stun_turn_uri(value)
        except ValueError:
            raise click.BadParameter(
                f"{value!r} is not of the form stun:HOST:PORT or turn:HOST:PORT?transport=udp",
                param=parameter,
            ) from None
    return values


_OPTIONS = [
    click.option(
        "--announced-ip",
        multiple=True,
        callback=_addresses,
        metavar="ADDRESS",
        help="Address that WebRTC peers are told instead of this machine's own, such as that of the host around "
        "a container; may be repeated, once for IPv4 and once for IPv6.",
    ),
    click.option(
        "--webrtc-ports",
        callback=_ports,
        metavar="FIRST-LAST",
        show_default="any",
        help="UDP ports for WebRTC peers: each has one for each of this machine's addresses.",
    ),
    click.option(
        "--ice-server",
        multiple=True,
        callback=_servers,
        metavar="URL",
        help="STUN or TURN server for WebRTC peers, such as stun:stun.example.net or turn:turn.example.net; may "
        "be repeated.",
    ),
    click.option(
        "--turn-secret-env",
        default="PARROTFISH_TURN_SECRET",
        metavar="NAME",
        help="Environment variable with the secret shared with the TURN server (coturn: static-auth-secret), by "
        "which peers get passwords that end.",
    ),
    click.option(
        "--max-peers",
        default=_DEFAULTS.max_peers,
        type=click.IntRange(0),
        help="WebRTC peers at once; more are refused.",
    ),
]


def peer_options(command: Command) -> Command:
    """Adds ``--announced-ip`` and its kin to a command, which gets them as ``webrtc``."""

    @functools.wraps(command)
    def chosen(
        *,
        announced_ip: tuple[str, ...],
        webrtc_ports: tuple[int, int] | None,
        ice_server: tuple[str, ...],
        turn_secret_env: str,
        max_peers: int,
        **others: Any,
    ) -> Any:
        webrtc = WebRtcConfig(
            announced=announced_ip,
            ports=webrtc_ports,
            ice_servers=ice_server,
            turn_secret=os.environ.get(turn_secret_env) or None,
            max_peers=max_peers,
        )
        return command(webrtc=webrtc, **others)

    decorated: Command = chosen
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated
