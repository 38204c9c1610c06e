"""Spans of real requests, as a real collector gets them."""

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx
import ormsgpack
import pytest
from websockets.asyncio.client import connect

from engine import EngineConfig
from engine.logs import JsonFormatter
from realtime.mind import ChatConfig
from tests.chat_stub import ChatStub, Step, chat_stub
from tests.tones import ToneModel
from tests.transports.agent.client import conversing, speech
from tests.transports.conftest import Running, run_server
from tests.transports.fish.live_client import SDK_START
from tests.transports.tracing.receiver import Receiver, Span, receiving
from transports.agent import AgentSettings
from transports.settings import Settings
from transports.tracing import TracingConfig

SECRET = "The secret word is xylophone."
PARTS = ["chunk", "prefill", "first frame", "encode", "send"]


class Lines(logging.Handler):
    """The lines of the access log, as objects."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.told: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(json.loads(self.format(record)))


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with receiving() as collector:
        yield collector


@pytest.fixture(scope="module")
def mind() -> Iterator[ChatStub]:
    replies: list[list[Step]] = [["It is ", "sunny today."]]
    with chat_stub(lambda _: replies[0]) as stub:
        yield stub


@pytest.fixture(scope="module")
def traced(receiver: Receiver, mind: ChatStub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that sends its spans soon."""
    settings = Settings(
        port=0,
        engine=EngineConfig(max_streams=8, max_ahead=3600.0),
        data=tmp_path_factory.mktemp("traced"),
        agent=AgentSettings(chat=ChatConfig(mind.url, "stub")),
        tracing=TracingConfig(receiver.url),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
        patch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
        yield from run_server(settings)


@pytest.fixture
def lines() -> Iterator[Lines]:
    access, handler = logging.getLogger("transports.access"), Lines()
    level = access.level
    access.addHandler(handler)
    access.setLevel(logging.INFO)
    yield handler
    access.setLevel(level)
    access.removeHandler(handler)


_traces = iter(range(1, 1000))


def new_trace() -> tuple[str, str, dict[str, str]]:
    """The ids of a client's span in a trace of its own, and the header that says so."""
    trace, span = f"{next(_traces):032x}", "00f067aa0ba902b7"
    return trace, span, {"traceparent": f"00-{trace}-{span}-01", "tracestate": "vendor=1"}


def within(parent: Span, children: list[Span]) -> None:
    """Each child lies within its parent, and ends after it begins."""
    for child in children:
        assert child.trace == parent.trace
        assert parent.start <= child.start <= child.end <= parent.end, (parent, child)


def test_a_request_is_part_of_its_clients_trace(traced: Running, receiver: Receiver, lines: Lines) -> None:
    trace, span, headers = new_trace()
    before = time.time_ns()
    body = {"text": SECRET, "format": "pcm", "sample_rate": 16_000}
    answer = httpx.post(f"{traced.url}/v1/tts", json=body, headers=headers, timeout=60)
    assert answer.status_code == 200
    request = receiver.one("POST /v1/tts", trace)
    assert request.parent == span
    assert before <= request.start <= request.end <= time.time_ns()
    assert request.attributes["http.response.status_code"] == 200
    assert request.attributes["parrotfish.transport"] == "http"
    assert request.attributes["parrotfish.request_id"] == answer.headers["X-Request-Id"]
    assert request.attributes["parrotfish.bytes_sent"] == len(answer.content)
    assert request.server["service.name"] == "parrotfish"
    assert request.server["deployment.environment"] == "test"
    turn = receiver.one("turn", trace)
    assert turn.parent == request.id
    within(request, [turn])
    parts = receiver.below(turn)
    within(turn, parts)
    assert [part.name for part in parts] == PARTS
    assert all(one.end <= other.end for one, other in pairwise(parts))
    assert turn.attributes["parrotfish.outcome"] == "stop"
    assert turn.attributes["parrotfish.model"] == "hibari"
    assert turn.attributes["parrotfish.characters"] == len(SECRET)
    seconds = turn.attributes["parrotfish.audio_seconds"]
    assert seconds == pytest.approx(len(answer.content) / 2 / 16_000, abs=0.2)
    (line,) = [told for told in lines.told if told["path"] == "/v1/tts"]
    assert (line["trace_id"], line["span_id"]) == (trace, request.id)


def test_a_client_without_a_trace_begins_one(traced: Running, receiver: Receiver, lines: Lines) -> None:
    bad = {"traceparent": "00-nonsense-01", "X-Request-Id": "no-trace"}
    httpx.get(f"{traced.url}/health", headers=bad)
    found = receiver.until(
        lambda spans: any(span.attributes.get("parrotfish.request_id") == "no-trace" for span in spans),
        "span of the request",
    )
    (span,) = [one for one in found if one.attributes.get("parrotfish.request_id") == "no-trace"]
    assert not span.parent
    assert len(span.trace) == 32
    assert [told["trace_id"] for told in lines.told if told["request_id"] == "no-trace"] == [span.trace]


def test_what_the_client_does_not_sample_is_not_sent(traced: Running, receiver: Receiver) -> None:
    trace, _, headers = new_trace()
    headers["traceparent"] = headers["traceparent"].removesuffix("01") + "00"
    httpx.post(f"{traced.url}/v1/tts", json={"text": "Hello."}, headers=headers, timeout=60)
    later, _, headers = new_trace()
    httpx.post(f"{traced.url}/v1/tts", json={"text": "Hello."}, headers=headers, timeout=60)
    receiver.one("POST /v1/tts", later)
    assert not [span for span in receiver.spans if span.trace == trace]


async def test_each_utterance_of_a_socket_is_a_turn(traced: Running, receiver: Receiver) -> None:
    trace, span, headers = new_trace()
    async with connect(traced.live, additional_headers=headers) as socket:

        async def say(event: str, **fields: Any) -> None:
            await socket.send(ormsgpack.packb({"event": event, **fields}))

        async def until(*names: str) -> None:
            while ormsgpack.unpackb(await socket.recv())["event"] not in names:
                pass

        await say("start", request=SDK_START | {"format": "pcm"})
        await say("text", text=SECRET)
        await say("stop")
        await until("finish")
        await say("start", request=SDK_START | {"format": "pcm"})
        await say("text", text=SECRET * 40)
        await until("audio")
        await say("cancel")
        await until("cancelled")
        await say("start", request=SDK_START | {"format": "pcm"})
        await say("text", text=SECRET * 40)
        await until("audio")
    request = await asyncio.to_thread(receiver.one, "WS /v1/tts/live", trace)
    assert request.parent == span
    assert request.attributes["http.response.status_code"] == 101
    turns = receiver.below(request)
    within(request, turns)
    assert [turn.attributes["parrotfish.outcome"] for turn in turns] == ["stop", "cancelled", "gone"]
    for turn in turns:
        parts = receiver.below(turn)
        within(turn, parts)
        assert {part.name for part in parts} == set(PARTS)
        assert not turn.failed


async def test_a_turn_of_an_agent_has_all_its_parts(
    traced: Running, receiver: Receiver, mind: ChatStub
) -> None:
    trace, _, headers = new_trace()
    async with conversing(traced, headers=headers) as client:
        client.say(speech("What is the weather like today?"))
        await client.until("reply_ended", seconds=40.0)
    request = await asyncio.to_thread(receiver.one, "WS /v1/agent", trace)
    turns = receiver.below(request)
    within(request, turns)
    turn = next(one for one in turns if one.attributes["parrotfish.outcome"] == "stop")
    parts = receiver.below(turn)
    within(turn, parts)
    assert [part.name for part in parts if part.name not in PARTS] == ["asr", "llm"]
    assert {part.name for part in parts} == {"asr", "llm", *PARTS}
    asr, llm = parts[:2]
    assert asr.attributes["parrotfish.audio_seconds"] > 0.5
    assert llm.start >= asr.start
    assert llm.attributes["parrotfish.outcome"] == "stop"
    assert {"text", "audible"} <= set(turn.events)
    # What the mind does is part of the trace, below the socket's span.
    assert mind.headers[-1]["traceparent"] == f"00-{trace}-{request.id}-01"
    assert mind.headers[-1]["tracestate"] == "vendor=1"


def test_what_is_refused_is_an_error(traced: Running, receiver: Receiver) -> None:
    trace, _, headers = new_trace()
    answer = httpx.post(f"{traced.url}/v1/tts", json={"text": ""}, headers=headers)
    assert answer.status_code == 400
    request = receiver.one("POST /v1/tts", trace)
    assert request.attributes["http.response.status_code"] == 400
    assert not request.failed  # the client's doing, by OpenTelemetry's conventions
    assert not receiver.below(request)


def test_no_text_and_no_name_of_a_clients_is_sent(traced: Running, receiver: Receiver) -> None:
    trace, _, headers = new_trace()
    httpx.post(f"{traced.url}/v1/tts", json={"text": SECRET}, headers=headers, timeout=60)
    receiver.one("POST /v1/tts", trace)
    assert not [body for body in receiver.raw if b"xylophone" in body or b"sunny" in body]


def test_what_the_model_fails_at_is_a_turn_that_failed(
    receiver: Receiver, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    settings = Settings(port=0, data=tmp_path, tracing=TracingConfig(receiver.url), asr=None)
    trace, _, headers = new_trace()
    for server in run_server(settings, ToneModel):
        body = {"text": "This breaks.", "format": "pcm"}
        answer = httpx.post(f"{server.url}/v1/tts", json=body, headers=headers, timeout=60)
        assert answer.status_code == 500
        request = receiver.one("POST /v1/tts", trace)
        assert request.failed
        turn = receiver.one("turn", trace)
        assert turn.failed
        assert turn.attributes["parrotfish.outcome"] == "error"
        assert receiver.below(turn)[0].name == "chunk"


def test_the_last_spans_are_sent_when_the_server_ends(receiver: Receiver, tmp_path: Any) -> None:
    settings = Settings(port=0, data=tmp_path, tracing=TracingConfig(receiver.url + "/"), asr=None)
    trace, _, headers = new_trace()
    for server in run_server(settings, ToneModel):  # it sends every five seconds
        httpx.get(f"{server.url}/health", headers=headers)
    assert [span.name for span in receiver.spans if span.trace == trace] == ["GET /health"]


def test_a_collector_that_is_away_holds_up_nobody(tmp_path: Any) -> None:
    settings = Settings(
        port=0, data=tmp_path, tracing=TracingConfig("http://127.0.0.1:9"), asr=None
    )  # the discard port: nobody listens
    for server in run_server(settings, ToneModel):
        for _ in range(3):
            assert httpx.get(f"{server.url}/health").status_code == 200
