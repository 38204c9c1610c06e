"""yuntts' dialect against the requests, answers and codes of its document."""

from base64 import b64encode
from typing import Any

import httpx
import orjson
import ormsgpack
import pytest

from engine.audio import decode
from tests.hearing import transcribe, word_error_rate
from tests.transports.gateways.conftest import TEXT, Gateway, recording
from transports.errors import Failure
from transports.gateways.yuntts import tell

BASE = "/api/v1/fish-audio"
CREATED = set(
    "model_id title description state visibility train_mode cover_image samples reference_id message".split()
)
ITEM = set(
    "_id title description cover_image state tags created_at updated_at visibility like_count mark_count "
    "shared_count task_count train_mode samples languages voice_source author is_own".split()
)
UPDATED = {"model_id", "title", "description", "visibility", "cover_image", "message"}


def told(response: httpx.Response) -> tuple[int, str]:
    """Status and code of an error, which has the shape of all."""
    answer = response.json()
    assert set(answer) == {"code", "message", "data"}
    assert answer["data"] == {"status": response.status_code}
    return response.status_code, answer["code"]


@pytest.mark.parametrize(
    ("format_", "mime"),
    [("mp3", "audio/mpeg"), ("wav", "audio/wav"), ("pcm", "audio/pcm"), ("opus", "audio/opus")],
)
def test_streamed(gateway: Gateway, format_: str, mime: str) -> None:
    with gateway.client() as client:
        response = client.post(f"{BASE}/tts", json={"text": TEXT, "reference_id": "heart", "format": format_})
    assert response.headers["content-type"] == mime
    assert response.headers["x-characters"] == str(len(TEXT))
    assert float(response.headers["x-cost"]) == pytest.approx(15e-6 * len(TEXT), abs=1e-6)
    assert response.headers["x-task-id"].startswith("fishaudio_")
    if format_ != "pcm":
        assert word_error_rate(TEXT, transcribe(*decode(response.content))) <= 0.3


def test_as_a_file(gateway: Gateway) -> None:
    with gateway.client() as client:
        body = {"text": "你好,hello.", "reference_id": "heart", "stream": False}
        answer = client.post(f"{BASE}/tts", json=body, headers={"model": "s1"}).json()
    assert set(answer) == {"url", "chars", "cost", "task_id"}
    assert answer["chars"] == 9
    assert answer["cost"] > 0
    assert len(decode(httpx.get(answer["url"]).content)[0]) > 10_000


def test_several_speakers_and_recordings(gateway: Gateway) -> None:
    text = f"<|speaker:0|>{TEXT}<|speaker:1|>{TEXT}"
    reference = {"audio": b64encode(recording()).decode(), "text": "ah"}
    raw = {"audio": recording(), "text": "ah"}
    with gateway.client() as client:
        for body in ({"reference_id": ["heart", "otto"]}, {"references": [reference]}):
            response = client.post(f"{BASE}/tts", json={"text": text, "format": "wav", **body})
            assert word_error_rate(f"{TEXT} {TEXT}", transcribe(*decode(response.content))) <= 0.3
        response = client.post(
            f"{BASE}/tts",
            content=ormsgpack.packb({"text": TEXT, "references": [raw]}),
            headers={"content-type": "application/msgpack"},
        )
        assert response.status_code == 200


@pytest.mark.parametrize(
    ("body", "headers", "code"),
    [
        ({"reference_id": "heart"}, {}, (400, "missing_text")),
        ({"text": "", "reference_id": "heart"}, {}, (400, "missing_text")),
        ({"text": "Hello"}, {}, (400, "missing_reference")),
        ({"text": "Hello", "reference_id": "heart"}, {"model": "s9"}, (400, "invalid_model")),
        ({"text": "Hello", "reference_id": "heart", "format": "ogg"}, {}, (400, "invalid_format")),
        ({"text": "Hello", "reference_id": "nobody"}, {}, (404, "model_not_found")),
        ({"text": "Hello", "reference_id": "heart", "top_p": 2}, {}, (400, "invalid_params")),
        ({"text": 5, "reference_id": "heart"}, {}, (400, "invalid_params")),
        ({"text": "x" * 1_000_001, "reference_id": "heart"}, {}, (413, "invalid_params")),
    ],
)
def test_codes(gateway: Gateway, body: Any, headers: Any, code: tuple[int, str]) -> None:
    with gateway.client() as client:
        assert told(client.post(f"{BASE}/tts", json=body, headers=headers)) == code


def test_who_may_not(gateway: Gateway) -> None:
    body = {"text": TEXT, "reference_id": "heart"}
    with gateway.client("pf_wrong") as client:
        assert told(client.post(f"{BASE}/tts", json=body)) == (401, "unauthorized")
    with gateway.client("poor") as client:
        assert told(client.post(f"{BASE}/tts", json=body)) == (402, "insufficient_balance")
        assert told(client.get(f"{BASE}/tts")) == (405, "method_not_allowed")


