"""Who sends or takes nothing, or a byte now and then, is let go, and what they held is free again."""

import re
from contextlib import suppress

import ormsgpack
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.transports.conftest import Running
from tests.transports.security.conftest import Serve
from tests.transports.security.raw import answer, asked, closing, dialled, frame, head_of, status, upgrade

_LONG = "a" * 200_000
_BODY = b'{"text": "' + _LONG.encode() + b'", "format": "pcm"}'


def drip(client, data: bytes) -> bytes:  # type: ignore[no-untyped-def]
    """Send a byte now and then until something comes, and return all of that."""
    client.settimeout(0.02)
    for at in range(len(data)):
        try:
            client.sendall(data[at : at + 1])
            received = client.recv(65_536)
        except TimeoutError:
            continue
        except OSError:  # it was cut off without a word
            return b""
        client.settimeout(30)
        with suppress(ConnectionResetError):  # of a byte that was on its way
            received += answer(client) if received else b""
        return received
    raise AssertionError("it was all taken")


def test_a_head_that_does_not_end(serve: Serve) -> None:
    running = serve(head_seconds=0.3)
    with dialled(running.url) as client:
        answered = drip(client, b"GET /health HTTP/1.1\r\nX-Slow: " + b"x" * 2000)
    assert status(answered) == 408
    assert b"headers: not all there after 0.3 s" in answered
    running.until(lambda: not running.server.guard.connections, "no connection")


def test_who_connects_and_says_nothing(serve: Serve) -> None:
    running = serve(head_seconds=0.3)
    with dialled(running.url) as client:
        assert answer(client) == b""


def test_empty_lines_after_a_request_do_not_keep_a_connection(serve: Serve) -> None:
    running = serve(head_seconds=0.5, keep_alive=60)
    with dialled(running.url) as client:
        client.sendall(asked())
        assert status(head_of(client)) == 200
        assert client.recv(15)
        assert status(drip(client, b"\r\n" * 1000)) == 408


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"body_grace": 0.3, "body_rate": 1000.0}, b"body: less than 1000 bytes a second"),
        ({"body_seconds": 0.3, "body_rate": 1.0}, b"body: not all there after 0.3 s"),
    ],
    ids=["rate", "time"],
)
def test_a_body_that_does_not_end(serve: Serve, limits: dict[str, float], words: bytes) -> None:
    running = serve(**limits)
    head = asked("/v1/tts", "Content-Type: application/json", "Content-Length: 5000", method="POST")
    with dialled(running.url) as client:
        client.sendall(head)
        answered = drip(client, b"x" * 5000)
    assert status(answered) == 408
    assert words in answered
    running.until(lambda: not running.server.server_state.tasks, "no request")


def test_a_body_that_nobody_wants(serve: Serve) -> None:
    """It was refused before it came, and the connection was kept: for the rest of it, as slowly as one likes."""
    running = serve(body_grace=0.3, body_rate=1000.0, keep_alive=60)
    with dialled(running.url) as client:
        client.sendall(asked("/nothing", "Content-Length: 5000", method="POST"))
        assert status(head_of(client)) == 404
        drip(client, b"x" * 5000)
    running.until(lambda: not running.server.guard.connections, "no connection")


def test_who_does_not_take_a_download_frees_its_slot(serve: Serve) -> None:
    running = serve(stall_seconds=0.3)
    with dialled(running.url, receive_buffer=4096) as client:
        head = asked(
            "/v1/tts", "Content-Type: application/json", f"Content-Length: {len(_BODY)}", method="POST"
        )
        client.sendall(head + _BODY)
        assert status(head_of(client)) == 200
        running.until(lambda: running.engine.open_streams == 1, "a stream")
        running.until_idle()
        running.until(lambda: not running.server.guard.connections, "no connection")


