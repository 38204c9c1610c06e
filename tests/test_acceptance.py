"""What users of other voice servers suffer from, one test for each pain: a real server, sockets, and ears.

How soon something is heard is for the benchmarks; here is what is heard, and what is never heard.
"""

import asyncio
import difflib
import gc
import random
import re
from typing import Any

import httpx
import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from benchmarks.texts import NO_COMMA, TEXTS
from engine import EngineConfig, StreamOptions
from engine.audio import decode, output_format
from realtime import Session, SpeechRequest
from realtime.utterance import Say
from tests.hearing import transcribe, word_error_rate
from tests.tones import ToneModel
from tests.transports.conftest import Running, run_server, server
from tests.transports.fish.live_client import LiveClient
from tests.transports.webrtc.client import RATE as PEER_RATE
from tests.transports.webrtc.client import client
from transports.settings import Settings
from transports.webrtc import WebRtcConfig

__all__ = ["server"]  # the fixture

RATE = 24_000
PCM: dict[str, Any] = {"format": "pcm", "sample_rate": RATE}
STORY = (
    "The boat came in at noon. Nobody was waiting on the pier. The captain tied it to a post and looked around. "
    "A dog slept in the shade of a wall. He called out twice and got no answer. Then a window opened above him. "
    "An old woman told him to be quiet. He laughed and walked up the hill."
)


def samples(chunks: list[bytes]) -> Any:
    return np.frombuffer(b"".join(chunks), "<i2").astype(np.float32) / 32768


def whole(server: Running, text: str) -> Any:
    """The text spoken in one piece."""
    body = {"text": text, "format": "pcm", "sample_rate": RATE, "chunk_length": 300, "seed": 1}
    response = httpx.post(f"{server.url}/v1/tts", json=body, timeout=60)
    assert response.status_code == 200, response.text
    return samples([response.content])


async def streamed(server: Running, text: str, *, flushes: bool = False, **request: Any) -> list[bytes]:
    """The text as a language model writes it: word for word; perhaps flushed at each sentence."""
    async with LiveClient(server.live) as client:
        await client.start(**(PCM | request))
        for word in text.split():
            await client.send("text", text=word + " ")
            if flushes and word[-1] in ".!?":
                await client.send("flush")
        await client.send("stop")
        assert await client.finish() == "stop"
        return client.heard


def said(text: str, size: int, **request: Any) -> list[str]:
    """What a voice is given of a text that comes in pieces of ``size`` characters and is flushed."""
    session = Session(max_queued=1000)
    session.start(SpeechRequest(StreamOptions(("any",)), output_format("pcm"), **request), 0.0)
    for begin in range(0, len(text), size):
        session.text(text[begin : begin + size], 0.0)
    session.flush(0.0)
    return [task.action.segment.text for task in session.tasks() if isinstance(task.action, Say)]


async def test_1_speech_begins_while_the_sentence_is_being_written(server: Running) -> None:
    words = NO_COMMA.split()
    once = await asyncio.to_thread(whole, server, NO_COMMA)
    async with LiveClient(server.live) as client:
        await client.start(**PCM, latency="low")
        for word in words[:8]:
            await client.send("text", text=word + " ")
        await client.bytes_of(0.5, RATE)  # nothing was flushed, no sentence has ended
        for word in words[8:]:
            await client.send("text", text=word + " ")
        await client.send("stop")
        assert await client.finish() == "stop"
        live = samples(client.heard)
        assert 0.97 < len(live) / len(once) < 1.03  # nothing twice, nothing lost
        assert word_error_rate(NO_COMMA, transcribe(live, RATE)) <= 0.1


@pytest.mark.parametrize("flushes", [False, True])
async def test_2_a_streamed_text_sounds_like_the_same_text_in_one_piece(
    server: Running, flushes: bool
) -> None:
    once = await asyncio.to_thread(whole, server, STORY)
    live = samples(await streamed(server, STORY, flushes=flushes))
    assert 0.9 < len(live) / len(once) < 1.1
    level = 10 * np.log10(np.square(live).mean() / np.square(once).mean())
    assert abs(level) < 1.5
    assert word_error_rate(STORY, transcribe(live, RATE)) <= 0.1


