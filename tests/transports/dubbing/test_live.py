"""``/v1/dub`` over real sockets, in real time kept short."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from engine import EngineConfig
from engine.audio import decode
from tests.realtime.dubbing.dubbed import onset, words_wrong
from tests.transports.conftest import Running, run_server
from transports.accounts import Keyring, Limits
from transports.dubbing.messages import MAX_VOICES, MAX_WAITING
from transports.settings import Settings
from transports.store import Database, database_url

FIRST, SECOND = "The ship came home in the evening.", "Nobody was waiting there."


@pytest.fixture(scope="module")
def dubs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that gives a silent client up after five seconds."""
    data = tmp_path_factory.mktemp("dubs")
    yield from run_server(
        Settings(
            port=0,
            data=data,
            engine=EngineConfig(max_streams=8),
            context_seconds=5.0,
            voice_aliases={"narrator": "walter", "anybody": ""},
        )
    )


@pytest.fixture(autouse=True)
def _all_is_free_again(dubs: Running) -> Iterator[None]:
    yield
    dubs.until_idle()


class Client:
    """One socket; ``seen`` is all that was told, ``audio`` all that was sent."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.seen: list[dict[str, Any]] = []
        self.audio = bytearray()

    async def say(self, type_: str, **fields: Any) -> None:
        await self.socket.send(orjson.dumps({"type": type_, **fields}).decode())

    async def until(self, kind: str, id_: str | None = None) -> dict[str, Any]:
        while True:
            message = await self.socket.recv()
            if isinstance(message, bytes):
                self.audio += message
                continue
            fields: dict[str, Any] = orjson.loads(message)
            self.seen.append(fields)
            assert kind == "error" or fields["type"] != "error", fields
            if fields["type"] == kind and id_ in (None, fields.get("id")):
                return fields

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.seen if message["type"] == kind]

    async def closed(self) -> int:
        await self.socket.wait_closed()
        assert self.socket.close_code is not None
        return self.socket.close_code


@asynccontextmanager
async def opened(dubs: Running, headers: dict[str, str] | None = None, **start: Any) -> AsyncIterator[Client]:
    url = dubs.url.replace("http", "ws") + "/v1/dub"
    async with connect(url, additional_headers=headers) as socket:
        client = Client(socket)
        await client.say("start", **start)
        yield client


@pytest.mark.parametrize("format_", ["pcm", "opus"])
async def test_a_feed_is_heard_at_its_times(dubs: Running, format_: str) -> None:
    async with opened(dubs, format=format_, clock=1000.0, delay=1.0, voice="walter") as client:
        ready = await client.until("ready")
        assert (ready["format"], ready["time"]) == (format_, 999.0)
        # Out of order; the delay gives them time to be spoken.
        await client.say("caption", id="b", start=1003, end=1005, text=SECOND, voice="heart")
        await client.say("caption", id="a", start=1000.2, end=1002.4, text=FIRST)
        await client.say("stop")
        finish = await client.until("finish")
        assert await client.closed() == 1000
    data = bytes(client.audio)
    if format_ == "pcm":
        pcm, rate = np.frombuffer(data, "<i2").astype(np.float32) / 32768, ready["sample_rate"]
    else:
        pcm, rate = decode(data)
    assert pcm.size / rate == pytest.approx(finish["seconds"], abs=0.03)
    first, second = client.all("line_ended")
    assert [first["id"], second["id"]] == ["a", "b"]
    for line, started, text in zip((first, second), client.all("line_started"), (FIRST, SECOND), strict=True):
        assert line["outcome"] == "spoken"
        assert line["drift"] == pytest.approx(0, abs=0.05)
        assert started["at"] == pytest.approx(line["start"] - ready["time"], abs=0.05)
        assert 1 <= line["speed"] <= 1.3
        assert onset(pcm, rate, started["at"] - 0.1) == pytest.approx(started["at"], abs=0.05)
        end = started["at"] + line["end"] - line["start"]
        assert words_wrong(text, pcm, rate, started["at"], end) == 0


@pytest.mark.parametrize(
    ("usual", "named"),
    [
        (None, "heart"),
        (None, "anybody"),
        ("walter", "walter"),
        ("walter", "narrator"),
        ("narrator", "walter"),
    ],
)
async def test_a_voice_does_not_speak_over_itself_whatever_it_is_called(
    dubs: Running, usual: str | None, named: str
) -> None:
    async with opened(dubs, delay=1.0, voice=usual) as client:
        await client.say("caption", id="named", start=0.5, end=1.5, text="Good morning.", voice=named)
        await client.say("caption", id="usual", start=0.5, end=1.5, text="Good evening.")
        await client.say("stop")
        await client.until("finish")
    lines = {line["id"]: line for line in client.all("line_ended")}
    assert {line["outcome"] for line in lines.values()} == {"spoken"}
    assert lines["usual"]["start"] >= lines["named"]["end"]
    assert (lines["named"]["voice"], "voice" in lines["usual"]) == (named, False)  # as they were asked for


async def test_revised_removed_and_late(dubs: Running) -> None:
    async with opened(dubs, delay=0.5) as client:
        await client.say("caption", id="gone", start=0.5, end=2, text=FIRST)
        await client.say("caption", id="new", start=0.6, end=1, text=FIRST)
        await client.say("revise", id="new", text="Good morning.", end=2)
        await client.say("remove", id="gone")
        await client.say("caption", id="past", start=-30, end=-29, text=FIRST)
        await client.say("caption", id="music", start=0.5, end=2, text="[music]")
        await client.say("caption", id="nothing", start=0.5, end=2, text="")
        await client.say("remove", id="never was")
        await client.say("stop")
        await client.until("finish")
    ended = {line["id"]: line for line in client.all("line_ended")}
    assert ended.keys() == {"new", "past", "music", "nothing"}
    assert (ended["new"]["outcome"], ended["new"]["asked_end"]) == ("spoken", 2.0)
    assert ended["past"]["outcome"] == "missed"
    assert "within 2 s" in ended["past"]["reason"]
    assert ended["music"]["outcome"] == ended["nothing"]["outcome"] == "silent"
    assert "never was" in client.all("log")[0]["message"]
    (started,) = client.all("line_started")
    assert started["natural"] if "natural" in started else started["end"] - started["start"] < 1.5


async def test_the_clock_can_be_moved(dubs: Running) -> None:
    async with opened(dubs, delay=0.5) as client:
        await client.say("caption", id="a", start=100, end=102, text="Good morning.")
        await client.say("clock", time=99.5)
        await client.say("stop")
        line = await client.until("line_ended")
        await client.until("finish")
    assert line["start"] == pytest.approx(100, abs=0.2)
    assert line["drift"] < 0.2


async def test_a_line_that_is_heard_falls_silent_when_it_is_removed(dubs: Running) -> None:
    async with opened(dubs, delay=0.5) as client:
        await client.say("caption", id="a", start=0, end=9, text=FIRST * 3)
        await client.until("line_started")
        await client.say("remove", id="a")
        await client.say("stop")
        line = await client.until("line_ended")
        await client.until("finish")
    assert line["outcome"] == "cut"
    assert line["unsaid"] > 3


@pytest.mark.parametrize(
    ("message", "names"),
    [
        ("{", "JSON"),
        ("[]", "message: got []"),
        (b"\0", "message: got a binary frame"),
        (" " * 16_385, "message: got 16385"),
        ('{"type": "caption"}', "type: got 'caption'; expected start"),
        ('{"type": "start", "format": "flac"}', "format: got 'flac'"),
        ('{"type": "start", "sample_rate": 1}', "sample_rate"),
        ('{"type": "start", "voice": "nobody"}', "voice: got 'nobody'"),
        ('{"type": "start", "clock": "now"}', "clock: got 'now'"),
        ('{"type": "start", "clock": 1e11}', "clock: got 100000000000.0"),
        ('{"type": "start", "delay": 61}', "delay: got 61"),
        ('{"type": "start", "max_speed": 1.5}', "max_speed: got 1.5"),
        ('{"type": "start", "max_drift": -1}', "max_drift: got -1"),
    ],
)
async def test_a_wrong_beginning_is_named_and_ends_it(
    dubs: Running, message: str | bytes, names: str
) -> None:
    async with connect(dubs.url.replace("http", "ws") + "/v1/dub") as socket:
        await socket.send(message)
        client = Client(socket)
        error = await client.until("error")
        assert error["status"] in (400, 413)
        assert names in error["message"]
        assert await client.closed() == 1008


async def test_a_wrong_message_is_named_and_ends_nothing(dubs: Running) -> None:
    caption = {"type": "caption", "id": "x", "start": 0.0, "end": 1.0, "text": "Hello."}
    wrong = [
        ("{", "JSON", None),
        ({"type": "start"}, "type: got 'start'; expected caption", None),
        ({"type": "caption"}, "id: missing", None),
        (caption | {"id": ""}, "id: got ''", "x"),
        (caption | {"start": "soon"}, "start: got 'soon'", "x"),
        (caption | {"start": 3700, "end": 3701}, "start: got 3700", "x"),
        (caption | {"end": -1}, "end: got -1.0; expected 0 to 600 s", "x"),
        (caption | {"end": 601}, "end: got 601", "x"),
        (caption | {"text": 1}, "text: got 1", "x"),
        (caption | {"text": "x" * 501}, "text: got", "x"),
        ({"type": "revise", "id": "unknown"}, "id: got 'unknown'", None),
        ({"type": "clock", "time": 1e6}, "time: got 1000000.0", None),
    ]
    async with opened(dubs, delay=0) as client:
        for message, names, _ in wrong:
            await client.socket.send(message if isinstance(message, str) else orjson.dumps(message).decode())
            error = await client.until("error")
            assert names in error["message"]
            assert error["status"] == 400
        await client.say("caption", id="mute", start=0, end=1, text="Hello.", voice="nobody")
        line = await client.until("line_ended")
        assert (line["id"], line["outcome"]) == ("mute", "missed")
        assert "voice: got 'nobody'" in line["reason"]
        await client.say("stop")
        await client.say("caption", id="x", start=1, end=2, text="Hello.")
        assert "after stop" in (await client.until("error"))["message"]
        await client.until("finish")


async def test_no_more_captions_and_voices_than_may_wait(dubs: Running) -> None:
    async with opened(dubs) as client:
        for number in range(MAX_WAITING + 1):
            await client.say("caption", id=str(number), start=900, end=901, text="")
        assert "500 are waiting" in (await client.until("error"))["message"]
        for number in range(MAX_VOICES):
            await client.say("caption", id="0", start=900, end=901, text="", voice=f"voice {number}")
        assert "one of the 16" in (await client.until("error"))["message"]


async def test_who_says_nothing_is_given_up_and_who_hangs_up_is_gone(dubs: Running) -> None:
    async with opened(dubs) as client:
        error = await client.until("error")
        assert (error["status"], error["message"].partition(":")[0]) == (408, "idle")
    for _ in range(3):
        async with opened(dubs, delay=0) as client:
            await client.say("caption", id="a", start=0, end=1, text=FIRST * 9)
            await client.until("ready")
            client.socket.transport.abort()
    dubs.until_idle()


@pytest.fixture
def keyed(tmp_path: Path) -> Iterator[Running]:
    """A server that asks for a key."""
    asyncio.run(_first_key(tmp_path))
    yield from run_server(Settings(port=0, data=tmp_path, engine=EngineConfig(max_streams=8)))


async def _first_key(data: Path) -> None:
    database = Database(database_url(None, data))
    await database.start()
    await Keyring(database).create("first")
    await database.close()


async def test_who_may_and_who_pays(keyed: Running, tmp_path: Path) -> None:
    database = Database(database_url(None, tmp_path))
    keyring = Keyring(database)
    poor = await keyring.create("poor", credit=Decimal("0.00001"))
    narrow = await keyring.create("narrow", limits=Limits(max_concurrency=1))
    await database.close()
    with pytest.raises(InvalidStatus) as refused:
        async with opened(keyed, bearer("wrong")):
            pass
    assert refused.value.response.status_code == 401
    async with opened(keyed, bearer(poor), delay=0.5) as client:
        await client.say("caption", id="a", start=0, end=1, text=FIRST)
        assert (await client.until("error"))["status"] == 402
        assert await client.closed() == 1008
    async with opened(keyed, bearer(narrow)) as client:
        await client.until("ready")
        async with opened(keyed, bearer(narrow)) as second:
            assert (await second.until("error"))["max_concurrency"] == 1
            assert await second.closed() == 1013


async def test_a_server_that_stops_ends_the_feed(keyed: Running, tmp_path: Path) -> None:
    database = Database(database_url(None, tmp_path))
    key = await Keyring(database).create("stopping")
    await database.close()
    async with opened(keyed, bearer(key), delay=0) as client:
        await client.say("caption", id="far", start=600, end=601, text=FIRST)
        await client.say("caption", id="now", start=0, end=1, text=FIRST)
        await client.until("line_started", "now")
        keyed.interrupt()
        assert await client.closed() in (1001, 1011, 1012)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
