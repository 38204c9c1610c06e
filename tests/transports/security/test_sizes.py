"""What is too large, or too much at once, is refused with an answer that says so."""

import socket as sockets
from contextlib import ExitStack

import orjson
import pytest

from tests.transports.conftest import Running
from tests.transports.security.conftest import Serve
from tests.transports.security.raw import (
    answer,
    asked,
    closing,
    dialled,
    frame,
    head_of,
    refused,
    status,
    upgrade,
)

_TEXT, _BINARY, _CONTINUATION, _PING, _CLOSE = 1, 2, 0, 9, 8


def told(answered: bytes) -> str:
    """What a refusal says, which is in the shape of any other error."""
    fields = orjson.loads(answered.partition(b"\r\n\r\n")[2])
    assert fields["status"] == status(answered)
    return str(fields["message"])


@pytest.fixture
def strict(serve: Serve) -> Running:
    return serve(line=200, head=1000, head_fields=10)


@pytest.mark.parametrize(
    ("request_", "expected", "words"),
    [
        (asked("/" + "x" * 300), 414, "request line: expected at most 200 bytes"),
        (asked("/health", "Cookie: " + "x" * 1000), 431, "expected at most 1000 bytes"),
        (asked("/health", *(f"X-{i}: y" for i in range(10))), 431, "in 10 fields"),
        (b"GET /health HTTP/1.1\r\nX-Endless: " + b"x" * 300_000, 431, "expected at most 1000 bytes"),
        (b"GET /" + b"x" * 300_000, 414, "request line"),
        (upgrade("/v1/tts/live", "Cookie: " + "x" * 1000), 431, "expected at most 1000 bytes"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 what a TLS client says\r\n\r\n", 400, "not HTTP/1.1"),
        (
            asked("/v1/tts", "Content-Length: 5", "Transfer-Encoding: chunked", method="POST"),
            400,
            "not HTTP/1.1",
        ),
        (asked("/health", "Host: elsewhere"), 400, "Host: got several"),
    ],
    ids=[
        "line",
        "head",
        "fields",
        "endless header",
        "endless line",
        "socket",
        "TLS",
        "smuggling",
        "two hosts",
    ],
)
def test_heads(strict: Running, request_: bytes, expected: int, words: str) -> None:
    with dialled(strict.url) as client:
        client.sendall(request_)
        client.shutdown(1)
        answered = answer(client)
    assert status(answered) == expected, answered
    assert words in told(answered)


def test_what_fits_is_answered(strict: Running) -> None:
    with dialled(strict.url) as client:
        for _ in range(3):  # of several requests each counts for itself
            client.sendall(asked("/health", "Cookie: " + "x" * 800))
            assert status(head_of(client)) == 200
            assert client.recv(15) == b'{"status":"ok"}'


def test_trailers_without_end(strict: Running) -> None:
    head = asked("/v1/tts", "Content-Type: application/json", "Transfer-Encoding: chunked", method="POST")
    with dialled(strict.url) as client:
        client.sendall(head + b"2\r\n{}\r\n0\r\nX-Trailer: ")
        try:
            for _ in range(1000):
                client.sendall(b"x" * 10_000)
        except OSError:  # it was cut off
            return
        assert status(answer(client)) in (400, 431)


def test_connections_in_all(serve: Serve) -> None:
    running = serve(connections=2)
    with dialled(running.url) as first, dialled(running.url) as second:
        for client in (first, second):
            client.sendall(asked())
            assert status(head_of(client)) == 200
        with dialled(running.url) as third:
            third.sendall(asked())
            answered = answer(third)
        assert status(answered) == 503
        assert b"retry-after: 1\r\n" in answered
        assert "2 connections" in told(answered)
    running.until(lambda: not running.server.guard.connections, "no connection")
    with dialled(running.url) as again:
        again.sendall(asked())
        assert status(head_of(again)) == 200


@pytest.mark.parametrize("request_", [asked(), upgrade("/v1/tts/live")], ids=["http", "websocket"])
def test_connections_of_one_address(serve: Serve, request_: bytes) -> None:
    running = serve(per_address=1)
    with dialled(running.url, "127.0.0.5") as first:
        first.sendall(asked())
        assert status(head_of(first)) == 200
        with dialled(running.url, "127.0.0.5") as second:
            second.sendall(request_)
            answered = answer(second)
        assert status(answered) == 429
        assert "from 127.0.0.5" in told(answered)
        with dialled(running.url, "127.0.0.6") as other:
            other.sendall(request_)
            assert status(head_of(other)) in (101, 200)


@pytest.mark.parametrize("request_", [asked(), upgrade("/v1/tts/live")], ids=["http", "websocket"])
def test_requests_a_second_of_one_address(serve: Serve, request_: bytes) -> None:
    running = serve(request_rate=0.001, request_burst=3)
    for _ in range(3):
        with dialled(running.url, "127.0.0.5") as client:
            client.sendall(request_)
            assert status(head_of(client)) in (101, 200)
    with dialled(running.url, "127.0.0.5") as client:
        client.sendall(request_)
        head = head_of(client)
    assert status(head) == 429
    assert b"\r\nretry-after: 1000\r\n" in head.lower()
    with dialled(running.url, "127.0.0.6") as other:
        other.sendall(request_)
        assert status(head_of(other)) in (101, 200)


def test_who_is_behind_a_proxy_counts_and_not_the_proxy(serve: Serve) -> None:
    running = serve(request_rate=0.001, request_burst=1, per_address=1, proxies=("127.0.0.5/32",))

    def statuses(source: str, *callers: str) -> list[int]:
        found = []
        with dialled(running.url, source) as client:
            for caller in callers:
                client.sendall(asked("/health", f"X-Forwarded-For: {caller}"))
                found.append(status(head_of(client)))
                client.recv(15)
        return found

    assert statuses("127.0.0.5", "203.0.113.1", "203.0.113.2") == [200, 200]
    assert statuses("127.0.0.5", "198.51.100.1, 203.0.113.1") == [429]  # what it says itself does not count
    assert statuses("127.0.0.5", "2001:db8:1:2::3", "2001:db8:1:3::3") == [200, 200]
    assert statuses("127.0.0.5", "2001:db8:1:2:ffff::1") == [429]  # the same network
    assert statuses("127.0.0.6", "203.0.113.3") == [200]
    assert statuses("127.0.0.6", "203.0.113.4") == [429]  # no proxy


def test_messages_a_second(serve: Serve) -> None:
    running = serve(message_rate=0.001, message_burst=20)
    with dialled(running.url) as client:
        client.sendall(upgrade("/v1/tts/live"))
        assert status(head_of(client)) == 101
        client.sendall(frame(_PING) * 21)
        assert closing(answer(client)) == (1008, "more than 0.001 messages a second")
    running.until(lambda: not running.server.guard.connections, "no connection")


def test_a_message_in_fragments_without_end(serve: Serve) -> None:
    running = serve(fragments=100)
    with dialled(running.url) as client:
        client.sendall(upgrade("/v1/tts/live"))
        assert status(head_of(client)) == 101
        client.sendall(frame(_TEXT, fin=False) + frame(_CONTINUATION, fin=False) * 100)
        assert closing(answer(client)) == (1008, "a message in more than 100 fragments")


def test_who_pings_without_reading_the_answers_gets_no_more_of_them(serve: Serve) -> None:
    running = serve(message_burst=10**9, linger_seconds=60.0)
    with dialled(running.url, receive_buffer=4096) as client:
        client.sendall(upgrade("/v1/tts/live"))
        assert status(head_of(client)) == 101
        for _ in range(300):
            client.sendall(frame(_PING, b"x" * 125) * 400)  # 15 MB in all
        client.sendall(frame(_CLOSE, b"\x03\xe8"))
        (socket,) = running.server.server_state.connections
        running.until(lambda: socket.transport.is_closing(), "a closed socket", 30)
        assert socket.transport.get_write_buffer_size() < 1_000_000
    running.until(lambda: not running.server.guard.connections, "no connection")


@pytest.fixture
def narrow(serve: Serve) -> Running:
    """Room for two messages of one address that are not all there, and for eight in all."""
    return serve(
        unfinished=560_000,
        unfinished_per_address=140_000,
        proxies=("127.0.0.4/32",),
        settings={"max_message_bytes": 70_000, "open_to_all": True},
    )


def begun(stack: ExitStack, running: Running, source: str, *headers: str) -> sockets.socket:
    """A socket with a message that is not all there, and too large to be let come whatever else is kept."""
    client = stack.enter_context(dialled(running.url, source))
    client.sendall(upgrade("/v1/tts/live", *headers))
    assert status(head_of(client)) == 101
    client.sendall(frame(_BINARY, b"x" * 65_000, fin=False))
    client.sendall(frame(_CONTINUATION, b"x" * 1000, fin=False))
    return client


def test_unfinished_messages_of_one_address(narrow: Running) -> None:
    gate = narrow.server.guard.gate
    with ExitStack() as stack:
        first, _ = (begun(stack, narrow, "127.0.0.5") for _ in range(2))
        narrow.until(lambda: gate.kept > 130_000, "two messages")
        why = "more than 140000 bytes of unfinished messages from 127.0.0.5"
        assert refused(begun(stack, narrow, "127.0.0.5")) == (1008, why)
        begun(stack, narrow, "127.0.0.6")
        narrow.until(lambda: gate.kept > 195_000, "three messages")
        first.sendall(frame(_CONTINUATION))
        assert b"finish" in first.recv(1000)
        narrow.until(lambda: gate.kept < 140_000, "two messages again")
        begun(stack, narrow, "127.0.0.5")
        narrow.until(lambda: gate.kept > 195_000, "three messages again")
    narrow.until(lambda: not gate.kept, "nothing that is kept")


def test_unfinished_messages_of_one_address_behind_a_proxy(narrow: Running) -> None:
    gate = narrow.server.guard.gate
    with ExitStack() as stack:
        for count in (1, 2):
            begun(stack, narrow, "127.0.0.4", "X-Forwarded-For: 203.0.113.1")
            narrow.until(lambda count=count: gate.kept > count * 65_000, "one message more")  # type: ignore[misc]
        begun(stack, narrow, "127.0.0.4", "X-Forwarded-For: 203.0.113.2")
        narrow.until(lambda: gate.kept > 195_000, "three messages")
        third = begun(stack, narrow, "127.0.0.4", "X-Forwarded-For: 203.0.113.1")
        assert refused(third)[1].endswith("from 203.0.113.1")


def test_unfinished_messages_in_all(narrow: Running) -> None:
    gate = narrow.server.guard.gate
    with ExitStack() as stack:
        for number in range(8):
            begun(stack, narrow, f"127.0.0.{5 + number // 2}")
        narrow.until(lambda: gate.kept > 520_000, "eight messages")
        ninth = begun(stack, narrow, "127.0.0.9")
        assert refused(ninth) == (1013, "more than 560000 bytes of unfinished messages")
        small = stack.enter_context(dialled(narrow.url, "127.0.0.9"))
        small.sendall(upgrade("/v1/tts/live"))
        assert status(head_of(small)) == 101
        small.sendall(frame(_BINARY, b"x" * 60_000, fin=False))
        small.sendall(frame(_CONTINUATION))
        assert b"finish" in small.recv(1000)


def test_fragments_without_bytes_are_kept_too(serve: Serve) -> None:
    running = serve()
    with dialled(running.url) as client:
        client.sendall(upgrade("/v1/tts/live"))
        assert status(head_of(client)) == 101
        client.sendall(frame(_TEXT, fin=False) + frame(_CONTINUATION, fin=False) * 1000)
        running.until(lambda: running.server.guard.gate.kept > 100_000, "that they are counted")
