"""A server without keys serves the programs of its machine, and nobody who reaches it through one of them."""

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.transports.conftest import Running
from transports.accounts.auth import is_loopback

WALLET = "/wallet/self/package"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer any"},
        {"Host": "localhost:8080"},
        {"Host": "LOCALHOST"},
        {"Host": "voice.localhost"},
        {"Host": "[::1]:8080"},
        {"Host": "127.0.0.1:8080", "Origin": "http://127.0.0.1:8080"},
    ],
    ids=str,
)
def test_programs_of_this_machine_are_served(server: Running, headers: dict[str, str]) -> None:
    assert httpx.get(server.url + WALLET, headers=headers, trust_env=False).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},  # whose name its owner has made mean 127.0.0.1: DNS rebinding
        {"Host": "localhost.evil.example"},
        {"Host": "192.168.1.2:8080"},
        {"Host": "0.0.0.0:8080"},
        {"Host": "[::1"},
        {"Origin": "https://evil.example"},  # a page in a browser on this machine
        {"Origin": "null"},
        {"X-Forwarded-For": "203.0.113.5"},  # a proxy on this machine, or a tunnel
        {"X-Forwarded-Host": "voice.example"},
        {"Forwarded": "for=203.0.113.5"},
        {"X-Real-IP": "203.0.113.5"},
        {"Via": "1.1 vegur"},
        {"Host": "evil.example", "Authorization": "Bearer any"},
    ],
    ids=str,
)
def test_whoever_comes_through_another_program_needs_a_key(server: Running, headers: dict[str, str]) -> None:
    answer = httpx.get(server.url + WALLET, headers=headers, trust_env=False)
    assert answer.status_code == 401
    assert "parrotfish keys create" in answer.json()["message"]
    assert httpx.get(server.url + "/health", headers=headers, trust_env=False).status_code == 200


def test_so_do_sockets(server: Running) -> None:
    headers = {"X-Forwarded-For": "203.0.113.5"}
    with (
        pytest.raises(InvalidStatus) as refused,
        connect(server.live, additional_headers=headers, proxy=None),
    ):
        pass
    assert refused.value.response.status_code == 401


@pytest.mark.parametrize("host", ["127.0.0.1", "127.5.5.5", "::1", "[::1]", "localhost"])
def test_addresses_that_only_this_machine_reaches(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "0", "192.168.1.2", "example.com", "::ffff:0.0.0.0"])
def test_addresses_that_others_reach(host: str) -> None:
    assert not is_loopback(host)
