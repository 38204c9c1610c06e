"""Who may read the metrics, where, and what it costs the event loop."""

import asyncio
import socket
import sys
import threading
from typing import get_args

import httpx
import pytest
from prometheus_client import CollectorRegistry
from starlette.requests import Request

from engine import Engine, EngineConfig
from engine.origin import Origin
from realtime.observer import (
    Admitted,
    Answered,
    Audible,
    Begun,
    Encoded,
    Ended,
    Floor,
    Missing,
    Observation,
    Recognised,
    Refused,
    Said,
    Sent,
    SpeechId,
    TextCame,
    Thought,
    TurnedAway,
    Underrun,
)
from tests.tones import ToneModel
from tests.transports.metrics.page import Page
from transports.errors import RequestError
from transports.metrics import Metrics, MetricsConfig
from transports.metrics.meters import Meters
from transports.metrics.routes import check_reader
from transports.settings import Settings

TOKEN = "the operator's own token"


def request(**headers: str) -> Request:
    """One that reached the server over its own connection."""
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "path": "/metrics", "headers": raw})


def settings(host: str = "127.0.0.1", token: str | None = None) -> Settings:
    return Settings(host=host, metrics=MetricsConfig(token))


def status(asked: Request, of: Settings) -> int:
    try:
        check_reader(asked, of)
    except RequestError as error:
        return error.status
    return 200


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost:8080", "[::1]:8080"])
def test_programs_of_this_machine_may_if_only_they_can(host: str) -> None:
    assert status(request(host=host), settings()) == 200
    assert status(request(host=host), settings(host="0.0.0.0")) == 403
    assert status(request(host=host), settings(host="10.0.0.1")) == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"x_forwarded_for": "203.0.113.7"},
        {"forwarded": "for=203.0.113.7"},
        {"via": "1.1 proxy"},
        {"origin": "https://example.com"},
        {"host": "voice.example.com"},
    ],
)
def test_what_came_through_a_proxy_or_a_page_is_not_of_this_machine(headers: dict[str, str]) -> None:
    assert status(request(**{"host": "localhost", **headers}), settings()) == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_with_a_token_it_is_the_token_that_counts(host: str) -> None:
    of = settings(host, TOKEN)
    assert status(request(host="localhost", authorization=f"Bearer {TOKEN}"), of) == 200
    assert status(request(host="a.b", via="1.1 x", authorization=f"bearer {TOKEN}"), of) == 200
    for wrong in ("", f"Basic {TOKEN}", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer é"):
        assert status(request(host="localhost", authorization=wrong), of) == 401
    assert status(request(host="localhost"), of) == 401


def test_a_token_is_nowhere_to_be_seen() -> None:
    assert TOKEN not in repr(settings(token=TOKEN))


async def test_the_port_of_its_own_serves_this_machine_until_it_is_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with Engine(ToneModel, EngineConfig(max_streams=3)) as engine:
        metrics = Metrics(engine)
        metrics.start(lambda: {"agent": 7}, port)
        url = f"http://127.0.0.1:{port}"
        page = await asyncio.to_thread(Page.of, url)
        assert page.value("parrotfish_connections", kind="agent") == 7
        assert page.value("parrotfish_engine_streams_limit") == 3
        assert page.names == Page((await metrics.page()).data.decode()).names
        for host, status in (("localhost", 200), ("rebound.example.com", 403)):
            answer = await asyncio.to_thread(httpx.get, f"{url}/metrics", headers={"Host": f"{host}:{port}"})
            assert answer.status_code == status
            assert ("parrotfish_" in answer.text) == (status == 200)
        await metrics.close()
        with pytest.raises(httpx.ConnectError):
            await asyncio.to_thread(Page.of, url)


async def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        metrics = Metrics(Engine(ToneModel))
        with pytest.raises(OSError, match="in use"):
            metrics.start(dict, taken.getsockname()[1])


async def test_both_formats_of_prometheus_are_spoken() -> None:
    metrics = Metrics(Engine(ToneModel))
    plain = await metrics.page()
    assert plain.mime.startswith("text/plain")
    modern = await metrics.page("application/openmetrics-text; version=1.0.0")
    assert modern.mime.startswith("application/openmetrics-text")
    assert modern.data.endswith(b"# EOF\n")


def everything() -> list[Observation]:
    """An event of each kind."""
    origin = Origin("1", "live")
    speech = SpeechId(1, "", "tones", True, origin)
    return [
        Admitted(speech, 1.0, 0.5),
        Refused(speech, 1.0, "full"),
        TextCame(speech, 1.0),
        Said(speech, 1.0, 0, 5, 0.9),
        Begun(speech, 1.3, 0, 1.0, 1.1, 1.2),
        Encoded(speech, 1.5, 0, 1.4),
        Sent(speech, 1.6, 1.5, 0.9),
        Audible(speech, 1.7, 0.9),
        Underrun(speech, 2.0, 0.4),
        Ended(speech, 3.0, "stop", 1.5, 5),
        TurnedAway(origin, 1.0, 503),
        Recognised(origin, 1.0, "final", 0.5, 2.0),
        Thought(origin, 2.0, 1, 1.0, 1.5, "stop"),
        Answered(origin, 2.0, 1, 1.0, 1.1, 1.2, 1.3),
        Floor(origin, 1.0, 1, "held"),
    ]


def test_counting_does_no_io() -> None:
    meters = Metrics(Engine(ToneModel)).meters
    events = everything()
    watched, seen = threading.get_ident(), []
    watching = False

    def hook(event: str, _: object) -> None:
        if watching and threading.get_ident() == watched and not event.startswith("object."):
            seen.append(event)

    sys.addaudithook(hook)  # it stays for ever, and is idle from then on
    for event in events:
        meters.note(event)  # what is imported or made once is
    watching = True
    for event in events:
        meters.note(event)
    watching = False
    assert seen == []


def test_each_event_is_counted_for_what_it_is() -> None:
    metrics = Metrics(Engine(ToneModel))
    for event in everything():
        metrics.meters.note(event)
    page = Page(asyncio.run(metrics.page()).data.decode())
    labels = {"transport": "live", "model": "tones"}
    for name, total in (("onset", 0.8), ("first_byte", 0.7), ("underrun", 0.4)):
        assert page.value(f"parrotfish_{name}_seconds_count", **labels) == 1
        assert page.value(f"parrotfish_{name}_seconds_sum", **labels) == pytest.approx(total)
    for stage in ("chunk", "queue", "prefill", "first_frame", "encode", "send"):
        assert page.value("parrotfish_stage_seconds_sum", stage=stage) == pytest.approx(0.1), stage
    for stage, seconds in (("transcript", 0.1), ("decided", 0.2), ("first_token", 0.3), ("first_audio", 1.0)):
        turn = page.value("parrotfish_turn_seconds_sum", stage=stage, transport="live")
        assert turn == pytest.approx(seconds), stage
    assert page.value("parrotfish_asr_seconds_sum", kind="final") == 0.5
    assert page.value("parrotfish_asr_audio_seconds_total", kind="final") == 2.0
    assert page.value("parrotfish_llm_first_token_seconds_sum") == 0.5
    assert page.value("parrotfish_llm_seconds_sum", outcome="stop") == 1.0
    assert page.value("parrotfish_agent_floor_total", what="held", transport="live") == 1
    # Two were refused while the engine was loading, and it is that which is told.
    assert page.value("parrotfish_refusals_total", transport="live", reason="loading") == 2
    assert page.value("parrotfish_streams") == 0


def test_refusals_tell_what_was_missing_and_of_an_engine_that_is_not_ready_its_state() -> None:
    state, registry = "ready", CollectorRegistry()
    meters = Meters(registry, lambda: state)

    def reasons() -> dict[str, float]:
        samples = next(iter(meters._refusals.collect())).samples
        return {one.labels["reason"]: one.value for one in samples if one.name.endswith("_total")}

    for missing in get_args(Missing):
        meters.note(TurnedAway(None, 1.0, 503, missing))
    assert reasons() == {"full": 1, "crashed": 1, "hearing": 1, "store": 1}
    state = "restarting"
    for missing in get_args(Missing):
        meters.note(TurnedAway(None, 1.0, 503, missing))
    assert reasons() == {"full": 1, "crashed": 1, "hearing": 2, "store": 2, "restarting": 2}


def test_unknown_transports_are_one() -> None:
    meters = Metrics(Engine(ToneModel)).meters
    for number in range(100):
        meters.note(TurnedAway(Origin(str(number), f"made-up-{number}"), 1.0, 429))
    meters.note(TurnedAway(None, 1.0, 429))
    counted = {sample.labels["transport"] for sample in next(iter(meters._refusals.collect())).samples}
    assert counted == {"other", "server"}
