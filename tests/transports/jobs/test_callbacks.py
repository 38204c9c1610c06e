"""Callbacks go where everybody could go, and nowhere else."""

import asyncio
import ipaddress
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from transports.errors import RequestError
from transports.jobs import callbacks as module
from transports.jobs.callbacks import CallbackFailed, Callbacks, is_public, own

REAL = socket.getaddrinfo


@pytest.mark.parametrize(
    "address",
    "127.0.0.1 10.1.1.1 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 255.255.255.255 "
    "192.0.2.1 ::1 :: ::ffff:127.0.0.1 ::ffff:10.0.0.1 64:ff9b::7f00:1 2002:7f00:1:: fe80::1 fc00::1 fec0::1 "
    "ff02::1 2001::1 2001:db8::1 ::7f00:1 ::8.8.8.8 ::ffff:0:127.0.0.1 64:ff9b:1::7f00:1 3fff::1 5f00::1 4000::1 "
    "e000::1 200::1".split(),
)
def test_addresses_that_are_not_everybodys(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_addresses_that_are(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://localhost:8080/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://0/",
        "ftp://8.8.8.8/",
        "file:///etc/passwd",
        "http://user:password@8.8.8.8/",
        "http://",
        "//8.8.8.8/",
        "8.8.8.8",
        "http://8.8.8.8/" + "x" * 2000,
        "http://[::1",
        "http://xn--/",
        "http://no.such.host.invalid/",
        "",
    ],
)
async def test_what_is_refused(url: str) -> None:
    with pytest.raises(RequestError, match="callback_url: got"):
        await Callbacks().check(url)
    with pytest.raises(CallbackFailed):
        await Callbacks().post(url, {})


async def test_public_ones_and_with_leave_private_ones_are_not() -> None:
    await Callbacks().check("https://8.8.8.8/done?x=1")
    await Callbacks(allow_private=True).check("http://127.0.0.1:1/")


async def test_what_is_this_machines_own_is_not_everybodys() -> None:
    """A public address of its own leads past the firewall before it."""
    assert own(ipaddress.ip_address("127.0.0.1"))
    assert not own(ipaddress.ip_address("8.8.8.8"))
    assert not own(ipaddress.ip_address("2606:4700::1111"))


async def test_a_callback_to_this_machines_own_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_public", lambda _: True)  # as if that of the loopback were
    with pytest.raises(RequestError, match="everybody can reach"):
        await Callbacks().check("http://127.0.0.1/")


async def test_names_that_nobody_answers_for_hold_up_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    free = threading.Event()

    def silent(*_: Any, **__: Any) -> list[Any]:
        free.wait(60)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    monkeypatch.setattr(module, "RESOLVE_SECONDS", 60.0)
    asking = [asyncio.create_task(Callbacks().check("http://hooks.example/")) for _ in range(50)]
    await asyncio.sleep(0)
    async with asyncio.timeout(30):
        assert await asyncio.to_thread(lambda: "a thread") == "a thread"
        assert not any(task.done() for task in asking)
    free.set()
    assert all(
        isinstance(error, RequestError) for error in await asyncio.gather(*asking, return_exceptions=True)
    )


class Names:
    """A resolver whose every answer is another one, as that of somebody who rebinds a name."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> None:
        self.asked = 0
        self._answers = list(answers)
        monkeypatch.setattr(socket, "getaddrinfo", self.look_up)

    def look_up(self, host: str, port: int | None, *_: Any, **__: Any) -> list[Any]:
        if host[0].isdigit():  # the connection that is made
            return REAL(host, port, *_, **__)
        self.asked += 1
        kinds = {True: socket.AF_INET6, False: socket.AF_INET}
        return [
            (kinds[":" in address], socket.SOCK_STREAM, 6, "", (address, port or 0))
            for address in self._answers.pop(0)
        ]


@asynccontextmanager
async def server(answer: bytes, seen: list[bytes]) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        seen.append(head + await reader.readexactly(length))
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listener:
        yield listener.sockets[0].getsockname()[1]


async def test_a_name_is_looked_up_once_and_what_it_meant_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    async with server(b"HTTP/1.1 204 No Content\r\n\r\n", seen) as port:
        names = Names(monkeypatch, ["127.0.0.1"])
        await Callbacks(allow_private=True).post(f"http://hooks.example:{port}/a?b=c", {"task_id": "1"})
    assert names.asked == 1
    assert seen[0].startswith(b"POST /a?b=c HTTP/1.1\r\n")
    assert f"Host: hooks.example:{port}".encode() in seen[0]
    assert seen[0].endswith(b'{"task_id":"1"}')


async def test_a_name_with_one_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    Names(monkeypatch, ["8.8.8.8", "10.0.0.1"])
    with pytest.raises(RequestError, match="everybody can reach"):
        await Callbacks().check("http://hooks.example/")


async def test_a_name_that_has_become_private_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    Names(monkeypatch, ["8.8.8.8"], ["127.0.0.1"])
    await Callbacks().check("http://hooks.example/")
    with pytest.raises(CallbackFailed, match="everybody can reach"):
        await Callbacks().post("http://hooks.example/", {})


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", "status 302"),
        (b"HTTP/1.1 500 Oh\r\n\r\n", "status 500"),
        (b"nonsense\r\n\r\n", "RemoteProtocolError"),
        (b"", "RemoteProtocolError"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000, "RemoteProtocolError"),
    ],
    ids=["redirect", "error", "nonsense", "nothing", "endless header"],
)
async def test_answers_that_are_none(answer: bytes, reason: str) -> None:
    async with server(answer, []) as port:
        with pytest.raises(CallbackFailed, match=reason):
            await Callbacks(allow_private=True).post(f"http://127.0.0.1:{port}/", {})


async def test_of_an_endless_answer_nothing_is_read() -> None:
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n" + b"x" * 100_000
    async with server(endless, []) as port:
        await Callbacks(allow_private=True).post(f"http://127.0.0.1:{port}/", {})


async def test_nobody_is_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TOTAL_SECONDS", 0.2)
    free = asyncio.Event()

    async def silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await free.wait()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        with pytest.raises(CallbackFailed, match=r"no answer within|Timeout"):
            await Callbacks(allow_private=True).post(f"http://127.0.0.1:{port}/", {})
        free.set()


async def test_a_certificate_is_asked_for_the_name_and_not_trusted_blindly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever answers at the address without the name's certificate is not told."""
    names: list[str | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await reader.read(4096)
        names.append("hooks.example" if b"hooks.example" in hello else None)
        writer.close()

    Names(monkeypatch, ["127.0.0.1"])
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        with pytest.raises(CallbackFailed):
            await Callbacks(allow_private=True).post(f"https://hooks.example:{port}/", {})
    assert names == ["hooks.example"]
    assert ssl.HAS_SNI
