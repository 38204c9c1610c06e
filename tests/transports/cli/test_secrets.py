"""Whatever is sent to a server over whatever wire: at the level of debugging its log has no text, and no key."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import ormsgpack
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from starlette.responses import JSONResponse
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from tests.chat_stub import chat_stub
from tests.transports.cli.process import ROOT, _environment, read_until, run
from transports.telephony.signatures import twilio_signature

SECONDS = 60.0
TWILIO_TOKEN = "0f3c5b"


@dataclass(frozen=True)
class Served:
    """A server that asks for keys, its log at the level of debugging, and a key of it."""

    url: str
    key: str

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    @property
    def sockets(self) -> str:
        return self.url.replace("http", "ws", 1)


@contextmanager
def logging_to(log: Path, data: Path, *options: str) -> Iterator[Served]:
    """The server, until it has ended and all of its log is in the file."""

    def failing(body: dict[str, Any]) -> JSONResponse:
        """A language model that fails, and quotes what it was asked."""
        return JSONResponse({"error": {"message": json.dumps(body)}}, 500)

    made = run("keys", "create", "--data", str(data), "--name", "mine")
    assert made.code == 0, made.err
    key = made.out.decode().strip()
    with chat_stub(failing) as stub, log.open("wb") as stderr:
        arguments = [
            "serve",
            "--port",
            "0",
            "--data",
            str(data),
            "--log-level",
            "debug",
            "--max-streams",
            "8",
        ]
        arguments += ["--llm-url", stub.url, "--llm-model", "stub", *options]
        with subprocess.Popen(
            [sys.executable, "-m", "transports.cli", *arguments],
            cwd=ROOT,
            env=_environment({"PARROTFISH_PHONE_KEY": key, "PARROTFISH_TWILIO_TOKEN": TWILIO_TOKEN}),
            bufsize=0,
            stdout=subprocess.PIPE,
            stderr=stderr,
        ) as process:
            try:
                printed = read_until(process, b"Ctrl-C\n").decode()
                yield Served(printed.split()[0], key)
                process.send_signal(signal.SIGTERM)
                process.wait(SECONDS)
            finally:
                process.kill()


JSON, SDP = {"Content-Type": "application/json"}, {"Content-Type": "application/sdp"}

Way = Callable[[Served, str], Awaitable[None]]


def visible(secret: str) -> str:
    """What of it may stand in a header or an address."""
    return re.sub(r"[^A-Za-z0-9]", "", secret)


async def post(server: Served, path: str, **options: Any) -> None:
    headers = server.bearer | options.pop("headers", {})
    async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=SECONDS) as client:
        await client.post(path, **options)


async def talk(server: Served, path: str, messages: list[Any], enough: Callable[[Any], bool]) -> None:
    """Open a socket, send messages as JSON, or raw, and read until it was enough or is over."""
    with suppress(ConnectionClosed, InvalidHandshake, TimeoutError):
        async with connect(server.sockets + path, additional_headers=server.bearer) as socket:
            for message in messages:
                await socket.send(message if isinstance(message, bytes | str) else json.dumps(message))
            async with asyncio.timeout(SECONDS):
                while not enough(await socket.recv()):
                    pass


def told(*types: str) -> Callable[[Any], bool]:
    """Whether a message is JSON of one of these types, or an error."""

    def enough(message: Any) -> bool:
        return isinstance(message, str) and json.loads(message).get("type") in (*types, "error")

    return enough


async def spoken(server: Served, secret: str) -> None:
    await post(server, "/v1/tts", json={"text": secret, "format": "pcm"})


async def packed(server: Served, secret: str) -> None:
    body = ormsgpack.packb({"text": f"[{secret}] Hello.", "format": "opus"})
    await post(server, "/v1/tts", content=body, headers={"Content-Type": "application/msgpack"})


async def refused(server: Served, secret: str) -> None:
    for field in ("format", "reference_id", "prosody", "references", "latency", "temperature"):
        await post(server, "/v1/tts", json={"text": "a", field: secret})
    await post(server, "/v1/tts", json={"text": {secret: [secret]}})
    await post(server, "/v1/tts", content=f'{{"text": "{secret}'.encode(), headers=JSON)
    await post(server, "/v1/tts", content=b"x", headers={"Content-Type": f"text/{visible(secret)}"})


async def timed(server: Served, secret: str) -> None:
    await post(server, "/v1/tts/stream/with-timestamp", json={"text": secret})


async def openai(server: Served, secret: str) -> None:
    await post(server, "/v1/audio/speech", json={"input": secret, "model": secret, "voice": "alloy"})
    await post(server, "/v1/audio/speech", json={"input": "a", "model": "tts-1", "voice": secret})
    await post(
        server,
        "/v1/audio/transcriptions",
        data={"model": "whisper-1", "prompt": secret, "language": secret},
        files={"file": (f"{secret}.wav", secret.encode(), "audio/wav")},
    )


async def gateways(server: Served, secret: str) -> None:
    await post(
        server, "/fish/tts", json={"text": secret, "format": "pcm", "callback_url": f"http://x/{secret}"}
    )
    await post(server, "/api/v1/fish-audio/tts", json={"text": secret, "reference_id": secret})
    await post(server, f"/v1/ai/{visible(secret)}/fishaudio/v1/tts", json={"text": secret})
    await post(server, "/fish/tasks", json={"id": secret, "action": secret})


async def heard(server: Served, secret: str) -> None:
    body = ormsgpack.packb({"audio": secret.encode(), "language": secret})
    await post(server, "/v1/asr", content=body, headers={"Content-Type": "application/msgpack"})


async def library(server: Served, secret: str) -> None:
    voices = [("voices", (f"{secret}.wav", secret.encode(), "audio/wav"))]
    fields = {"title": secret, "texts": secret, "visibility": "private", "type": "tts", "train_mode": "fast"}
    await post(server, "/model", data=fields, files=voices)
    async with httpx.AsyncClient(base_url=server.url, headers=server.bearer) as client:
        await client.get("/model", params={"title": secret})
        await client.get(f"/model/{visible(secret)}")


async def addresses(server: Served, secret: str) -> None:
    token = visible(secret)
    async with httpx.AsyncClient(base_url=server.url, timeout=SECONDS) as client:
        await client.get(f"/{token}", params={"text": secret})
        await client.get(f"/files/{token}")
        await client.request(token[:8].upper(), f"/{token}")
        await client.get("/health", headers={"X-Request-Id": server.key, "traceparent": visible(secret)})
        await client.get("/v1/models", headers={"Authorization": f"Bearer {visible(secret)}"})
        await client.post(
            "/v1/tts", json={"text": "a"}, headers={"Authorization": f"Basic {visible(secret)}"}
        )


async def live(server: Served, secret: str) -> None:
    def event(name: str, **fields: Any) -> bytes:
        return ormsgpack.packb({"event": name, **fields})

    start = event("start", request={"text": "", "format": "pcm"}, context=secret)
    events = [
        start,
        event("text", text=f"({secret}) {secret}.", context=secret),
        event(secret),
        event("flush"),
    ]
    events += [
        event("start", request={"format": secret}),
        event("text", text=secret),
        secret,
        b"\xc1" + secret.encode(),
    ]
    events += [event("start", request={"text": secret}, events=[secret]), event("stop", context=secret)]

    def over(message: Any) -> bool:
        fields = ormsgpack.unpackb(message)
        return fields["event"] == "finish" and fields.get("context") == secret

    await talk(server, "/v1/tts/live", events, over)


async def doors(server: Served, secret: str) -> None:
    """Keys where browsers put them."""
    address = server.sockets + "/v1/tts/live"
    offered = ["parrotfish", f"parrotfish.key.{server.key}"]
    for url, protocols in ((f"{address}?token={server.key}&x={quote(secret)}", None), (address, offered)):
        async with connect(url, subprotocols=protocols) as socket:  # type: ignore[arg-type]
            await socket.close(reason=secret[:40])
    with suppress(InvalidHandshake):
        await connect(f"{address}?token={visible(secret)}")


async def listening(server: Served, secret: str) -> None:
    silence = bytes(32_000)
    await talk(server, "/v1/asr/realtime", [{"type": "config", "language": secret}], told())
    await talk(
        server, "/v1/asr/realtime", [{"type": "config"}, silence, {"type": secret}, secret], told("final")
    )


async def conversing(server: Served, secret: str) -> None:
    start = {"type": "start", "instructions": secret, "apology": secret}
    asked = {"type": "user_text", "text": secret}
    await talk(server, "/v1/agent", [start, asked], told("mind_failed"))
    await talk(server, "/v1/agent", [start | {"greeting": secret}, {"type": secret}], told())
    await talk(server, "/v1/agent", [start | {"language": secret}], told())
    await talk(server, "/v1/agent", [{"type": "start", "tools": [{"name": secret}]}], told("ready"))


async def dubbing(server: Served, secret: str) -> None:
    caption = {
        "type": "caption",
        "id": secret[:90],
        "start": 0.0,
        "end": 1.0,
        "text": secret,
        "voice": secret,
    }
    await talk(server, "/v1/dub", [{"type": "start"}, caption, {"type": secret}], told())


async def peers(server: Served, secret: str) -> None:
    await post(server, "/v1/webrtc", content=secret, headers=SDP, params={"text": secret})
    lines = ["v=0", f"o={secret} 1 1 IN IP4 0.0.0.0", f"s={secret}", "t=0 0"]
    lines += ["m=audio 9 UDP/TLS/RTP/SAVPF 111", f"a={secret}", ""]
    await post(server, "/v1/webrtc", content="\r\n".join(lines), headers=SDP)


async def calls(server: Served, secret: str) -> None:
    path, form = f"/v1/telephony/twilio?greeting={quote(secret)}", {"CallSid": secret, "From": secret}
    signature = twilio_signature(TWILIO_TOKEN, server.url + path, form.items())
    await post(server, path, data=form, headers={"X-Twilio-Signature": signature})
    address = f"{server.sockets}/v1/telephony/twilio"
    headers = {"X-Twilio-Signature": twilio_signature(TWILIO_TOKEN, address)}
    good = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    start = {
        "streamSid": "MZ1",
        "callSid": secret,
        "tracks": ["inbound"],
        "customParameters": {"greeting": secret},
    }
    beginnings = [{"mediaFormat": secret}, {"mediaFormat": good}]
    beginnings += [{"mediaFormat": good, "customParameters": {"language": secret}}]
    for beginning in beginnings:
        async with connect(address, additional_headers=headers) as socket:
            with suppress(ConnectionClosed):
                begun = {"event": "start", "streamSid": "MZ1", "start": start | beginning}
                media = {"event": "media", "streamSid": secret, "media": secret}
                for message in (begun, {"event": secret}, media):
                    await socket.send(json.dumps(message))
                async for _ in socket:
                    pass


WAYS: tuple[Way, ...] = (
    *(spoken, packed, refused, timed, openai, gateways, heard, library, addresses),
    *(live, doors, listening, conversing, dubbing, peers, calls),
)
TRANSPORTS = "agent asr asr_live dub gateway http live openai other telephony webrtc"

letters = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=16, max_size=24)
around = st.sampled_from(
    ["{}", "My password is {}.", "sk-{}", "{}@example.com", "[{}] (whisper)", "x\n{}\u2028"]
)


def send_everything(server: Served, examples: int) -> set[str]:
    """Send secrets on all ways; those that were."""
    sent = set()

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(letters, around)
    def each(token: str, form: str) -> None:
        sent.add(token)

        async def everywhere() -> None:
            for way in WAYS:
                await way(server, form.format(token))

        asyncio.run(everywhere())

    each()
    return sent


@pytest.mark.timeout(300)
@pytest.mark.parametrize("format_", ["text", "json"])
def test_no_text_and_no_key_is_in_a_log(tmp_path: Path, format_: str) -> None:
    log = tmp_path / "log"
    with logging_to(log, tmp_path / "data", "--log-format", format_) as server:
        sent = send_everything(server, 2)
    text = log.read_text(errors="replace")
    assert not [line for line in text.splitlines() for token in sent if token in line]
    secret = server.key.split("_", 2)[2]
    assert secret not in text
    assert server.key.split("_")[1] in text  # its id
    if format_ == "json":
        lines = [json.loads(line) for line in text.splitlines()]
        access = [line for line in lines if line["logger"] == "transports.access"]
        assert " ".join(sorted({line["transport"] for line in access})) == TRANSPORTS
        assert len(access) > 2 * len(WAYS)


@pytest.mark.timeout(300)
def test_texts_are_there_for_an_operator_who_asks_for_them_but_no_keys(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with logging_to(log, tmp_path / "data", "--log-text") as server:
        sent = send_everything(server, 1)
    text = log.read_text(errors="replace")
    assert [token for token in sent if token in text] == list(sent)
    assert server.key.split("_", 2)[2] not in text
