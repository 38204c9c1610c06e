"""Peers that listen and speak, against a real server on real sockets."""

import asyncio

import numpy as np
import pytest

from tests.hearing import transcribe, word_error_rate
from tests.transports.conftest import Running
from tests.transports.webrtc.client import RATE, client
from tests.transports.webrtc.conftest import said

TEXT = "The teacher asked why the sky looks blue. We should leave before the rain begins."
SENTENCE = "We should leave before the rain starts, or we will be wet."


async def test_what_is_written_is_heard_to_the_first_and_the_last_word(rtc: Running) -> None:
    async with client(rtc.url) as peer:
        await peer.connect()
        peer.say("start", events=["alignment", "flushed"])
        for word in TEXT.split():
            peer.say("text", text=word + " ")
        peer.say("flush")
        await peer.until("flushed")
        peer.say("stop")
        assert (await peer.until("finish"))["reason"] == "stop"
        await peer.until_quiet()
        heard = transcribe(peer.pcm, RATE)
        aligned = [told["segments"] for told in peer.messages if told["type"] == "alignment"]
        words = [word["text"] for told in aligned for word in told]
    assert word_error_rate(TEXT, heard) == 0.0, heard
    assert words == TEXT.split()


async def test_one_utterance_follows_the_other_and_is_told_of(rtc: Running) -> None:
    async with client(rtc.url) as peer:
        await peer.connect()
        for text in ("The music stopped.", "Everyone turned around."):
            peer.say("start", request={"text": text})
            peer.say("stop")
        await peer.until("finish", count=2)
        await peer.until_quiet()
        heard = transcribe(peer.pcm, RATE)
    assert word_error_rate("The music stopped. Everyone turned around.", heard) == 0.0, heard


async def test_a_cancel_silences_at_once_and_says_what_was_heard(rtc: Running) -> None:
    async with client(rtc.url) as peer:
        await peer.connect()
        peer.say("start", request={"text": TEXT * 5}, events=["alignment"])
        peer.say("stop")
        await peer.until("alignment", count=6)
        peer.say("cancel")
        cancelled = await peer.until("cancelled")
        at = len(peer.pcm)
        await asyncio.sleep(1.0)
        after = peer.pcm[at:]
        told = [message["type"] for message in peer.messages]
    # The listener's own buffer and what was on its way still sound, and no more.
    assert not np.abs(after[round(0.4 * RATE) :]).max() > 0.01
    assert TEXT.split()[:6][-1] in TEXT[: cancelled["heard_characters"]]
    assert TEXT[: cancelled["heard_characters"]].split()[-1] == cancelled["last_word"]
    assert "finish" not in told
    assert "alignment" not in told[told.index("cancelled") :]


async def test_after_a_cancel_the_next_utterance_is_whole(rtc: Running) -> None:
    async with client(rtc.url) as peer:
        await peer.connect()
        peer.say("start", request={"text": TEXT * 5})
        peer.say("cancel")
        await peer.until("cancelled")
        at = len(peer.pcm)
        peer.say("start", request={"text": "She keeps her letters in a small wooden box."})
        peer.say("stop")
        await peer.until("finish")
        await peer.until_quiet()
        heard = transcribe(peer.pcm[at:], RATE)
    assert word_error_rate("She keeps her letters in a small wooden box.", heard) == 0.0, heard


async def test_what_is_said_is_transcribed_while_it_is_said(rtc: Running) -> None:
    async with client(rtc.url, voice=said(SENTENCE), listens=False) as peer:
        await peer.connect()
        final = await peer.until("final")
        kinds = [message["type"] for message in peer.messages]
    assert word_error_rate(SENTENCE, final["text"]) == 0.0, final
    assert kinds.index("speech_started") < kinds.index("partial") < kinds.index("final")


async def test_a_peer_speaks_and_listens_at_once(rtc: Running) -> None:
    async with client(rtc.url, voice=said(SENTENCE)) as peer:
        await peer.connect()
        peer.say("start", request={"text": TEXT})
        peer.say("stop")
        await peer.until("finish")
        final = await peer.until("final")
        await peer.until_quiet()
        heard = transcribe(peer.pcm, RATE)
    assert word_error_rate(SENTENCE, final["text"]) == 0.0, final
    assert word_error_rate(TEXT, heard) == 0.0, heard