async def test_2_nor_is_it_longer_for_its_many_commas(server: Running) -> None:
    text = (
        "Well, I think, perhaps, that we should, you know, wait. Yes. No. Maybe. It's fine, really, don't worry, "
        "okay? If you like, I can help, but, to be honest, it is hard."
    )
    once = await asyncio.to_thread(whole, server, text)
    live = samples(await streamed(server, text, latency="low"))
    assert 0.9 < len(live) / len(once) < 1.1


async def test_3_sixteen_at_once_get_all_of_their_own_speech(server: Running) -> None:
    texts = TEXTS[1:17]
    heard = await asyncio.gather(*(streamed(server, text) for text in texts))
    alone = await asyncio.to_thread(whole, server, texts[0])
    assert 0.9 < len(samples(heard[0])) / len(alone) < 1.1
    for number in (0, 7, 15):
        assert word_error_rate(texts[number], transcribe(samples(heard[number]), RATE)) <= 0.2


UNCUT = [
    "The address is 192.168.1.1 and it works.",
    "We run version 1.2.3 now, not 1.2.",
    "It costs $3.14.",
    "It grew by 22,1 percent since 10:45 a.m.",
    "Mr. Fox lives in the U.S. with Dr. J. R. Hare, e.g. in Rome.",
    "Write to me@example.org or see https://example.org/a.b?c=1.5 for more.",
]


@pytest.mark.parametrize("text", UNCUT)
def test_4_numbers_and_abbreviations_are_the_same_however_they_arrive(text: str) -> None:
    for normalize in (False, True):
        wanted = said(text, len(text), normalize=normalize)
        for size in (1, 2, 3, 4, 7):
            assert said(text, size, normalize=normalize) == wanted
        if not normalize:
            assert " ".join(wanted) == text


async def test_4_a_price_at_the_flush_is_complete(server: Running) -> None:
    async with LiveClient(server.live) as client:
        await client.send("start", request=PCM, events=["flushed"])
        for token in ("It costs", " $", "3", ".", "14", "."):
            await client.send("text", text=token)
        await client.send("flush")
        while (await client.event())["event"] != "flushed":
            pass
        heard = transcribe(samples(client.heard), RATE).lower()
        await client.send("stop")
        assert await client.finish() == "stop"
    assert re.search(r"3\.14|three dollars", heard), heard


TAGGED = [
    ("[whispers in a small voice] Come in.", "Come in."),
    ("One. [pause 1.5s] Two.", "One. Two."),
    ("<|speaker:1|>Yes. <|speaker:0|>No.", "Yes. No."),
    ("(happy) Good. <|im_end|> Bye.", "Good. im_end Bye."),
]


@pytest.mark.parametrize(("text", "words"), TAGGED)
def test_5_tags_are_neither_broken_nor_spoken(text: str, words: str) -> None:
    for size in range(1, len(text) + 1):
        spoken = " ".join(said(text, size, normalize=False)).split()
        assert " ".join(spoken) == words


@pytest.mark.parametrize("text", ["3 < 5 is true.", "See [1] for more.", "An open [ bracket", "It is <| so"])
async def test_5_what_only_looks_like_a_tag_does_not_stall(server: Running, text: str) -> None:
    async with LiveClient(server.live) as client:
        await client.send("start", request=PCM, events=["flushed"])
        await client.send("text", text=text)
        await client.send("flush")
        while (await client.event())["event"] != "flushed":
            pass
        await client.send("stop")
        assert await client.finish() == "stop"
        heard = transcribe(samples(client.heard), RATE).lower()
    for word in ("true", "see", "more", "open", "bracket", "it is"):
        assert (word in heard) == (word in text.lower()), heard


async def test_6_after_a_cancel_nothing_of_the_old_text_is_heard(server: Running) -> None:
    rng = random.Random(6)
    async with LiveClient(server.live) as client:
        for turn in range(8):
            await client.start(**PCM)
            await client.send("text", text=STORY)
            await client.send("flush")
            for _ in range(rng.randint(0, 3) if turn else 0):
                await client.event()
            await client.send("cancel")
            while (await client.event())["event"] != "cancelled":
                pass
            assert server.engine.open_streams == 0
            await client.start(**PCM)
            await client.send("text", text="Now we talk of apples.")
            await client.send("stop")
            assert await client.finish() == "stop"
            if turn % 3 == 0:
                heard = transcribe(samples(client.heard), RATE)
                assert word_error_rate("Now we talk of apples.", heard) <= 0.2
            assert 1.0 < len(samples(client.heard)) / RATE < 3.0


