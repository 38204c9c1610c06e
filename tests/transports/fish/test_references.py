"""Speaking with recordings: of the library, and sent along; over HTTP and live."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import ormsgpack
import pytest
from fishaudio import FishAudio
from fishaudio.types import ReferenceAudio

from engine import EngineConfig
from engine.audio import decode
from engine.models.dual_ar import DualAROptions, load_dual_ar
from engine.speech import Pcm
from engine.voices.traits import measure, resampled
from tests.transports.conftest import Running, run_server
from tests.transports.fish.live_client import LiveClient
from tests.transports.voices.recordings import SENTENCE, recording, speech
from transports.settings import Settings

TEXT = "Tell me what you think about the new plan. Keep the door closed when you leave the room."


@pytest.fixture(scope="module")
def speaking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with the bundled voice and a library of its own, not held back to real time."""
    config = EngineConfig(max_streams=8, max_ahead=3600.0)
    yield from run_server(Settings(port=0, engine=config, data=tmp_path_factory.mktemp("references")))


@pytest.fixture(autouse=True)
def _no_slot_is_left_held(speaking: Running) -> Iterator[None]:
    yield
    speaking.until_idle()


@pytest.fixture(scope="module")
def sdk(speaking: Running) -> Iterator[FishAudio]:
    with FishAudio(api_key="any", base_url=speaking.url) as client:
        yield client


@pytest.fixture(scope="module")
def walter(sdk: FishAudio) -> str:
    """A voice of the library, low."""
    return sdk.voices.create(title="Walter", voices=[recording("wav", "walter")], texts=[SENTENCE]).id


@contextmanager
def held_up(server: Running) -> Iterator[None]:
    """No recording is prepared for the time of the context."""
    gate = threading.Event()
    threads = server.services.voices._threads
    for _ in range(threads._max_workers):
        threads.submit(gate.wait)
    try:
        yield
    finally:
        gate.set()


def post(server: Running, **fields: Any) -> httpx.Response:
    body = ormsgpack.packb({"text": TEXT, "format": "wav"} | fields)
    headers = {"Content-Type": "application/msgpack"}
    return httpx.post(f"{server.url}/v1/tts", content=body, headers=headers, timeout=60, trust_env=False)


def pitch(pcm: Pcm, rate: int) -> float:
    traits = measure(resampled(pcm, rate))
    assert traits is not None
    return traits.pitch


def pitch_of(file: bytes) -> float:
    return pitch(*decode(file))


def pitch_like(voice: str) -> Any:
    """What is near to the pitch of one of the bundled voices."""
    return pytest.approx(pitch(*speech(voice)), rel=0.12)


def inline(voice: str, text: str = SENTENCE) -> dict[str, Any]:
    return {"audio": recording("opus", voice), "text": text}


def test_a_voice_of_the_library_is_spoken_with_at_once_and_counted(
    speaking: Running, sdk: FishAudio, walter: str
) -> None:
    before = sdk.voices.get(walter).task_count
    response = post(speaking, reference_id=walter)
    assert response.status_code == 200, response.text
    assert "reference_id: hibari cannot clone" in response.headers["x-parrotfish-note"]
    assert pitch_of(response.content) == pitch_like("walter")
    assert sdk.voices.get(walter).task_count == before + 1
    assert sdk.tts.convert(text=TEXT, reference_id=walter)


def test_what_is_known_is_not_read_again(speaking: Running, sdk: FishAudio) -> None:
    voice = sdk.voices.create(title="Clara", voices=[recording("flac", "clara")], texts=[SENTENCE]).id
    assert post(speaking, reference_id=voice).status_code == 200
    with held_up(speaking):
        response = post(speaking, reference_id=voice)
    assert pitch_of(response.content) == pitch_like("clara")


def test_recordings_may_come_along(speaking: Running, sdk: FishAudio) -> None:
    flat = post(speaking, references=[inline("clara")])
    assert "references: hibari cannot clone" in flat.headers["x-parrotfish-note"]
    assert pitch_of(flat.content) == pitch_like("clara")
    with held_up(speaking):  # the second time they are known
        assert pitch_of(post(speaking, references=[inline("clara")]).content) == pitch_like("clara")
    audio = sdk.tts.convert(
        text=TEXT, references=[ReferenceAudio(audio=recording("mp3", "otto"), text=SENTENCE)], format="wav"
    )
    assert pitch_of(audio) == pitch_like("otto")


