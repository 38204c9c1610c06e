"""No secret of an operator or a caller is ever written: not logged, not in an error, not in a description."""

import signal
import threading

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from realtime.mind import ChatConfig
from tests.transports.cli import process
from transports.agent import AgentSettings
from transports.settings import Settings
from transports.telephony import TelephonyConfig
from transports.webrtc import WebRtcConfig

_SECRETS = {
    "PARROTFISH_TWILIO_TOKEN": "planted-twilio",
    "PARROTFISH_PHONE_KEY": "pf_kmnpqrstuv_planted-phone" + "x" * 30,
    "PARROTFISH_TURN_SECRET": "planted-turn",
    "OPENAI_API_KEY": "planted-openai",
}
_KEY = "pf_abcdefghij_planted" + "x" * 36


def test_nothing_that_a_server_writes_holds_a_secret() -> None:
    """At the log level that tells most, with requests of every kind."""
    options = (
        "--log-level",
        "debug",
        "--asr",
        "none",
        "--llm-url",
        "http://127.0.0.1:9/v1",
        "--llm-model",
        "m",
    )
    options += ("--ice-server", "turn:turn.example.net")
    written = []
    with process.started("serve", "--port", "0", *options, env=_SECRETS) as serving:

        def drain() -> None:
            assert serving.stderr is not None
            written.extend(iter(serving.stderr.readline, b""))

        draining = threading.Thread(target=drain)
        draining.start()
        printed = process.read_until(serving, b"Ctrl-C\n")
        url = printed.decode().split()[0]
        with httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {_KEY}"}, trust_env=False
        ) as client:
            described = client.get("/openapi.json").content
            client.post("/v1/tts", json={"text": "Hello."}).raise_for_status()
            client.post("/v1/tts", content=b"\xff", headers={"Content-Type": "application/json"})
            client.post(
                "/v1/telephony/twilio", data={"CallSid": "x"}, headers={"X-Twilio-Signature": "planted-sig"}
            )
            client.get("/nothing", params={"token": _KEY})
            told = client.options("/v1/webrtc").content
        sockets = (
            {"uri": "/v1/tts/live?token=" + _KEY},
            {"uri": "/v1/tts/live", "additional_headers": {"Authorization": f"Bearer {_KEY}"}},
            {"uri": "/v1/tts/live", "subprotocols": ["parrotfish", f"parrotfish.key.{_KEY}"]},
        )
        for offered in sockets:
            options_ = {**offered, "uri": url.replace("http", "ws") + str(offered["uri"])}
            with connect(**options_, proxy=None) as socket:  # type: ignore[arg-type]
                socket.send(b"\xc1")
        with pytest.raises(InvalidStatus):
            connect(f"{url.replace('http', 'ws')}/v1/telephony/twilio/planted-ticket", proxy=None)
        serving.send_signal(signal.SIGTERM)
        printed += process.read_rest(serving)
        assert serving.wait(process.SECONDS) == 0
        draining.join(process.SECONDS)
    log = b"".join(written)
    assert b"/v1/tts/live" in log  # at this level it tells of each socket
    for what, text in (("log", log), ("output", printed), ("description", described), ("answer", told)):
        assert b"planted" not in text, (what, text[max(0, text.find(b"planted") - 300) :][:400])


def test_nor_does_what_is_said_of_a_database_that_is_not_there() -> None:
    for url in (
        "postgresql://parrot:planted-password@127.0.0.1:9/none",
        "postgresql://parrot:planted-password@127.0.0.1:none/none",
        "mysql://parrot:planted-password@127.0.0.1/none",
        "parrot:planted-password",
    ):
        ended = process.run("serve", "--port", "0", "--log-level", "debug", env={"DATABASE_URL": url})
        assert ended.code, url
        assert "planted" not in ended.err + ended.out.decode(), url


def test_nor_do_the_settings() -> None:
    settings = Settings(
        database_url="postgresql://parrot:planted@db/parrot",
        redis_url="redis://:planted@db",
        telephony=TelephonyConfig(twilio_token="planted", api_key="planted"),
        webrtc=WebRtcConfig(turn_secret="planted"),
        agent=AgentSettings(chat=ChatConfig("http://127.0.0.1/v1", "m", key="planted")),
    )
    assert "planted" not in repr(settings)
