"""Conversations over the agent socket, with real ears, a real voice, and a mind over real HTTP."""

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus

from engine.audio import AudioStream, OpusDecoder, packet_format, split_packets
from engine.speech import Pcm
from tests.hearing import transcribe, word_error_rate
from tests.transports.agent.client import MIC_RATE, conversing, speech
from tests.transports.agent.conftest import Mind
from tests.transports.conftest import Running, run_server
from transports.agent import AgentSettings
from transports.settings import Settings

ASKED = "What is the weather like today?"
STORY = "Once upon a time there was a parrot who lived by the sea and told stories to everybody who came by. "


async def test_a_parrot_says_back_what_it_understood(server: Running) -> None:
    said = "The quick brown fox jumps over the lazy dog."
    async with conversing(server) as client:
        assert (await client.until("ready"))["mind"] == "parrot"
        client.say(speech(said))
        turn = (await client.until("turn_ended"))["turn"]
        ended = await client.until("reply_ended", turn=turn)
    assert word_error_rate(said, ended["text"]) == 0
    assert word_error_rate(said, transcribe(client.heard(), 24_000)) <= 0.12
    latencies = await client.until("latencies")
    stages = [latencies[stage] for stage in ("transcript", "decided", "first_token", "first_audio")]
    assert stages[0] > 0
    assert stages[1:] == sorted(stages[1:])
    lit = [word for event in client.events if event["type"] == "spoken_words" for word in event["words"]]
    assert [word["text"] for word in lit] == ended["text"].split()


async def test_a_mind_answers_with_all_that_was_said(thinking: Running, mind: Mind) -> None:
    mind.says(["It is ", "sunny, ", "and quite warm."], ["You are welcome."])
    async with conversing(thinking, instructions="Be brief.", greeting="Hello!") as client:
        greeted = (await client.until("reply_ended"))["turn"]
        client.say(speech(ASKED))
        await client.until("reply_ended", turn=greeted + 1)
        await client.tell(type="user_text", text="Thank you.")
        await client.until("reply_ended", turn=greeted + 2)
    history = mind.stub.asked[-1]["messages"]
    assert [message["role"] for message in history] == ["system", "assistant", "user", "assistant", "user"]
    assert history[0]["content"] == "Be brief."
    assert word_error_rate(ASKED, history[2]["content"]) == 0
    assert history[3]["content"] == "It is sunny, and quite warm."
    heard = transcribe(client.heard(), 24_000)
    assert word_error_rate("Hello! It is sunny, and quite warm. You are welcome.", heard) <= 0.2


async def test_who_interrupts_hears_no_more_of_it_and_the_mind_knows(thinking: Running, mind: Mind) -> None:
    mind.says([STORY * 4], ["All right."])
    async with conversing(thinking) as client:
        client.say(speech("Tell me a story."))
        await client.until("spoken_words")
        client.say(speech("Stop that, please."))
        interrupted = await client.until("interrupted")
        turn = (await client.until("turn_ended", turn=interrupted["turn"] + 1))["turn"]
        await client.until("reply_ended", turn=turn)
    assert 0 < len(interrupted["text"]) < len(STORY * 2)
    assert (STORY * 4).startswith(interrupted["text"])
    assert mind.stub.asked[-1]["messages"][-2]["content"] == interrupted["text"]
    # After the clear nothing of the story was sent: what was played ends with the answer.
    assert transcribe(client.heard(), 24_000).rstrip(".").endswith("right")


async def test_tools_are_the_clients(thinking: Running, mind: Mind) -> None:
    call = {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "weather", "arguments": "{}"}}]}
    mind.says([call], ["It is raining."])
    tool = {"type": "function", "function": {"name": "weather", "description": "Tells the weather."}}
    async with conversing(thinking, tools=[tool]) as client:
        await client.tell(type="user_text", text="How is the weather?")
        called = await client.until("tool_called")
        assert (called["call_id"], called["name"], called["arguments"]) == ("c1", "weather", "{}")
        await client.tell(type="tool_result", call_id="c1", content="rain")
        assert (await client.until("reply_ended"))["text"] == "It is raining."
    assert mind.stub.asked[0]["tools"][0]["function"]["name"] == "weather"
    assert mind.stub.asked[1]["messages"][-1] == {"role": "tool", "content": "rain", "tool_call_id": "c1"}


async def test_a_mind_that_fails_is_apologised_for(thinking: Running, mind: Mind) -> None:
    mind.says([b"nonsense"], ["Fine."])
    async with conversing(thinking, apology="I am sorry.") as client:
        await client.tell(type="user_text", text="Hello?")
        failed = await client.until("mind_failed")
        await client.until("reply_ended")
        await client.tell(type="user_text", text="And now?")
        await client.until("reply_ended", turn=failed["turn"] + 1)
    assert "broke off" in failed["reason"]
    assert word_error_rate("I am sorry. Fine.", transcribe(client.heard(), 24_000)) <= 0.25


async def test_opus_both_ways(server: Running) -> None:

    said = "The quick brown fox jumps over the lazy dog."
    stream = AudioStream(MIC_RATE, packet_format())
    quiet = np.zeros(MIC_RATE, np.float32)
    packets = split_packets(stream.write(np.concatenate([speech(said), quiet, quiet])) + stream.flush())
    heard: list[bytes] = []
    async with connect(server.url.replace("http", "ws") + "/v1/agent") as socket:
        await socket.send(json.dumps({"type": "start", "audio": {"format": "opus", "input_format": "opus"}}))
        for packet in packets:
            await socket.send(packet)
        async for message in socket:
            if isinstance(message, bytes):
                heard.append(message)
            elif json.loads(message)["type"] == "reply_ended":
                break
    decoder = OpusDecoder()
    pcm = np.concatenate([decoder.decode(packet) for packet in heard])
    assert word_error_rate(said, transcribe(pcm, 48_000)) <= 0.12