@pytest.mark.parametrize("library", [True, False])
def test_each_speaker_has_a_voice(speaking: Running, walter: str, library: bool) -> None:
    clara = "clara" if library else [inline("clara")]
    asked = {"reference_id": [walter, clara]} if library else {"references": [[inline("walter")], clara]}
    for speaker, voice in enumerate(("walter", "clara")):
        response = post(speaking, text=f"<|speaker:{speaker}|>{TEXT}", **asked)
        assert pitch_of(response.content) == pitch_like(voice)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"reference_id": "no-such-voice"}, "reference_id: got 'no-such-voice'; expected one of heart"),
        ({"reference_id": ["heart", "../../etc/passwd"]}, "reference_id: got '../../etc/passwd'"),
        (
            {"references": [{"audio": b"x" * 1000, "text": ""}]},
            "references[0].audio: the recording cannot be read",
        ),
        ({"references": [[inline("clara")], []]}, "references[1]: got '0 recordings'; expected 1 to 10"),
        ({"references": [inline("clara")] * 11}, "references: got '11 recordings'; expected 1 to 10"),
        ({"references": [{"audio": bytes(21_000_000)}]}, "references[0].audio: got 21000000 bytes"),
        ({"references": [{"audio": recording("wav")[:2000]}]}, "references[0].audio: the recording"),
        ({"x": [0] * 20_000_000}, "body: more than 10000 values in 20000041 bytes"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_is_refused_with_the_reason(
    speaking: Running, asked: dict[str, Any], says: str
) -> None:
    response = post(speaking, **asked)
    assert response.status_code in (400, 413)
    assert says.split(" in ")[0] in response.json()["message"]


async def test_live_says_what_becomes_of_recordings(speaking: Running, walter: str) -> None:
    async with LiveClient(speaking.live) as client:
        for asked in ({"references": [inline("walter")]}, {"reference_id": walter}):
            await client.start(format="wav", **asked)
            await client.send("text", text=TEXT)
            await client.send("stop")
            assert await client.finish() == "stop"
            assert "hibari cannot clone a voice" in client.logs[0]
            assert pitch_of(b"".join(client.heard)) == pitch_like("walter")


async def test_live_text_is_kept_while_a_voice_is_learned(speaking: Running) -> None:
    async with LiveClient(speaking.live) as client:
        with held_up(speaking):
            await client.start(format="wav", references=[inline("otto")])
            await client.send("text", text="This is kept. ")
            await client.send("flush")
            await client.send("text", text=TEXT)
            await client.send("stop")
            # Other contexts go on, and so does the socket.
            await client.send("start", request={"format": "pcm"}, context="other")
            await client.send("text", text="Hello.", context="other")
            await client.send("stop", context="other")
            while (event := await client.event())["event"] != "finish":
                assert event["context"] == "other"
            client.heard.clear()
        assert await client.finish() == "stop"
        pcm, rate = decode(b"".join(client.heard))
        assert len(pcm) / rate > 4
        assert pitch(pcm, rate) == pitch_like("otto")


async def test_live_an_utterance_that_waits_for_its_voice_can_be_cancelled(speaking: Running) -> None:
    async with LiveClient(speaking.live) as client:
        with held_up(speaking):
            await client.start(references=[inline("finn", "one")])
            await client.send("text", text="Never heard.")
            await client.send("cancel")
            event = await client.event()
            assert event == {"event": "cancelled", "heard_seconds": 0, "heard_characters": 0, "last_word": ""}
        await client.start(format="wav")
        await client.send("text", text="Heard.")
        await client.send("stop")
        assert await client.finish() == "stop"
    async with LiveClient(speaking.live) as client:  # one who goes leaves nothing
        with held_up(speaking):
            await client.start(references=[inline("finn", "two")])
            await client.send("text", text="Never heard.")


async def test_live_a_voice_that_there_is_not_ends_the_utterance_only(speaking: Running) -> None:
    async with LiveClient(speaking.live) as client:
        for asked, says in (
            ({"reference_id": "nobody"}, "reference_id: got 'nobody'"),
            ({"references": [{"audio": b"x", "text": ""}]}, "references[0].audio"),
            ({"reference_id": 5}, "reference_id"),
        ):
            await client.start(**asked)
            await client.send("text", text="Hello.")
            await client.send("stop")
            assert await client.finish() == "error"
            assert says in client.logs[0]
        await client.start()
        await client.send("text", text="Hello.")
        await client.send("stop")
        assert await client.finish() == "stop"


async def test_live_a_hostile_start_is_refused_before_it_is_decoded(speaking: Running) -> None:
    async with LiveClient(speaking.live) as client:
        await client.socket.send(
            b"\x82\xa5event\xa5start\xa7request\xdd" + (26_000_000).to_bytes(4, "big") + bytes(26_000_000)
        )
        assert await client.finish() == "error"
        assert "more than 10000 values" in client.logs[0]


def test_a_model_that_clones_reads_a_voice_once(checkpoint: Path, tmp_path: Path) -> None:
    def make() -> Any:
        return load_dual_ar(
            checkpoint, DualAROptions(device="cpu", max_streams=2, kv_memory=1 << 27, context=1024)
        )

    config = EngineConfig(max_streams=2, max_ahead=3600.0)
    servers = run_server(Settings(port=0, engine=config, data=tmp_path), make)
    server = next(servers)
    try:
        with FishAudio(api_key="any", base_url=server.url) as sdk:
            made = sdk.voices.create(title="Walter", voices=[recording("wav", "walter")])
            first = post(server, text="Hi.", reference_id=made.id)
            assert first.status_code == 200, first.text
            assert "x-parrotfish-note" not in first.headers
            (sample,) = sdk.voices.get(made.id).samples
            assert "quick brown fox" in sample.text.lower()
            for file in (tmp_path / "blobs").glob("??/??/*"):
                file.unlink()
            assert post(server, text="Hi.", reference_id=made.id).status_code == 200
    finally:
        with pytest.raises(StopIteration):
            next(servers)