async def test_a_listener_without_a_channel_is_read_a_text(rtc: Running) -> None:
    async with client(rtc.url, channel=False) as peer:
        response = await peer.post(await peer.offer(), text="The music stopped and everyone turned around.")
        assert response.status_code == 201
        rtc_peers = rtc.services.peers
        await peer.until_heard(2.0)
        await peer.until_quiet()
        heard = transcribe(peer.pcm, RATE)
        assert len(rtc_peers) == 1
    assert word_error_rate("The music stopped and everyone turned around.", heard) == 0.0, heard


async def test_what_a_client_does_wrong_is_told_and_nothing_ends(rtc: Running) -> None:
    async with client(rtc.url) as peer:
        await peer.connect()
        wrong = [
            ("dance", {}, "type: got 'dance'"),
            ("text", {"text": "hello"}, "no utterance is open"),
            ("flush", {}, "no utterance is open"),
            ("cancel", {}, "nothing is being said"),
            ("start", {"request": 3}, "request: got 3"),
            ("start", {"request": {"speed": 1, "prosody": {"speed": 9}}}, "request.prosody.speed: got 9"),
            ("start", {"request": {"reference_id": "nobody"}}, "reference_id: got 'nobody'"),
            ("start", {"events": ["all"]}, "events: got"),
        ]
        for count, (type_, fields, reason) in enumerate(wrong, 1):
            peer.say(type_, **fields)
            error = await peer.until("error", count=count)
            assert reason in error["message"]
            assert error["status"] == 400
        for count, data in enumerate(["no json", "[]", '{"type": 3}', "x" * 70_000, b"\0"], len(wrong) + 1):
            peer.channel.send(data)
            assert "message: " in (await peer.until("error", count=count))["message"]
        peer.say("start", request={"text": "Hello."})
        peer.say("start")
        assert "an utterance is open" in (await peer.until("error", count=len(wrong) + 6))["message"]
        peer.say("stop")
        assert (await peer.until("finish"))["reason"] == "stop"


async def test_a_message_without_an_end_is_not_waited_for(rtc: Running) -> None:
    async with client(rtc.url) as peer:
        await peer.connect()
        assert peer.connection.sctp is not None
        # No browser sends it: 4 MB, where 64 kB are agreed upon.
        sending = asyncio.create_task(peer.connection.sctp._send(peer.channel.id, 51, bytes(4 << 20)))
        await asyncio.to_thread(rtc.until, lambda: not len(rtc.services.peers), "the peer to be let go")
        sending.cancel()


async def test_a_second_channel_is_closed(rtc: Running) -> None:
    async with client(rtc.url) as peer:
        await peer.connect()
        closed = asyncio.Event()
        second = peer.connection.createDataChannel("another")
        second.on("close", closed.set)
        await asyncio.wait_for(closed.wait(), 10)
        assert peer.channel.readyState == "open"


async def test_the_peers_reports_say_what_was_heard(rtc: Running) -> None:
    async with client(rtc.url) as peer:
        await peer.connect()
        peer.say("start", request={"text": TEXT})
        peer.say("stop")
        await peer.until_heard(0.5)
        (served,) = rtc.services.peers
        reported: list[float] = []
        heard = served.line.track.ledger.heard
        served.line.track.ledger.heard = lambda pts: reported.append(heard(pts)) or reported[-1]
        await peer.until("finish")
    assert reported, "no receiver report was understood"
    known = [seconds for seconds in reported if seconds is not None]
    assert known == sorted(known)
    assert known[-1] > 1.0


@pytest.mark.parametrize("language", ["xx", "english please"])
async def test_an_unknown_language_is_refused_before_anything_begins(rtc: Running, language: str) -> None:
    async with client(rtc.url, voice=said(SENTENCE)) as peer:
        response = await peer.post(await peer.offer(), language=language)
        assert response.status_code == 400
        assert response.json()["message"].startswith("language: ")