async def test_samples_may_be_cut_in_two(server: Running) -> None:
    said = "The quick brown fox jumps over the lazy dog."
    data = (np.concatenate([speech(said), np.zeros(2 * MIC_RATE)]) * 32767).astype("<i2").tobytes()
    async with connect(server.url.replace("http", "ws") + "/v1/agent") as socket:
        await socket.send(json.dumps({"type": "start", "audio": {"input_sample_rate": MIC_RATE}}))
        for at in range(0, len(data), 3001):
            await socket.send(data[at : at + 3001])
        async for message in socket:
            if isinstance(message, str) and (event := json.loads(message))["type"] == "turn_ended":
                break
    assert word_error_rate(said, event["text"]) == 0


@pytest.mark.parametrize(
    ("start", "wrong"),
    [
        ({"type": "hello"}, "type: got 'hello'; expected start"),
        ({"type": "start", "audio": {"sample_rate": 12}}, "audio.sample_rate"),
        ({"type": "start", "audio": {"format": "mp3"}}, "audio.format: got 'mp3'"),
        ({"type": "start", "request": {"reference_id": "nobody"}}, "nobody"),
        ({"type": "start", "language": "xx"}, "'xx'"),
        ({"type": "start", "pause": 9}, "pause: got 9"),
        ({"type": "start", "tools": [{"name": "no spaces"}]}, "tools.0.name: got 'no spaces'"),
        ({"type": "start", "tools": 7}, "tools"),
        ([], "expected a JSON object"),
    ],
)
async def test_a_start_that_cannot_be_is_refused(server: Running, start: Any, wrong: str) -> None:
    async with connect(server.url.replace("http", "ws") + "/v1/agent") as socket:
        await socket.send(json.dumps(start))
        told = []
        with suppress(ConnectionClosedError):
            async for message in socket:
                told.append(json.loads(message))
    assert told[-1]["type"] == "error"
    assert wrong in told[-1]["message"]
    assert socket.close_code == 1008


async def test_what_is_no_message_is_told_and_the_conversation_goes_on(server: Running) -> None:
    async with conversing(server) as client:
        await client.until("ready")
        await client.tell(type="dance")
        assert "type: got 'dance'; expected one of say, " in (await client.until("error"))["message"]
        await client.tell(type="user_text", text="Still there?")
        assert (await client.until("reply_ended"))["text"].strip() == "Still there?"


async def test_a_failure_of_ours_is_told_and_the_socket_closed_with_1011(thinking: Running) -> None:
    class Broken:
        def complete(self, pcm: Pcm) -> float:
            raise RuntimeError("something that nobody has thought of")

    agents = thinking.services.agents
    agents.judge, judge = Broken(), agents.judge
    try:
        async with conversing(thinking) as client:
            client.say(speech("Hello?"))
            assert (await client.over())[0] == 1011
    finally:
        agents.judge = judge
    assert client.events[-1] == {"type": "error", "message": "internal error", "status": 500}


async def test_no_more_than_may_be(thinking: Running, mind: Mind) -> None:
    address = thinking.url.replace("http", "ws") + "/v1/agent"
    open_ = [await connect(address) for _ in range(3)]
    with pytest.raises(InvalidStatus) as refused:
        await connect(address)
    assert refused.value.response.status_code == 503
    assert refused.value.response.headers["Retry-After"] == "10"
    for socket in open_:
        await socket.close()


async def test_conversations_do_not_hear_of_one_another(server: Running) -> None:
    said = ["The first caller likes apples.", "The second caller likes pears.", "The third wants cherries."]

    async def converse(text: str) -> str:
        async with conversing(server) as client:
            client.say(speech(text))
            return str((await client.until("reply_ended", seconds=40.0))["text"])

    answers = await asyncio.gather(*map(converse, said))
    for text, answer in zip(said, answers, strict=True):
        assert word_error_rate(text, answer) <= 0.25


async def test_leaving_ends_with_the_last_word(server: Running) -> None:
    async with conversing(server) as client:
        await client.tell(type="say", text="See you tomorrow.")
        await client.tell(type="leave")
        assert (await client.over())[0] == 1000
    assert word_error_rate("See you tomorrow.", transcribe(client.heard(), 24_000)) == 0
    assert client.events[-1]["type"] == "ended"


async def test_a_server_that_stops_says_what_it_was_saying(tmp_path: Path) -> None:
    running = run_server(Settings(port=0, data=tmp_path, grace_seconds=20.0))
    server = next(running)
    try:
        async with conversing(server) as client:
            await client.tell(type="say", text="Please hold the line until I have said this.")
            await client.until("spoken_words")
            server.interrupt()
            assert (await client.over())[0] == 1000
            with pytest.raises(InvalidStatus):
                await connect(server.url.replace("http", "ws") + "/v1/agent")
    finally:
        with suppress(StopIteration):
            next(running)
    assert (
        word_error_rate("Please hold the line until I have said this.", transcribe(client.heard(), 24_000))
        == 0
    )


async def test_no_conversation_is_longer_than_it_may_be(tmp_path: Path) -> None:
    running = run_server(Settings(port=0, data=tmp_path, agent=AgentSettings(max_seconds=0.2)))
    server = next(running)
    try:
        async with conversing(server) as client:
            assert (await client.over())[0] == 1000
            assert client.events[-1]["message"] == "no conversation may be longer"
    finally:
        with suppress(StopIteration):
            next(running)
