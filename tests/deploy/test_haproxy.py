"""The balancer's configuration, before real servers."""

import re
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from benchmarks.fleet.fleet import Fleet
from benchmarks.haproxy import CONFIGURATION, HAProxy, running
from tests.deploy.routes import SPEAKING, paths

pytestmark = pytest.mark.timeout(600)  # the first of them waits for three servers to start


@pytest.fixture
def http(fleet: Fleet) -> httpx.Client:
    return httpx.Client(base_url=fleet.url, trust_env=False, timeout=60)


def test_it_is_accepted_as_it_stands(haproxy: str) -> None:
    checked = subprocess.run([haproxy, "-c", "-f", str(CONFIGURATION)], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    warnings = [line for line in checked.stderr.splitlines() if "[WARNING]" in line]
    assert all("could not resolve address 'replica-" in line for line in warnings)  # they are Docker's names


def test_streams_go_where_the_fewest_are(fleet: Fleet) -> None:
    with ExitStack() as stack:
        sockets = [stack.enter_context(connect(fleet.server.live_url, proxy=None)) for _ in range(6)]
        served = Counter(socket.response.headers["X-Served-By"] for socket in sockets if socket.response)
    assert served == {replica.name: 2 for replica in fleet.replicas}


@pytest.mark.parametrize("in_header", [True, False])
def test_a_voice_that_is_named_finds_the_same_replica(http: httpx.Client, in_header: bool) -> None:
    homes = set()
    for voice in map(str, range(12)):
        headers = {"X-Voice-Affinity": voice} if in_header else {}
        params = {} if in_header else {"voice_affinity": voice}
        answers = [
            http.post("/v1/tts", json={"text": "Hi."}, headers=headers, params=params) for _ in range(3)
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert len({answer.headers["X-Served-By"] for answer in answers}) == 1
        homes.add(answers[0].headers["X-Served-By"])
    assert len(homes) > 1


def test_what_is_said_of_a_webrtc_session_goes_to_its_replica(http: httpx.Client, offer: str) -> None:
    for _ in range(4):
        made = http.post("/v1/webrtc", content=offer, headers={"Content-Type": "application/sdp"})
        assert made.status_code == 201, made.text
        ended = http.delete(made.headers["Location"])
        assert ended.status_code == 200, ended.text
        assert ended.headers["X-Served-By"] == made.headers["X-Served-By"]


def test_numbers_of_servers_are_not_for_clients(http: httpx.Client) -> None:
    assert http.get("/metrics").status_code == 404


def test_its_own_numbers_are_for_prometheus(fleet: Fleet) -> None:
    page = httpx.get(fleet.balancer.metrics, trust_env=False).text
    assert 'haproxy_server_status{proxy="speech",server="replica-1",state="UP"} 1' in page


LATER = "/fish/tts"  # which may also be promised
SECONDS = 30.0


@contextmanager
def replica(ready: threading.Event) -> Iterator[str]:
    """Something that answers everything, and says whether it would take a stream."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(503 if self.path == "/ready" and not ready.is_set() else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def until_ready(balancer: HAProxy, names: set[str]) -> None:
    """Wait until the balancer knows that these, and no others, take streams."""
    end = time.monotonic() + SECONDS
    while True:
        page = httpx.get(balancer.metrics, trust_env=False).text
        known = re.findall(
            r'^haproxy_server_status\{proxy="speech",server="([\w-]+)",state="UP"\} 1$', page, re.MULTILINE
        )
        if set(known) == names:
            return
        assert time.monotonic() < end, f"expected {names}, not {known}"
        time.sleep(0.02)


@pytest.mark.usefixtures("haproxy")
def test_every_route_that_speaks_goes_where_there_is_room(tmp_path: Path) -> None:
    speaking = {path for path in paths() if SPEAKING.search(path)} | {"/ready"}
    others = paths() - speaking
    assert {LATER, "/v1/ai/x/fishaudio/v1/tts", "/v1/dub", "/v1/agent"} <= speaking
    assert {"/fish/tasks", "/v1/asr", "/model", "/health"} <= others
    ready = [threading.Event() for _ in range(3)]
    ready[0].set()
    with ExitStack() as stack:
        replicas = [stack.enter_context(replica(one)) for one in ready]
        balancer = stack.enter_context(running(replicas, tmp_path / "haproxy.log"))
        client = stack.enter_context(httpx.Client(base_url=balancer.url, trust_env=False))

        def served(path: str) -> set[tuple[int, str]]:
            answers = [client.get(path) for _ in range(6)]
            return {(one.status_code, one.headers.get("X-Served-By", "")) for one in answers}

        until_ready(balancer, {"replica-1"})
        for path in speaking:
            assert served(path) == {(200, "replica-1")}, path
        for path in others:
            assert len(served(path)) == 3, path
        ready[0].clear()
        until_ready(balancer, set())
        for path in speaking - {LATER}:
            assert {status for status, _ in served(path)} == {503}, path
        for path in (*others, LATER):
            assert {status for status, _ in served(path)} == {200}, path
