"""The options of ``parrotfish serve`` for who may reach it, and how much of it."""

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from transports.cli.types import Number
from transports.security import Limits, SecurityConfig
from transports.security.addresses import networks
from transports.security.names import check_host, check_origin

Command = Callable[..., Any]

_DEFAULTS = SecurityConfig()
_LIMITS = Limits()


def security_options(command: Command) -> Command:
    """Adds the options to a command, which gets a ``security``: a SecurityConfig."""

    @functools.wraps(command)
    def chosen(
        *,
        tls_cert: Path | None,
        tls_key: Path | None,
        allow_host: tuple[str, ...],
        trusted_proxy: tuple[str, ...],
        max_connections: int,
        max_per_address: int,
        request_rate: float,
        header_seconds: float,
        body_seconds: float,
        stall_seconds: float,
        **others: Any,
    ) -> Any:
        if (tls_cert is None) != (tls_key is None):
            raise click.UsageError("--tls-cert and --tls-key belong together")
        limits = replace(
            _LIMITS,
            connections=max_connections,
            per_address=max_per_address,
            request_rate=request_rate,
            request_burst=max(1, round(request_rate * _LIMITS.request_burst / _LIMITS.request_rate)),
            head_seconds=header_seconds,
            body_seconds=body_seconds,
            stall_seconds=stall_seconds,
        )
        security = SecurityConfig(
            tls_cert=tls_cert, tls_key=tls_key, hosts=allow_host, proxies=trusted_proxy, limits=limits
        )
        return command(security=security, **others)

    decorated: Command = chosen
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def origins(_: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """The callback of ``--allow-origin``."""
    return _checked(check_origin, parameter, values)


def _hosts(_: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return _checked(check_host, parameter, values)


def _networks(_: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return _checked(lambda value: str(networks([value])[0]), parameter, values)


def _checked(
    check: Callable[[str], str], parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    try:
        return tuple(map(check, values))
    except ValueError as error:
        raise click.BadParameter(str(error), param=parameter) from None


_OPTIONS = [
    click.option(
        "--tls-cert",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Certificate with its chain, in PEM: the server then speaks https and wss. SIGHUP reads it again.",
    ),
    click.option(
        "--tls-key",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Its private key, in PEM, not encrypted.",
    ),
    click.option(
        "--allow-host",
        multiple=True,
        callback=_hosts,
        metavar="NAME",
        help="A name that this server is called by, such as voice.example.com or *.example.com; may be repeated. "
        "Calls by other names are refused then. localhost and IP addresses are always allowed.",
    ),
    click.option(
        "--trusted-proxy",
        multiple=True,
        default=_DEFAULTS.proxies,
        callback=_networks,
        metavar="NETWORK",
        help="Address or network of reverse proxies, such as 10.0.0.0/8, whose X-Forwarded-For and "
        "X-Forwarded-Proto are believed; may be repeated.",
    ),
    click.option(
        "--max-connections",
        default=_LIMITS.connections,
        type=click.IntRange(1),
        help="Connections at once, as far as the system's limit of open files allows.",
    ),
    click.option(
        "--max-per-address",
        default=_LIMITS.per_address,
        type=click.IntRange(1),
        help="Of these, connections and requests of one address. Trusted proxies have no such limit.",
    ),
    click.option(
        "--request-rate",
        default=_LIMITS.request_rate,
        type=Number(0.0),
        metavar="PER SECOND",
        help="Requests and WebSocket handshakes of one address; ten times as many at once. 0 is no limit.",
    ),
    click.option(
        "--header-seconds",
        default=_LIMITS.head_seconds,
        type=Number(0.1),
        metavar="SECONDS",
        help="How long a client may take for a request line and headers.",
    ),
    click.option(
        "--body-seconds",
        default=_LIMITS.body_seconds,
        type=Number(1.0),
        metavar="SECONDS",
        help="How long a client may take for a request body.",
    ),
    click.option(
        "--stall-seconds",
        default=_LIMITS.stall_seconds,
        type=Number(1.0),
        metavar="SECONDS",
        help="A client that takes nothing of what it is sent for so long is cut off.",
    ),
]
