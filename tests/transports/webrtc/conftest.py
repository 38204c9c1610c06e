"""A server for WebRTC peers, and who says something to it."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest

from engine.speech import Pcm
from tests.engine.models.speaking import RATE as SPOKEN_RATE
from tests.engine.models.speaking import speak
from tests.hearing import resample
from tests.transports.conftest import Running, run_server
from tests.transports.webrtc.client import RATE
from transports.settings import Settings
from transports.webrtc import WebRtcConfig


@pytest.fixture(scope="session")
def rtc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One that notices soon when a peer has gone, and has room for four."""
    webrtc = WebRtcConfig(
        ice_servers=("turn:turn.example.net?transport=udp",),
        turn_secret="north",
        max_peers=4,
        gone_seconds=3.0,
        connect_seconds=4.0,
    )
    yield from run_server(Settings(port=0, data=tmp_path_factory.mktemp("rtc"), webrtc=webrtc))


@pytest.fixture(autouse=True)
def _nothing_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test on that server no peer is left there, no stream and no ear."""
    yield
    if "rtc" in request.fixturenames:
        running: Running = request.getfixturevalue("rtc")
        running.until(lambda: not len(running.services.peers), "no peers")
        running.until(lambda: not running.services.ears.streams, "no ears")
        running.until_idle()


@cache
def said(text: str) -> Pcm:
    """A text as speech at 48 kHz, with a pause before and after it."""
    pause = np.zeros(RATE // 2, np.float32)
    return np.concatenate((pause, resample(speak(text).pcm, SPOKEN_RATE, RATE), pause))
