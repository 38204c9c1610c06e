"""Alive and ready are two questions."""

import contextlib
import inspect
import threading
from collections.abc import Iterator
from dataclasses import replace

import httpx
import ormsgpack
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from engine import EngineConfig, SpeechModel
from tests.tones import ToneModel
from tests.transports.conftest import Running, run_server
from transports.server import Server
from transports.settings import Settings


def test_alive_and_ready(server: Running) -> None:
    assert httpx.get(f"{server.url}/health").json() == {"status": "ok"}
    ready = httpx.get(f"{server.url}/ready")
    assert ready.status_code == 200
    assert ready.json()["status"] == "ready"


def test_the_first_caller_does_not_wait_for_what_is_loaded_late(
    small: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    late: list[object] = []
    monkeypatch.setattr(inspect, "getsourcelines", late.append)
    for path in ("/v1/tts", "/v1/tts/stream/with-timestamp"):
        assert httpx.post(f"{small.url}{path}", json={"text": "Hi."}).status_code == 200
    for path in ("/health", "/ready"):
        assert httpx.get(f"{small.url}{path}").status_code == 200
    for path in ("", "/with-timestamp"):
        with connect(small.live + path):
            pass
    assert not late


@pytest.fixture
def small() -> Iterator[Running]:
    yield from run_server(Settings(port=0, engine=EngineConfig(max_streams=1)), ToneModel)


def test_a_full_server_is_not_ready_and_refuses_with_retry_after(small: Running) -> None:
    body = {"text": "a" * 3000, "format": "pcm"}
    with httpx.stream("POST", f"{small.url}/v1/tts", json=body) as response:
        chunks = response.iter_raw()  # held: when it goes, so does the connection
        next(chunks)
        ready = httpx.get(f"{small.url}/ready")
        assert (ready.status_code, ready.json()["status"]) == (503, "full")
        refused = httpx.post(f"{small.url}/v1/tts", json={"text": "Hello."})
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.json()["status"] == 503
        assert "retry-after" in ready.headers
    small.until_idle()
    assert httpx.get(f"{small.url}/ready").status_code == 200


def test_who_is_there_may_still_speak_while_a_balancer_is_told_that_the_server_leaves() -> None:
    settings = Settings(port=0, engine=EngineConfig(max_streams=2), notice_seconds=3600)
    with contextlib.contextmanager(run_server)(settings, ToneModel) as server, connect(server.live) as socket:
        server.interrupt()
        server.until(lambda: httpx.get(f"{server.url}/ready").status_code == 503, "that it is told")
        assert httpx.get(f"{server.url}/ready").json() == {"status": "draining"}
        with pytest.raises(InvalidStatus) as refused, connect(server.live):
            pass
        assert refused.value.response.status_code == 503
        assert "Retry-After" in refused.value.response.headers
        request = {"text": "Still here.", "format": "pcm", "sample_rate": 16_000}
        for event in ({"event": "start", "request": request}, {"event": "stop"}):
            socket.send(ormsgpack.packb(event))
        events = []
        while not events or events[-1] != "finish":
            message = socket.recv()
            assert isinstance(message, bytes)
            told = ormsgpack.unpackb(message)
            events.append(told["event"])
        assert (told["reason"], events[0]) == ("stop", "audio")


def test_alive_but_not_ready_while_the_model_loads() -> None:
    may_load = threading.Event()

    def slow() -> SpeechModel:
        may_load.wait()
        return ToneModel()

    warm = threading.Event()
    server = Server(Settings(port=0), slow, lambda _: warm.set())
    listener = server.bind()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    listener.listen()  # connections wait here until the server takes them
    thread = threading.Thread(target=server.serve_on, args=(listener,), daemon=True)
    thread.start()
    assert httpx.get(f"{url}/health", timeout=20).status_code == 200
    assert httpx.get(f"{url}/ready").json() == {"status": "loading"}
    refused = httpx.post(f"{url}/v1/tts", json={"text": "Hello."})
    assert refused.status_code == 503
    assert "retry-after" in refused.headers
    may_load.set()
    assert warm.wait(20)
    assert httpx.get(f"{url}/ready").status_code == 200
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()


def test_a_model_that_cannot_load_ends_the_server_with_its_reason() -> None:
    def broken() -> SpeechModel:
        raise FileNotFoundError("no weights")

    server = Server(Settings(port=0), broken)
    thread = threading.Thread(target=server.serve_on, args=(server.bind(),), daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert isinstance(server.failure, FileNotFoundError)


def test_a_failure_in_the_middle_breaks_the_download_off(small: Running) -> None:
    """A truncated body must not look like a whole one."""
    text = "Good so far. " * 10 + "It breaks."
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(f"{small.url}/v1/tts", json={"text": text, "format": "wav", "min_chunk_length": 0})
    small.until_idle()


def test_an_utterance_that_cannot_be_spoken_is_a_500_with_its_reason(small: Running) -> None:
    response = httpx.post(f"{small.url}/v1/tts", json={"text": "unspeakable"})
    assert response.status_code == 500
    assert "cannot speak" in response.json()["message"]


def test_settings_are_immutable() -> None:
    settings = Settings()
    assert replace(settings, port=1).port == 1
    with pytest.raises(AttributeError):
        settings.port = 2  # type: ignore[misc]
