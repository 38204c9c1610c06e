"""The page of metrics after real requests over real sockets."""

import asyncio
import secrets
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from engine import EngineConfig, Frame, SpeechError, StreamId
from engine.audio import AudioStream, output_format
from engine.speech import Pcm
from realtime.ears import EarsConfig
from tests.engine.process.models import SPEC
from tests.tones import ToneModel
from tests.transports.agent.client import MIC_RATE, conversing, speech
from tests.transports.conftest import Running, run_server
from tests.transports.fish.live_client import LiveClient
from tests.transports.metrics.conftest import Toning
from tests.transports.metrics.page import Page
from tests.transports.voices.recordings import recording
from transports.metrics.meters import TRANSPORTS
from transports.settings import Settings

TEXT = "Hello there."


def counted(before: Page, after: Page, transport: str, model: str = "tones") -> dict[str, float]:
    """What has come to the histograms of a transport."""
    labels = {"transport": transport, "model": model}
    return {
        name: after.since(before, f"parrotfish_{name}_seconds_count", **labels)
        for name in ("onset", "first_byte")
    }


def ended(before: Page, after: Page, transport: str) -> dict[str, float]:
    """How utterances ended meanwhile."""
    outcomes = ("stop", "cancelled", "error", "gone", "refused")
    counts = {
        outcome: after.since(before, "parrotfish_utterances_total", transport=transport, outcome=outcome)
        for outcome in outcomes
    }
    return {outcome: count for outcome, count in counts.items() if count}


@pytest.mark.parametrize(
    ("path", "body", "transport"),
    [
        ("/v1/tts", {"text": TEXT, "format": "pcm"}, "http"),
        ("/v1/audio/speech", {"input": TEXT, "response_format": "pcm"}, "openai"),
        ("/api/v1/fish-audio/tts", {"text": TEXT, "format": "pcm", "reference_id": "low"}, "gateway"),
    ],
)
def test_a_request_is_counted_once_with_all_its_times(
    toning: Toning, path: str, body: dict[str, str], transport: str
) -> None:
    before = toning.page()
    for _ in range(2):
        assert httpx.post(f"{toning.url}{path}", json=body).status_code == 200
    toning.running.until_idle()
    after = toning.page()
    assert ended(before, after, transport) == {"stop": 2}
    assert counted(before, after, transport) == {"onset": 2, "first_byte": 2}
    labels = {"transport": transport, "model": "tones"}
    frames = 2 * len(TEXT)
    assert after.since(before, "parrotfish_speech_seconds_total", **labels) == pytest.approx(frames / 10)
    assert after.since(before, "parrotfish_speech_characters_total", **labels) == frames
    assert after.value("parrotfish_streams") == 0
    for stage in ("chunk", "queue", "prefill", "first_frame", "encode", "send"):
        assert after.since(before, "parrotfish_stage_seconds_count", stage=stage) == 2, stage
    assert after.since(before, "parrotfish_engine_step_seconds_count", worker="0") == frames
    assert after.since(before, "parrotfish_engine_batch_streams_sum", worker="0") == frames
    assert after.since(before, "parrotfish_engine_prefill_seconds_count", worker="0") == 2
    assert after.since(before, "parrotfish_engine_audio_seconds_total") == pytest.approx(frames / 10)
    assert after.since(before, "parrotfish_engine_busy_seconds_total") > 0


async def test_the_live_socket_counts_each_utterance_by_its_end(toning: Toning) -> None:
    before = toning.page()
    async with LiveClient(toning.running.live) as client:
        for _ in range(3):
            await client.start(format="pcm", reference_id="low")
            await client.send("text", text=TEXT)
            await client.send("stop")
            assert await client.finish() == "stop"
        await client.start(format="pcm", reference_id="low")
        await client.send("text", text="unspeakable things.")
        await client.send("flush")
        assert await client.finish() == "error"
    toning.running.until_idle()
    after = toning.page()
    assert ended(before, after, "live") == {"stop": 3, "error": 1}
    assert counted(before, after, "live") == {"onset": 3, "first_byte": 3}