def speaking(running: Running, client) -> None:  # type: ignore[no-untyped-def]
    """Have a live socket send more than it can without being read."""
    for event in (
        {"event": "start", "request": {"format": "pcm"}},
        {"event": "text", "text": _LONG},
        {"event": "stop"},
    ):
        client.send(ormsgpack.packb(event))
    running.until(lambda: running.engine.open_streams == 1, "a stream")


def test_who_does_not_take_live_audio_frees_its_slot(serve: Serve) -> None:
    running = serve(stall_seconds=0.3)
    with connect(running.live, max_queue=1, proxy=None) as client:
        speaking(running, client)
        running.until_idle()
        running.until(lambda: not running.server.guard.connections, "no connection")
        with pytest.raises(ConnectionClosed):
            list(iter(client.recv, None))


def test_who_does_not_answer_pings_is_gone_even_if_much_waits_to_be_sent(serve: Serve) -> None:
    running = serve(stall_seconds=60.0, ping_seconds=0.3, linger_seconds=0.3)
    with connect(running.live, max_queue=1, ping_interval=None, proxy=None) as client:
        speaking(running, client)
        running.until_idle()
        running.until(lambda: not running.server.guard.connections, "no connection")


@pytest.mark.parametrize(
    "message",
    [frame(2, b"x" * 5000), frame(2, b"x", fin=False) + frame(0, b"x", fin=False) * 1000],
    ids=["frame", "fragments"],
)
@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"body_grace": 0.3, "body_rate": 10_000.0}, "message: less than 10000 bytes a second"),
        ({"body_seconds": 0.3, "body_rate": 1.0}, "message: not all there after 0.3 s"),
    ],
    ids=["rate", "time"],
)
def test_a_message_that_does_not_end(
    serve: Serve, message: bytes, limits: dict[str, float], words: str
) -> None:
    running = serve(**limits)
    with dialled(running.url) as client:
        client.sendall(upgrade("/v1/tts/live"))
        assert status(head_of(client)) == 101
        assert closing(drip(client, message)) == (1008, words)
    running.until(lambda: not running.server.guard.connections, "no connection")


def test_who_is_in_the_middle_of_a_long_message_need_not_answer_pings(serve: Serve) -> None:
    """Nothing can be sent within a frame, which on a slow link takes longer than an answer may."""
    running = serve(ping_seconds=0.1)
    message = frame(2, b"x" * 100)
    with dialled(running.url) as client:
        client.sendall(upgrade("/v1/tts/live"))
        assert status(head_of(client)) == 101
        client.settimeout(0.02)
        received = b""
        for at in range(50):
            client.sendall(message[at : at + 1])
            with suppress(TimeoutError):
                received += client.recv(65_536)
        client.settimeout(30)
        (ping,) = re.findall(rb"\x89\x04(.{4})", received, re.DOTALL)
        client.sendall(message[50:] + frame(10, ping))
        while b"finish" not in received:
            data = client.recv(65_536)
            assert data, received
            received += data


def test_a_socket_on_which_nothing_is_said(serve: Serve) -> None:
    running = serve(first_message_seconds=0.3)
    with dialled(running.url) as client:
        client.sendall(upgrade("/v1/tts/live"))
        assert status(head_of(client)) == 101
        assert b"no message for 0.3 s" in answer(client)


def test_a_socket_on_which_something_was_said_stays(serve: Serve) -> None:
    running = serve(first_message_seconds=2.0)
    with connect(running.live, proxy=None) as spoken, dialled(running.url) as silent:
        spoken.send(ormsgpack.packb({"event": "start", "request": {"format": "pcm"}}))
        silent.sendall(upgrade("/v1/tts/live") + frame(9))
        assert status(head_of(silent)) == 101
        assert b"no message" in answer(silent)  # it is over for the one; the other came before it
        spoken.send(ormsgpack.packb({"event": "text", "text": "Hello."}))
        spoken.send(ormsgpack.packb({"event": "stop"}))
        while ormsgpack.unpackb(spoken.recv(30))["event"] != "finish":
            pass
