"""Ace Data Cloud's dialect against the requests and answers of its document."""

import re
import time
from typing import Any

import httpx
import numpy as np
import orjson
import pytest

from engine.audio import decode
from tests.hearing import transcribe, word_error_rate
from tests.transports.gateways.conftest import TEXT, Gateway
from tests.transports.listener import Listener
from transports.jobs import telling

ERROR = {"success": False, "error": {"code": "", "message": ""}, "trace_id": ""}


def shape(value: Any) -> Any:
    """Names and types, without values."""
    return {name: shape(each) for name, each in value.items()} if isinstance(value, dict) else type(value)


def fetched(url: str) -> httpx.Response:
    response = httpx.get(url)
    assert response.status_code == 200
    return response


@pytest.mark.parametrize("format_", ["mp3", "pcm"])
def test_the_answer_is_where_the_audio_is(gateway: Gateway, format_: str) -> None:
    with gateway.client() as client:
        response = client.post("/fish/tts", json={"text": TEXT, "format": format_}, headers={"model": "s1"})
    assert list(response.json()) == ["audio_url"]
    audio = fetched(response.json()["audio_url"])
    if format_ == "mp3":
        assert audio.headers["content-type"] == "audio/mpeg"
        heard = transcribe(*decode(audio.content))
    else:
        heard = transcribe(np.frombuffer(audio.content, "<i2").astype(np.float32) / 32768, 44_100)
    assert word_error_rate(TEXT, heard) <= 0.15


def test_the_rates_of_the_document(gateway: Gateway) -> None:
    lengths = []
    with gateway.client() as client:
        for rate in (16_000, 22_050, 44_100):
            body = {"text": "hi", "format": "pcm", "sample_rate": rate}
            audio = fetched(client.post("/fish/tts", json=body).json()["audio_url"])
            lengths.append(len(audio.content) / 2 / rate)
    assert max(lengths) - min(lengths) < 0.05


def test_a_text_that_nobody_will_speak_is_refused_at_once(gateway: Gateway, listener: Listener) -> None:
    with gateway.client() as client:
        body = {"text": "x" * 1_000_001, "format": "mp3", "callback_url": listener.url}
        refused = client.post("/fish/tts", json=body)
    assert refused.status_code == 413
    assert "text: got 1000001 characters" in refused.json()["error"]["message"]
    assert listener.got == []


def test_later_to_a_callback_with_the_same_task(gateway: Gateway, listener: Listener) -> None:
    with gateway.client() as client:
        body = {"text": TEXT, "format": "mp3", "callback_url": listener.url}
        response = client.post("/fish/tts", json=body)
        assert shape(response.json()) == shape({"task_id": "", "started_at": ""})
        task = response.json()["task_id"]
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", task)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", response.json()["started_at"])
        told = listener.wait()
        assert told == {"task_id": task, "audio_url": told["audio_url"]}
        audio = decode(fetched(told["audio_url"]).content)
        assert word_error_rate(TEXT, transcribe(*audio)) <= 0.15
        found = client.post("/fish/tasks", json={"id": task, "action": "retrieve"}).json()
    assert found["id"] == task
    assert found["request"]["text"] == TEXT
    assert found["response"] == {"success": True, **told}
    assert found["elapsed"] > 0
    assert len(listener.got) == 1


def test_a_callback_is_tried_again(
    gateway: Gateway, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "_PAUSES", (0.01,))
    listener.answers = [500, 302, 404]  # no redirect is followed
    with gateway.client() as client:
        client.post("/fish/tts", json={"text": "Hi.", "format": "mp3", "callback_url": listener.url})
    for _ in range(4):
        listener.wait()
    assert len({orjson.dumps(body) for body in listener.got}) == 1
    assert len(listener.got) == 4


def test_what_fails_later_is_told_too(gateway: Gateway, listener: Listener) -> None:
    with gateway.client("poor") as client:
        body = {"text": TEXT, "format": "mp3", "callback_url": listener.url}
        task = client.post("/fish/tts", json=body).json()["task_id"]
        told = listener.wait()
        assert told["task_id"] == task
        assert told["error"]["code"] == "used_up"
        assert "credit is out" in told["error"]["message"]
        found = client.post("/fish/tasks", json={"id": task}).json()
    assert found["response"] == {**told, "success": False}