async def test_a_cancel_and_a_closed_socket_are_told_apart(toning: Toning) -> None:
    before = toning.page()
    released = before.value("parrotfish_engine_release_seconds_count")
    for cancels in (True, False):
        async with LiveClient(toning.running.live) as client:
            toning.model.gate.clear()
            await client.start(format="pcm", reference_id="low")
            await client.send("text", text=TEXT)
            await client.send("flush")
            await asyncio.to_thread(toning.model.blocked.wait)
            toning.model.blocked.clear()
            assert toning.page().value("parrotfish_streams", transport="live") == 1
            if cancels:
                await client.send("cancel")
                while (await client.event())["event"] != "cancelled":
                    pass
        toning.running.until_idle()
        toning.model.gate.set()
    after = toning.page()
    assert ended(before, after, "live") == {"cancelled": 1, "gone": 1}
    assert after.value("parrotfish_streams") == 0
    toning.running.until(
        lambda: toning.page().value("parrotfish_engine_release_seconds_count") == released + 2,
        "two releases",
    )


async def test_who_is_refused_is_counted_where_it_happened(toning: Toning) -> None:
    before = toning.page()
    async with LiveClient(toning.running.live) as early, LiveClient(toning.running.live) as late:
        toning.model.gate.clear()
        for context in ("one", "two"):
            await early.send(
                "start", request={"text": "", "format": "pcm", "reference_id": "low"}, context=context
            )
            await early.send("text", text=TEXT, context=context)
            await early.send("flush", context=context)
        toning.running.until(lambda: toning.running.engine.speaking_streams == 2, "two that speak")
        # On an open socket, at the door of a socket, and over HTTP.
        await late.start(format="pcm", reference_id="low")
        assert await late.finish() == "error"
        with pytest.raises(InvalidStatus, match="503"):
            async with LiveClient(toning.running.live):
                pass
        answer = await asyncio.to_thread(httpx.post, f"{toning.url}/v1/tts", json={"text": TEXT})
        assert answer.status_code == 503
        # Nobody is turned away by a balancer's question.
        assert (await asyncio.to_thread(httpx.get, f"{toning.url}/ready")).status_code == 503
        toning.model.gate.set()
    toning.running.until_idle()
    after = toning.page()
    assert after.since(before, "parrotfish_refusals_total", transport="live", reason="full") == 2
    assert after.since(before, "parrotfish_refusals_total", transport="http", reason="full") == 1
    assert after.since(before, "parrotfish_refusals_total") == 3
    assert ended(before, after, "http") == {"refused": 1}
    assert ended(before, after, "live") == {"refused": 1, "gone": 2}


def test_what_fails_is_not_counted_as_full(tmp_path: Path) -> None:
    settings = Settings(
        port=0, data=tmp_path, engine=EngineConfig(max_streams=4), ears=EarsConfig(max_streams=0)
    )
    for running in run_server(settings, [SPEC, SPEC]):
        before = Page.of(running.url)
        # One of two workers dies before the first byte; the other one is ready.
        assert httpx.post(f"{running.url}/v1/tts", json={"text": "Let it crash."}).status_code == 503
        listening = running.url.replace("http", "ws") + "/v1/asr/realtime"
        with pytest.raises(InvalidStatus, match="503"), connect(listening, proxy=None):
            pass
        shutil.rmtree(tmp_path / "blobs")
        files = {"voices": ("a.wav", recording())}
        kept = httpx.post(f"{running.url}/model", data={"type": "tts", "title": "A"}, files=files)
        assert kept.status_code == 503
        after = Page.of(running.url)
    counts = {
        (transport, reason): after.since(
            before, "parrotfish_refusals_total", transport=transport, reason=reason
        )
        for transport, reason in (("http", "crashed"), ("asr_live", "hearing"), ("other", "store"))
    }
    assert counts == dict.fromkeys(counts, 1)
    assert after.since(before, "parrotfish_refusals_total") == len(counts)


def test_what_is_wrong_with_a_request_is_no_refusal(toning: Toning) -> None:
    before = toning.page()
    assert httpx.post(f"{toning.url}/v1/tts", json={"text": ""}).status_code == 400
    assert httpx.get(f"{toning.url}/no/such/path").status_code == 404
    assert toning.page().since(before, "parrotfish_refusals_total") == 0


def test_nothing_that_a_stranger_says_becomes_a_label(toning: Toning) -> None:
    words = [secrets.token_hex(8) for _ in range(15)]
    for word in words:
        httpx.post(
            f"{toning.url}/v1/tts",
            json={"text": TEXT, "format": "pcm"},
            headers={"model": word, "X-Request-Id": word, "User-Agent": word},
        )
        httpx.post(f"{toning.url}/v1/tts", json={"text": word, "reference_id": word})
        httpx.post(f"{toning.url}/v1/audio/speech", json={"input": word, "model": word, "voice": word})
        httpx.get(f"{toning.url}/{word}/{word}")
        httpx.request(
            "X" + word.upper(), f"{toning.url}/v1/{word}", headers={"Authorization": f"Bearer {word}"}
        )
    series = toning.page().series
    told = [(label, value) for _, labels in series for label, value in labels]
    for word in words:
        assert not [value for _, value in told if word in value.lower()]
    assert {value for label, value in told if label == "model"} == {"tones"}
    assert {value for label, value in told if label == "transport"} <= TRANSPORTS | {"other", "server"}


