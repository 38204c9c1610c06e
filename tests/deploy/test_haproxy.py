"""The balancer's configuration, before real servers."""

import subprocess
from collections import Counter
from contextlib import ExitStack

import httpx
import pytest
from websockets.sync.client import connect

from benchmarks.fleet.fleet import Fleet
from benchmarks.haproxy import CONFIGURATION

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
