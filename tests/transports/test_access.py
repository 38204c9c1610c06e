"""Ids of requests, and their lines in the log."""

import json
import logging
import queue
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from engine.logs import JsonFormatter
from tests.transports.conftest import Running
from transports.access import REQUEST_ID, request_id, trace_parent, transport_of

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
NEW = re.compile(r"[0-9a-f]{32}")


class Lines(logging.Handler):
    """The lines of the log as objects, as they are written."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self._lines: queue.Queue[dict[str, Any]] = queue.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.put(json.loads(self.format(record)))

    def of(self, request: str) -> dict[str, Any]:
        """The line of a request; waits for it."""
        while (line := self._lines.get(timeout=20)).get("request_id") != request:
            pass
        return line


@pytest.fixture
def lines() -> Iterator[Lines]:
    access, handler = logging.getLogger("transports.access"), Lines()
    level = access.level
    access.addHandler(handler)
    access.setLevel(logging.INFO)
    yield handler
    access.setLevel(level)
    access.removeHandler(handler)


def test_a_request_without_an_id_gets_one(server: Running) -> None:
    ids = [httpx.get(f"{server.url}/health").headers[REQUEST_ID] for _ in range(2)]
    assert all(map(NEW.fullmatch, ids))
    assert ids[0] != ids[1]


@pytest.mark.parametrize("given", ["a", "550e8400-e29b-41d4-a716-446655440000", "Root:1-2.3_4", "x" * 64])
def test_an_id_of_the_client_is_kept(server: Running, given: str) -> None:
    assert httpx.get(f"{server.url}/health", headers={REQUEST_ID: given}).headers[REQUEST_ID] == given


@pytest.mark.parametrize(
    "given", ["x" * 65, "a b", "a=b", "<b>", "-a", "caf\xe9", "", "pf_abcdefghij_" + "k" * 43]
)
def test_an_id_that_is_long_or_strange_is_not(server: Running, given: str) -> None:
    headers = [(REQUEST_ID.encode(), given.encode("latin-1"))]
    answer = httpx.get(f"{server.url}/health", headers=headers)
    assert NEW.fullmatch(answer.headers[REQUEST_ID])


def test_of_two_ids_none_counts() -> None:
    assert NEW.fullmatch(request_id(Headers(raw=[(b"x-request-id", b"a"), (b"x-request-id", b"b")])))


def test_errors_have_the_id_too(server: Running) -> None:
    for path in ("/nowhere", "/v1/tts"):
        assert httpx.get(server.url + path, headers={REQUEST_ID: "mine"}).headers[REQUEST_ID] == "mine"


def test_the_handshake_of_a_socket_has_it(server: Running) -> None:
    with connect(server.live, additional_headers={REQUEST_ID: "sock"}, proxy=None) as socket:
        assert socket.response is not None
        assert socket.response.headers[REQUEST_ID] == "sock"


def test_so_has_one_that_is_refused(server: Running) -> None:
    headers = {REQUEST_ID: "sock", "Origin": "https://elsewhere.example"}
    with pytest.raises(InvalidStatus) as refused:
        connect(server.live, additional_headers=headers, proxy=None)
    assert refused.value.response.headers[REQUEST_ID] == "sock"


def test_a_request_is_told_in_one_line(server: Running, lines: Lines) -> None:
    body = {"text": "Secret plans.", "format": "pcm"}
    headers = {REQUEST_ID: "told-1", "traceparent": f"00-{TRACE}-{SPAN}-01"}
    answer = httpx.post(f"{server.url}/v1/tts", json=body, headers=headers, timeout=60)
    line = lines.of("told-1")
    assert line["seconds"] > 0
    assert {name: line[name] for name in ("method", "path", "status", "bytes", "transport")} == {
        "method": "POST",
        "path": "/v1/tts",
        "status": 200,
        "bytes": len(answer.content),
        "transport": "http",
    }
    assert line["received"] == len(answer.request.content)
    assert (line["trace_id"], line["span_id"]) == (TRACE, SPAN)
    assert line["message"].startswith("POST /v1/tts 200, ")


def test_an_address_is_told_without_what_varies_in_it(server: Running, lines: Lines) -> None:
    for path, told in (("/model/secret", "/model/{id_}"), ("/secret/plans", "-")):
        httpx.get(f"{server.url}{path}?secret=1", headers={REQUEST_ID: "told-2"})
        line = lines.of("told-2")
        assert line["path"].replace("voice_id", "id_") == told
        assert line["status"] == 404
        assert "secret" not in json.dumps(line)


def test_a_socket_is_told_when_it_is_closed(server: Running, lines: Lines) -> None:
    with connect(server.live, additional_headers={REQUEST_ID: "told-3"}, proxy=None) as socket:
        socket.send(b"\xc1")
        told = socket.recv(20)
    line = lines.of("told-3")
    assert (line["method"], line["path"], line["status"]) == ("WS", "/v1/tts/live", 101)
    assert (line["received"], line["close"], line["transport"]) == (1, 1000, "live")
    assert line["bytes"] >= len(told)


def test_a_socket_that_is_refused_is_told_with_its_status(server: Running, lines: Lines) -> None:
    headers = {REQUEST_ID: "told-4", "Origin": "https://elsewhere.example"}
    with pytest.raises(InvalidStatus):
        connect(server.live, additional_headers=headers, proxy=None)
    assert lines.of("told-4")["status"] == 403


@pytest.mark.parametrize(
    ("path", "transport"),
    [
        ("/v1/tts", "http"),
        ("/v1/tts/stream/with-timestamp", "http"),
        ("/v1/tts/live", "live"),
        ("/v1/tts/live/with-timestamp", "live"),
        ("/v1/tts/liver", "http"),
        ("/v1/asr", "asr"),
        ("/v1/asr/realtime", "asr_live"),
        ("/v1/audio/speech", "openai"),
        ("/compat/v1/audio/speech", "openai"),
        ("/fish/tts", "gateway"),
        ("/v1/ai/any/fishaudio", "gateway"),
        ("/api/v1/fish-audio/tts", "gateway"),
        ("/v1/agent", "agent"),
        ("/v1/webrtc/123", "webrtc"),
        ("/v1/telephony/twilio/ticket", "telephony"),
        ("/v1/dub", "dub"),
        ("/model", "other"),
        ("/", "other"),
        ("", "other"),
    ],
)
def test_which_wire_an_address_belongs_to(path: str, transport: str) -> None:
    assert transport_of(path) == transport


def test_two_parents_are_none() -> None:
    header = (b"traceparent", f"00-{TRACE}-{SPAN}-01".encode())
    assert trace_parent(Headers(raw=[header])) is not None
    assert trace_parent(Headers(raw=[header, header])) is None


def test_a_tracestate_in_several_headers_is_one() -> None:
    header = (b"traceparent", f"00-{TRACE}-{SPAN}-01".encode())
    place = trace_parent(Headers(raw=[header, (b"tracestate", b"a=1"), (b"tracestate", b"b=2")]))
    assert place is not None
    assert place.state == "a=1,b=2"
