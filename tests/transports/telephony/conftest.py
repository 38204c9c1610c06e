"""Servers that take calls: one that knows its providers, behind a proxy as it were, and how both are reached."""

import base64
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from engine import EngineConfig
from tests.transports.conftest import Running, run_server
from transports.settings import Settings
from transports.telephony import TelephonyConfig
from transports.telephony.signatures import twilio_signature

TOKEN = "12345"
PUBLIC = "https://voice.example.com"
TELNYX = Ed25519PrivateKey.generate()
TELNYX_KEY = base64.b64encode(TELNYX.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
MAX_CALLS = 4


@dataclass(frozen=True)
class Provider:
    """What a provider sends to a server that believes to be at ``PUBLIC``."""

    server: Running

    def twilio(
        self, fields: Mapping[str, str], *, token: str = TOKEN, query: str = "", **options: Any
    ) -> httpx.Response:
        path = "/v1/telephony/twilio" + query
        headers = {"X-Twilio-Signature": twilio_signature(token, PUBLIC + path, fields.items())}
        return self.post(path, urlencode(fields).encode(), headers, **options)

    def telnyx(
        self,
        fields: Mapping[str, str],
        *,
        key: Ed25519PrivateKey = TELNYX,
        query: str = "",
        ago: float = 0.0,
        **options: Any,
    ) -> httpx.Response:
        body, timestamp = urlencode(fields).encode(), str(int(time.time() - ago))
        signature = base64.b64encode(key.sign(timestamp.encode() + b"|" + body)).decode()
        headers = {"telnyx-signature-ed25519": signature, "telnyx-timestamp": timestamp}
        return self.post("/v1/telephony/telnyx" + query, body, headers, **options)

    def post(
        self, path: str, body: bytes, headers: Mapping[str, str], without: tuple[str, ...] = ()
    ) -> httpx.Response:
        kept = {name: value for name, value in headers.items() if name not in without}
        kept["Content-Type"] = "application/x-www-form-urlencoded"
        return httpx.post(self.server.url + path, content=body, headers=kept)

    def local(self, url: str) -> str:
        """Where the test reaches an address of ours."""
        return url.replace(PUBLIC.replace("http", "ws"), self.server.url.replace("http", "ws"))


def stream_url(markup: str) -> str:
    """The address of the socket in an answer."""
    found = re.search(r'<Stream url="(\S+)"', markup)
    assert found, markup
    return found[1]


def signed(url: str, token: str = TOKEN) -> dict[str, str]:
    """The headers of Twilio's handshake with an address as it is public."""
    return {"X-Twilio-Signature": twilio_signature(token, url)}


@pytest.fixture(scope="package")
def phones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """A server that takes what its providers have signed."""
    config = TelephonyConfig(
        twilio_token=TOKEN, telnyx_key=TELNYX_KEY, max_calls=MAX_CALLS, start_seconds=2.0, idle_seconds=5.0
    )
    settings = Settings(
        port=0,
        engine=EngineConfig(max_streams=8),
        data=tmp_path_factory.mktemp("phones"),
        public_url=PUBLIC,
        telephony=config,
    )
    for server in run_server(settings):
        yield Provider(server)


@pytest.fixture(autouse=True)
def _no_call_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """After each test all calls are over, and nothing of theirs is open."""
    yield
    if "phones" in request.fixturenames:
        server = request.getfixturevalue("phones").server
        end = time.monotonic() + 10
        while server.services.calls.open or server.services.ears.streams:
            assert time.monotonic() < end, (server.services.calls.open, server.services.ears.streams)
            time.sleep(0.01)
        server.until_idle()