async def test_7_the_history_ends_with_the_last_word_that_was_heard(server: Running) -> None:
    async with LiveClient(server.live) as client:
        await client.send("start", request=PCM, events=["alignment", "flushed"])
        await client.send("text", text=STORY)
        await client.send("flush")
        words = []
        while (event := await client.event())["event"] != "flushed":
            words += event.get("segments", [])
        assert [word["text"] for word in words] == STORY.split()
        for word in words[10:]:
            if word["end"] > word["start"] + 0.1:
                break
        await client.send("played", seconds=word["end"])
        await client.send("cancel")
        while (event := await client.event())["event"] != "cancelled":
            pass
    assert event["last_word"] == word["text"]
    assert STORY[: event["heard_characters"]].split() == STORY.split()[: words.index(word) + 1]
    assert event["heard_seconds"] == pytest.approx(word["end"], abs=0.05)


async def test_8_neither_the_first_nor_the_last_syllable_is_cut(server: Running) -> None:
    text = "Peter opened the gate and closed the window."
    once = await asyncio.to_thread(whole, server, text)
    for format_ in ("pcm", "wav", "mp3", "opus"):
        rate = 48_000 if format_ == "opus" else 44_100 if format_ == "mp3" else RATE
        chunks = await streamed(server, text, format=format_, sample_rate=rate)
        live = samples(chunks) if format_ == "pcm" else decode(b"".join(chunks), RATE)[0]
        heard = re.findall(r"[a-z]+", transcribe(live, RATE).lower())
        assert (heard[0], heard[-1]) == ("peter", "window")
        # All that is loud, from the first sound to the last: one packet of a codec blurs its ends a little.
        assert spoken_seconds(live) == pytest.approx(spoken_seconds(once), abs=0.04)


def spoken_seconds(pcm: Any) -> float:
    loud = np.flatnonzero(np.abs(pcm) > 0.02)
    return float(loud[-1] - loud[0]) / RATE


async def test_9_no_seam_clicks(server: Running) -> None:
    async with LiveClient(server.live + "/with-timestamp") as client:
        await client.start(**PCM, latency="low", chunk_length=100)
        seams, seen = set(), 0
        for sentence in re.findall(r"[^.]+\.\s*", STORY):
            await client.send("text", text=sentence)
            await client.send("flush")
        await client.send("stop")
        while (event := await client.event())["event"] != "finish":
            if event["event"] == "audio":
                seams.add(seen)  # between two messages
                seen += len(event["audio"]) // 2
                if event["chunk_audio_offset_sec"] is not None:
                    seams.add(round(event["chunk_audio_offset_sec"] * RATE))  # between two chunks
    steps = np.abs(np.diff(samples(client.heard)))
    assert len(seams) > 8
    near = [steps[max(seam - 3, 0) : seam + 3].max(initial=0.0) for seam in seams]
    assert max(near) <= np.percentile(steps, 99.9)


@pytest.mark.parametrize(
    ("format_", "header", "packet"),
    [("wav", b"RIFF", 0.001), ("mp3", b"", 0.06), ("opus", b"OpusHead", 0.06)],
)
async def test_10_one_container_however_often_it_is_flushed(
    server: Running, format_: str, header: bytes, packet: float
) -> None:
    async with LiveClient(server.live + "/with-timestamp") as client:
        await client.start(format=format_)
        for sentence in re.findall(r"[^.]+\.\s*", STORY):
            await client.send("text", text=sentence)
            await client.send("flush")
        await client.send("stop")
        chunks: dict[int, float] = {}
        while (event := await client.event())["event"] != "finish":
            if event["event"] == "audio" and event["alignment"] is not None:
                chunks[event["chunk_seq"]] = event["alignment"]["audio_duration"]
    data = b"".join(client.heard)
    if header:
        assert data.startswith(b"OggS" if format_ == "opus" else header)
        assert data.count(header) == 1
    audio, rate = decode(data)
    assert len(audio) / rate == pytest.approx(sum(chunks.values()), abs=packet + 0.001 * len(chunks))