class Stumbling(ToneModel):
    """Waits after its third frame, until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.stumbles = threading.Event()
        self.goes_on = threading.Event()
        self._spoken = 0

    def step(self, streams: Sequence[StreamId]) -> Sequence[Frame | SpeechError]:
        self._spoken += 1
        if self._spoken == 4:
            self.stumbles.set()
            self.goes_on.wait()
        return super().step(streams)


async def test_a_listener_who_had_to_wait_is_counted_with_how_long() -> None:
    model = Stumbling()
    config = EngineConfig(max_streams=2, max_ahead=3600.0)
    for running in run_server(Settings(port=0, engine=config, asr=None), lambda: model):
        async with LiveClient(running.live) as client:
            await client.start(format="pcm", reference_id="low")
            await client.send("text", text="A sentence that is long enough to be heard for seconds.")
            await client.send("stop")
            await asyncio.to_thread(model.stumbles.wait)
            # What was made lasts for 0.3 s; the silence after that is the underrun, and this is how long it is.
            await asyncio.sleep(1.0)
            model.goes_on.set()
            assert await client.finish() == "stop"
        running.until_idle()
        page = Page.of(running.url)
        counts = [
            page.value(f"parrotfish_underrun_seconds_{what}", transport="live", model="tones", **bound)
            for what, bound in (("count", {}), ("bucket", {"le": "0.5"}))
        ]
        assert counts[0] - counts[1] == 1  # a busy machine may add short ones
        assert page.value("parrotfish_underrun_seconds_sum", transport="live", model="tones") >= 0.65
        assert page.value("parrotfish_engine_step_seconds_bucket", le="0.5") == (
            page.value("parrotfish_engine_step_seconds_count") - 1
        )


async def test_a_conversation_tells_how_long_its_turns_took(server: Running) -> None:
    before = Page.of(server.url)
    async with conversing(server, greeting="Hello.") as client:
        await client.until("reply_ended", turn=1)
        assert Page.of(server.url).value("parrotfish_connections", kind="agent") == 1
        await client.tell(type="user_text", text="What I say.")
        await client.until("reply_ended", turn=2)
    server.until(lambda: Page.of(server.url).value("parrotfish_connections") == 0, "no connection")
    after = Page.of(server.url)
    assert ended(before, after, "agent") == {"stop": 2}
    model = server.engine.info.name
    assert counted(before, after, "agent", model) == {"onset": 2, "first_byte": 2}
    assert after.since(before, "parrotfish_agent_floor_total", what="ended", transport="agent") == 2
    assert after.since(before, "parrotfish_llm_first_token_seconds_count") == 1
    assert after.since(before, "parrotfish_llm_seconds_count", outcome="stop") == 1


def test_a_recording_that_is_heard_is_counted(server: Running) -> None:
    before = Page.of(server.url)
    pcm = speech("The music stopped.")
    seconds = len(pcm) / MIC_RATE
    wav = _wav(pcm, MIC_RATE)
    answer = httpx.post(f"{server.url}/v1/asr", files={"audio": ("a.wav", wav)}, timeout=30)
    assert answer.status_code == 200, answer.text
    after = Page.of(server.url)
    assert after.since(before, "parrotfish_asr_seconds_count", kind="file") == 1
    assert after.since(before, "parrotfish_asr_audio_seconds_total", kind="file") == pytest.approx(
        seconds, abs=0.05
    )


def _wav(pcm: Pcm, rate: int) -> bytes:
    stream = AudioStream(rate, output_format("wav", rate))
    return stream.write(pcm) + stream.finish()


def test_the_page_tells_of_the_process_and_its_loop(toning: Toning) -> None:
    page = toning.page()
    assert page.value("parrotfish_build_info", model="tones") == 1
    assert page.value("parrotfish_engine_state", state="ready") == 1
    assert page.value("parrotfish_engine_state") == 1
    assert page.value("parrotfish_engine_streams_limit", worker="0") == 2
    assert page.value("process_resident_memory_bytes") > 0
    toning.running.until(
        lambda: toning.page().value("parrotfish_event_loop_lag_seconds_count") > 0, "a look at the loop"
    )
