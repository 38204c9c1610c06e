"""A real fleet: three servers, HAProxy, PostgreSQL and Redis, shared by the tests of this folder."""

from collections.abc import Iterator

import pytest
from aiortc import RTCPeerConnection

from benchmarks.fleet.fleet import Fleet, running
from benchmarks.haproxy import NoHAProxy, program
from benchmarks.postgres import NoPostgres
from benchmarks.redis import NoRedis

STREAMS = 2
"""As many as each of its servers speaks at once."""


@pytest.fixture(scope="session")
def haproxy() -> str:
    """The program; where it is not installed, what needs it is skipped."""
    try:
        return program()
    except NoHAProxy as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def fleet(haproxy: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    try:
        with running(STREAMS, tmp_path_factory.mktemp("fleet"), notice=1.0) as ready:
            yield ready
    except (NoPostgres, NoRedis) as missing:
        pytest.skip(str(missing))


@pytest.fixture
async def offer() -> str:
    """What a browser sends that wants to listen."""
    peer = RTCPeerConnection()
    peer.addTransceiver("audio", direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    sdp = peer.localDescription.sdp
    await peer.close()
    return str(sdp)


@pytest.fixture(autouse=True)
def _all_replicas_are_left_idle(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test all of them live, and hold no stream."""
    yield
    if "fleet" in request.fixturenames:
        request.getfixturevalue("fleet").until_idle()
