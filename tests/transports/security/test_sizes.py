"""What is too large, or too much at once, is refused with an answer that says so."""

import orjson
import pytest

from tests.transports.conftest import Running
from tests.transports.security.conftest import Serve
from tests.transports.security.raw import answer, asked, dialled, frame, head_of, status, upgrade

_TEXT, _CONTINUATION, _PING, _CLOSE = 1, 0, 9, 8


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


def closing(client_answer: bytes) -> tuple[int, str]:
    """The code and the reason of the close frame at the end of what a socket was sent."""
    at = client_answer.rindex(b"\x88")
    length = client_answer[at + 1]
    return int.from_bytes(client_answer[at + 2 : at + 4], "big"), client_answer[
        at + 4 : at + 2 + length
    ].decode()


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