async def test_11_a_peer_is_answered_and_heard_with_no_stun_server_in_reach() -> None:
    """From within a NAT, such as Docker's bridge; no packet comes back from that STUN server, nor an error."""
    servers = ("stun:192.0.2.1", "turn:192.0.2.1")
    webrtc = WebRtcConfig(announced=("203.0.113.9",), ice_servers=servers, turn_secret="north")
    for running in run_server(Settings(port=0, webrtc=webrtc)):
        async with client(running.url) as peer:
            answer = await peer.post(await peer.offer())
            assert "203.0.113.9" in answer.text
            assert "srflx" not in answer.text
            assert 'credential-type="password"' in answer.headers["Link"]
            assert answer.headers["ETag"]
            await asyncio.wait_for(peer.opened.wait(), 20)
            peer.say("start", request={"text": "The boat came in at noon."})
            peer.say("stop")
            await peer.until("finish")
            await peer.until_quiet()
            heard = transcribe(peer.pcm, PEER_RATE)
            assert word_error_rate("The boat came in at noon.", heard) == 0.0


async def test_12_clients_that_come_and_go_leave_nothing_behind(server: Running) -> None:
    async def come_and_go(number: int) -> None:
        rng = random.Random(number)
        async with LiveClient(server.live) as client:
            for turn in range(4):
                context = rng.choice([None, "a", f"{number} {turn}"])
                await client.send("start", request=PCM, context=context)
                await client.send("text", text=STORY, context=context)
                if rng.random() < 0.5:
                    await client.send("cancel", context=context)

    for _ in range(5):
        await asyncio.gather(*(come_and_go(number) for number in range(20)))
    await asyncio.to_thread(server.until_idle)
    for _ in range(100):
        gc.collect()
        if not len(server.services.speakers):
            break
        async with connect(server.live):  # a round through the server's loop
            pass
    assert len(server.services.speakers) <= 1
    assert server.engine.speaking_streams == 0


async def test_13_over_capacity_is_refused_and_whoever_was_killed_returns_his_slot() -> None:
    model = ToneModel()
    for running in run_server(Settings(port=0, engine=EngineConfig(max_streams=1)), lambda: model):
        model.gate.clear()
        body = {"text": "Too much.", "format": "pcm"}
        async with httpx.AsyncClient(base_url=running.url) as http:
            for _ in range(3):
                async with LiveClient(running.live) as client:
                    await client.start(format="pcm")
                    await client.send("text", text="I speak for a long time. ")
                    await client.send("flush")
                    await asyncio.to_thread(model.blocked.wait)
                    refusal = await http.post("/v1/tts", json=body)
                    assert refusal.status_code == 503
                    assert int(refusal.headers["retry-after"]) >= 1
                    with pytest.raises(InvalidStatus) as denied:
                        async with connect(running.live):
                            pass
                    assert denied.value.response.status_code == 503
                    client.socket.transport.abort()
                await asyncio.to_thread(running.until_idle)
                model.gate.set()
                assert (await http.post("/v1/tts", json=body)).status_code == 200
                model.blocked.clear()
                model.gate.clear()
        model.gate.set()


async def test_14_a_long_text_loses_no_words(server: Running) -> None:
    text = " ".join(TEXTS[1:16])
    audio = samples(await streamed(server, text))
    assert len(audio) / RATE > 150
    heard = transcribe(audio, RATE)
    assert word_error_rate(text, heard) <= 0.1
    expected, got = (re.findall(r"[a-z]+", words.lower()) for words in (text, heard))
    for _, begin, end, first, last in difflib.SequenceMatcher(
        None, expected, got, autojunk=False
    ).get_opcodes():
        assert (end - begin) - (last - first) < 4, expected[begin:end]


async def test_15_an_unknown_voice_is_refused_by_name(server: Running) -> None:
    for voice in ("nobody", ["heart", "nobody"]):
        body = {"text": "Hello.", "reference_id": voice}
        refusal = await asyncio.to_thread(httpx.post, f"{server.url}/v1/tts", json=body)
        assert refusal.status_code == 400
        assert "nobody" in refusal.json()["message"]
        async with LiveClient(server.live) as client:
            await client.start(reference_id=voice)
            assert await client.finish() == "error"
            assert "nobody" in client.logs[0]