def test_a_voice_that_is_not_ready_yet_is_not_gone() -> None:
    waiting = Failure("reference_id: 'x' is still being trained", 503, {"Retry-After": "5"}, "reference_id")
    answer = tell(waiting)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert orjson.loads(answer.body)["code"] == "internal_error"


def made(client: httpx.Client, **data: str) -> httpx.Response:
    files = {"voices": ("../../etc/passwd", recording())}
    return client.post(f"{BASE}/model", data={"title": "我的音色", **data}, files=files)


def test_the_life_of_a_voice(gateway: Gateway) -> None:
    with gateway.client() as client, gateway.client("other") as other:
        voice = made(client, tags="温柔,女声", texts="你好").json()
        assert set(voice) == CREATED
        assert (voice["model_id"], voice["visibility"]) == (voice["reference_id"], "private")

        listed = client.get(f"{BASE}/model/list", params={"source": "upload", "search": "音色"}).json()
        assert set(listed) == {"total", "items", "has_more"}
        (item,) = (item for item in listed["items"] if item["_id"] == voice["model_id"])
        assert set(item) == ITEM
        assert (item["tags"], item["is_own"], item["voice_source"]) == (["温柔", "女声"], True, "upload")
        assert len(item["samples"]) == 1

        one = {"model_id": voice["model_id"]}
        for method in ("PATCH", "POST"):
            changed = client.request(
                method, f"{BASE}/model/update", params=one, json={"title": f"by {method}", "tags": "a,b"}
            ).json()
            assert set(changed) == UPDATED
            assert changed["title"] == f"by {method}"
        assert told(client.patch(f"{BASE}/model/update", params=one, json={})) == (400, "missing_params")
        assert told(client.patch(f"{BASE}/model/update", json={"title": "x"})) == (400, "missing_params")
        gone = {"model_id": "gone"}
        assert told(client.delete(f"{BASE}/model/delete", params=gone)) == (404, "model_not_found")
        client.patch(f"{BASE}/model/update", params=one, json={"visibility": "unlist"})
        assert told(other.delete(f"{BASE}/model/delete", params=one)) == (403, "permission_denied")
        deleted = client.delete(f"{BASE}/model/delete", params=one).json()
        assert deleted == {"model_id": voice["model_id"], "message": "音色模型删除成功"}
        assert told(client.delete(f"{BASE}/model/delete", params=one)) == (404, "model_not_found")


def test_what_cannot_become_a_voice(gateway: Gateway) -> None:
    def created(data: dict[str, str], *voices: bytes) -> tuple[int, str]:
        files = [("voices", (f"{i}.wav", voice)) for i, voice in enumerate(voices)]
        return told(client.post(f"{BASE}/model", data=data, files=files or {"x": b"x"}))

    title = {"title": "x"}
    with gateway.client() as client:
        assert created({}, recording()) == (400, "missing_title")
        assert created(title) == (400, "missing_audio")
        assert created(title, *[b"x"] * 11) == (400, "too_many_files")
        assert created(title, *[b"x"] * 30) == (400, "too_many_files")
        assert created({"title": " "}, recording()) == (400, "missing_title")
        assert created({"title": "x" * 300}, recording()) == (400, "invalid_params")
        picture = {"cover_image": b"<svg></svg>", "voices": recording()}
        assert told(client.post(f"{BASE}/model", data=title, files=picture)) == (400, "invalid_params")
        assert created(title, b"<svg></svg>") == (400, "invalid_audio_type")
        assert created(title, b"x" * (20 * 1024 * 1024 + 1)) == (400, "audio_too_large")
        assert created({**title, "visibility": "public"}, recording()) == (400, "missing_cover_image")
        assert created({**title, "visibility": "all"}, recording()) == (400, "invalid_visibility")


def test_official_voices_come_first_and_pages_have_no_seam(gateway: Gateway) -> None:
    with gateway.client() as client:
        ids = [made(client, title=f"page {number}").json()["model_id"] for number in range(4)]
        official = client.get(f"{BASE}/model/list", params={"source": "official"}).json()
        assert official["total"] == len(official["items"]) == len(gateway.running.engine.info.voices)
        assert {item["voice_source"] for item in official["items"]} == {"official"}
        whole = client.get(f"{BASE}/model/list", params={"page_size": 100}).json()
        assert whole["total"] == len(whole["items"])
        listed: list[str] = []
        for page in range(1, 100):
            part = client.get(f"{BASE}/model/list", params={"page_size": 4, "page": page}).json()
            listed += [item["_id"] for item in part["items"]]
            if not part["has_more"]:
                break
        assert listed == [item["_id"] for item in whole["items"]]
        assert told(client.get(f"{BASE}/model/list", params={"page_size": 101})) == (400, "invalid_params")
        for id_ in ids:
            client.delete(f"{BASE}/model/delete", params={"model_id": id_})


def test_an_account_has_as_many_voices_as_its_level(gateway: Gateway) -> None:
    with gateway.client("paying") as client:
        ids = [made(client).json()["model_id"] for _ in range(2)]
        assert told(made(client)) == (400, "model_limit_exceeded")
        client.delete(f"{BASE}/model/delete", params={"model_id": ids[0]})
        assert made(client).status_code == 200