def test_tasks_are_their_owners_alone(gateway: Gateway, listener: Listener) -> None:
    with gateway.client() as client, gateway.client("other") as other:
        ids = [
            client.post(
                "/fish/tts", json={"text": text, "format": "mp3", "callback_url": listener.url}
            ).json()["task_id"]
            for text in ("One.", "Two.")
        ]
        both = client.post("/fish/tasks", json={"ids": [*ids, "none"], "action": "retrieve_batch"}).json()
        assert ([item["id"] for item in both["items"]], both["count"]) == (ids, 2)
        none = other.post("/fish/tasks", json={"ids": ids, "action": "retrieve_batch"}).json()
        assert none == {"items": [], "count": 0}
        refused = other.post("/fish/tasks", json={"id": ids[0]})
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found")
    for _ in ids:
        listener.wait()


def test_a_wrong_field_is_told_in_pydantics_own_words(gateway: Gateway) -> None:
    """As in the document's example, and in the shape of all other errors beside it."""
    with gateway.client() as client:
        response = client.post("/fish/tts", json={"text": "Hello", "format": "wav"})
    documented = [
        {"type": "literal_error", "loc": ["format"], "msg": "Input should be 'pcm' or 'mp3'", "input": "wav"}
    ]
    answer = response.json()
    assert (response.status_code, answer["status"]) == (400, 400)
    assert orjson.loads(answer["message"]) == documented
    assert answer["error"]["code"] == "token_mismatched"


@pytest.mark.parametrize(
    "body",
    [
        {"text": "Hello"},
        {"text": "", "format": "mp3"},
        {"format": "mp3"},
        {"text": "Hello", "format": "mp3", "latency": ""},
        {"text": "Hello", "format": "mp3", "sample_rate": 22050},
        {"text": "Hello", "format": "mp3", "reference_id": "nobody"},
        {"text": "Hello", "format": "mp3", "callback_url": "ftp://example.com"},
        {"text": "Hello", "format": "mp3", "callback_url": "http://me:secret@example.com"},
        {"text": "Hello", "format": "mp3", "callback_url": "http://no.such.host.invalid/"},
        {"format": "x" * 10_000},
        [1],
    ],
    ids=str,
)
def test_what_is_refused(gateway: Gateway, body: Any) -> None:
    with gateway.client() as client:
        response = client.post("/fish/tts", json=body)
    answer = response.json()
    assert response.status_code == 400
    assert shape({name: answer[name] for name in ERROR}) == shape(ERROR)
    assert answer["error"]["code"] == "token_mismatched"
    assert len(response.content) < 2500


def test_who_may_not(gateway: Gateway) -> None:
    body = {"text": TEXT, "format": "mp3"}
    for key, status, code in (("pf_wrong", 401, "invalid_token"), ("poor", 402, "used_up")):
        with gateway.client(key) as client:
            response = client.post("/fish/tts", json=body)
        assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    with gateway.client("slow") as client:
        first, second = (client.post("/fish/tts", json={"text": "Hi.", "format": "mp3"}) for _ in range(2))
    assert first.status_code == 200
    assert (second.status_code, second.json()["error"]["code"]) == (429, "too_many_requests")
    assert 0 < int(second.headers["retry-after"]) <= 60
    with gateway.client() as client:
        assert shape(client.get("/fish/tts").json()) == shape(ERROR)


def test_a_file_is_for_whoever_has_its_whole_address(gateway: Gateway) -> None:
    with gateway.client() as client:
        url = client.post("/fish/tts", json={"text": "Hello.", "format": "mp3"}).json()["audio_url"]
    parsed = httpx.URL(url)
    part = httpx.get(url, headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, httpx.get(url).content[10:20])
    assert httpx.head(url).headers["content-length"] == str(len(httpx.get(url).content))
    later = str(int(time.time()) + 10_000_000)
    for name, value, status in (
        ("signature", "x", 403),
        ("signature", "é", 403),
        ("expires", later, 403),
        ("expires", "never", 400),
        ("expires", "", 400),
    ):
        assert httpx.get(parsed.copy_set_param(name, value)).status_code == status
    assert httpx.get(parsed.copy_with(path=parsed.path.replace(".mp3", ".wav"))).status_code == 403
    assert httpx.get(parsed.copy_with(path="/files/..%2Fsecret")).status_code in (403, 404)
