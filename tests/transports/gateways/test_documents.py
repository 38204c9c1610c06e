"""Every request of the gateways' documents, and an answer as the document shows it.

``documents/`` holds them as they are printed there, but for what each customer has of their own: ``{voice}`` is
a voice, ``{made}`` the one that was created in the document, ``{recording}`` audio, ``{listener}`` a callback.
"""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.transports.gateways.conftest import Gateway, recording
from tests.transports.listener import Listener

DOCUMENTS = Path(__file__).parent / "documents"


def like(ours: Any, documented: Any) -> bool:
    """Whether an answer has all that the documented one has, of the same types; null may be anything."""
    match documented:
        case None:
            return True
        case _ if ours is None:
            return True
        case dict():
            return isinstance(ours, dict) and all(
                name in ours and like(ours[name], value) for name, value in documented.items()
            )
        case list():
            return isinstance(ours, list) and all(like(one, documented[0]) for one in ours if documented)
        case bool() | str():
            return type(ours) is type(documented)
        case _:
            return isinstance(ours, int | float) and not isinstance(ours, bool)


def send(client: httpx.Client, request: dict[str, Any], own: dict[str, str]) -> httpx.Response:
    text = json.dumps(request)
    for name, value in own.items():
        text = text.replace(f"{{{name}}}", value)
    request = json.loads(text)
    files: list[Any] = [
        ("voices", (f"audio{n}.wav", recording())) for n in range(request.get("recordings", 0))
    ]
    if request.get("audio"):
        files.append(("audio", ("audio.mp3", recording())))
    body: dict[str, Any] = {"json": request["json"]} if "json" in request else {}
    if "form" in request:
        body = {"data": request["form"], "files": files or None}
    headers = request.get("headers")
    return client.request(request.get("method", "POST"), request["path"], headers=headers, **body)


@pytest.mark.parametrize("document", ["acedata", "cloudsway", "yuntts"])
def test_every_example_of_the_document(gateway: Gateway, listener: Listener, document: str) -> None:
    own = {
        "voice": "heart",
        "recording": b64encode(recording()).decode(),
        "listener": listener.url,
    }
    with gateway.client() as client:
        for pair in json.loads((DOCUMENTS / f"{document}.json").read_text()):
            response = send(client, pair["request"], own)
            assert response.status_code == pair.get("status", 200), (pair["name"], response.text)
            if pair["response"] is None:
                continue
            answer = response.json()
            assert like(answer, pair["response"]), (pair["name"], answer)
            own["made"] = answer.get("_id") or answer.get("model_id") or own.get("made", "")
            for address in (answer.get("audio_url"), answer.get("url")):
                assert address is None or httpx.get(address).status_code == 200
            if "callback" in pair:
                assert like(listener.wait(), pair["callback"])


def test_alike_is_no_empty_word() -> None:
    assert like({"a": 1, "b": [{"c": "x"}], "more": 1}, {"a": 2.5, "b": [{"c": ""}]})
    for ours in ({}, {"a": "1"}, {"a": True}, [], 1):
        assert not like(ours, {"a": 1})
    assert not like([{"c": 1}], [{"c": ""}])
