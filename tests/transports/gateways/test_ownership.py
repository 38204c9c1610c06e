"""Whose voice may be spoken with, over every wire there is, also when the engine has learned it."""

from collections.abc import Callable
from typing import Any

import httpx
import ormsgpack
import pytest
from websockets.sync.client import connect

from tests.transports.gateways.conftest import Gateway, recording

Try = Callable[[Gateway, str, str], bool]
TEXT = "Hello."


def posted(path: str, id_field: str = "reference_id", **body: Any) -> Try:
    """A request that is answered with speech, or refused because of the voice."""

    def attempt(gateway: Gateway, key: str, voice: str) -> bool:
        wanted = [voice, "heart"] if id_field == "reference_ids" else voice
        with gateway.client(key) as client:
            answer = client.post(path, json={id_field.removesuffix("s"): wanted, **body})
        assert answer.is_success or voice in answer.text, answer.text
        return answer.is_success

    return attempt


def live(gateway: Gateway, key: str, voice: str) -> bool:
    url = gateway.running.url.replace("http", "ws") + "/v1/tts/live"
    headers = {"Authorization": f"Bearer {gateway.keys[key]}"}
    with connect(url, additional_headers=headers) as socket:
        request = {"text": TEXT, "reference_id": voice}
        for event in ({"event": "start", "request": request}, {"event": "stop"}):
            socket.send(ormsgpack.packb(event))
        while (told := ormsgpack.unpackb(socket.recv(decode=False)))["event"] != "finish":
            pass
    return bool(told["reason"] == "stop")


WIRES: dict[str, Try] = {
    "fish": posted("/v1/tts", text=TEXT),
    "speakers": posted("/v1/tts", "reference_ids", text=TEXT),
    "timestamps": posted("/v1/tts/stream/with-timestamp", text=TEXT),
    "live": live,
    "openai": posted("/v1/audio/speech", "voice", input=TEXT),
    "yuntts": posted("/api/v1/fish-audio/tts", text=TEXT),
    "a file of yuntts": posted("/api/v1/fish-audio/tts", text=TEXT, stream=False),
    "cloudsway": posted("/v1/ai/any/fishaudio/v1/tts", text=TEXT),
    "acedata": posted("/fish/tts", text=TEXT, format="mp3"),
}


def waits(gateway: Gateway, key: str, voice: str) -> bool:
    """As a task whose callback nobody answers."""
    body = {"text": TEXT, "format": "mp3", "callback_url": "http://127.0.0.1:9/", "reference_id": voice}
    with gateway.client(key) as client:
        return client.post("/fish/tts", json=body).is_success


def whose(gateway: Gateway, voice: str) -> dict[str, tuple[bool, bool]]:
    """For each wire, whether its owner and somebody else may speak with a voice."""
    wires = WIRES | {"a task": waits}
    return {
        name: (attempt(gateway, "rich", voice), attempt(gateway, "other", voice))
        for name, attempt in wires.items()
    }


def test_a_voice_is_its_owner_s_over_every_wire(gateway: Gateway) -> None:
    with gateway.client() as client, gateway.client("other") as other:
        files = {"voices": recording()}
        voice = client.post("/model", data={"title": "Mine", "texts": "ah"}, files=files).json()["_id"]
        one = f"/model/{voice}"

        def until(visibility: str, owner: bool, others: bool) -> None:
            if owner:
                assert client.patch(one, data={"visibility": visibility}).is_success
            assert set(whose(gateway, voice).values()) == {(owner, others)}
            shown = 200 if others else 403 if owner else 404
            for path in (one, f"{one}/samples/0.flac"):
                assert other.get(path).status_code == shown
            for change in (other.patch(one, data={"title": "x"}), other.delete(one)):
                assert change.status_code == (403 if owner else 404)
            listed = other.get("/model", params={"page_size": 100}).json()["items"]
            assert voice not in [item["_id"] for item in listed]

        until("private", owner=True, others=False)
        until("unlist", owner=True, others=True)
        until("private", owner=True, others=False)  # though the engine knows it now
        assert client.delete(one).is_success
        until("gone", owner=False, others=False)


@pytest.mark.parametrize("form", ["{}@1", "{}@2", "{} ", "{}\0", "../{}"])
def test_nothing_like_its_id_is_its_id(gateway: Gateway, form: str) -> None:
    """The engine knows learned voices by names of its own."""
    with gateway.client() as client:
        files = {"voices": recording()}
        voice = client.post("/model", data={"title": "Named", "texts": "ah"}, files=files).json()["_id"]
        assert client.post("/v1/tts", json={"text": TEXT, "reference_id": voice}).is_success
        refused = client.post("/v1/tts", json={"text": TEXT, "reference_id": form.format(voice)})
        assert (refused.status_code, refused.json()["message"][:12]) == (400, "reference_id")
        client.delete(f"/model/{voice}")


async def test_a_voice_that_is_deleted_while_it_speaks_speaks_to_the_end(gateway: Gateway) -> None:
    headers = {"Authorization": f"Bearer {gateway.keys['rich']}"}
    async with httpx.AsyncClient(base_url=gateway.running.url, headers=headers, timeout=60) as client:
        made = await client.post(
            "/model", data={"title": "Brief", "texts": "ah"}, files={"voices": recording()}
        )
        voice = made.json()["_id"]
        body = {"text": "A sentence of some length. " * 20, "reference_id": voice, "format": "pcm"}
        whole = await client.post("/v1/tts", json=body)
        async with client.stream("POST", "/v1/tts", json=body) as response:
            chunks = response.aiter_bytes()
            data = await anext(chunks)
            assert (await client.delete(f"/model/{voice}")).is_success
            data += b"".join([chunk async for chunk in chunks])
        assert len(data) == len(whole.content)
        assert (await client.post("/v1/tts", json=body)).status_code == 400
