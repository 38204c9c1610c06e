"""The server as a user starts it, for clients that are used as their users use them, and no other network."""

import ipaddress
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from engine import EngineConfig
from tests.transports.conftest import Running, run_server
from transports.settings import Settings


@pytest.fixture(scope="session")
def server() -> Iterator[Running]:
    """Real-time, unlike the server of the other wires' tests: a long speech is under way while it is heard."""
    yield from run_server(Settings(port=0, engine=EngineConfig(max_streams=16)))


@pytest.fixture(autouse=True)
def _no_network_but_loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The frameworks around these clients know many services: none of them may be called, not even by name."""
    strayed: list[str] = []
    connect, getaddrinfo = socket.socket.connect, socket.getaddrinfo

    def check(host: Any) -> None:
        if host not in (None, "", "localhost") and not ipaddress.ip_address(host).is_loopback:
            strayed.append(host)
            raise OSError(f"{host} is not loopback")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            check(address[0])
        connect(self, address)

    def guarded_getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
        try:
            check(host)
        except ValueError:  # a name
            strayed.append(host)
            raise OSError(f"{host} is not loopback") from None
        return getaddrinfo(host, *args, **options)

    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)
    yield
    assert not strayed
