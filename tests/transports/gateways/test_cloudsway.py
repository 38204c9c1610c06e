"""CloudsWay's dialect against the requests and answers of its document."""

from typing import Any

import httpx
import ormsgpack
import pytest

from engine.audio import decode
from tests.hearing import transcribe, word_error_rate
from tests.transports.gateways.conftest import TEXT, Gateway, recording

# The document's request, but for the id of the voice.
DOCUMENTED = {
    "text": "Hello! Welcome to Fish Audio.",
    "reference_id": "heart",
    "temperature": 0.7,
    "top_p": 0.7,
    "prosody": {"speed": 1, "volume": 0, "normalize_loudness": True},
    "chunk_length": 300,
    "normalize": True,
    "format": "mp3",
    "sample_rate": 44100,
    "mp3_bitrate": 128,
    "latency": "normal",
    "max_new_tokens": 1024,
    "repetition_penalty": 1.2,
    "min_chunk_length": 50,
    "condition_on_previous_chunks": True,
    "early_stop_threshold": 1,
}
# The answers' fields, as it lists them.
VOICE = set(
    "_id type title description cover_image train_mode state tags samples created_at updated_at languages "
    "visibility lock_visibility dmca_taken_down default_text quality like_count mark_count shared_count "
    "task_count unliked liked marked author".split()
)


def path(end: str) -> str:
    return f"/v1/ai/AnyEndpoint/fishaudio{end}"


@pytest.mark.parametrize("kind", ["json", "msgpack"])
def test_speech(gateway: Gateway, kind: str) -> None:
    body: dict[str, Any] = {"json": DOCUMENTED}
    if kind == "msgpack":
        body = {
            "content": ormsgpack.packb(DOCUMENTED),
            "headers": {"content-type": "application/msgpack"},
        }
    with gateway.client() as client:
        response = client.post(path("/v1/tts"), **body)
    assert response.headers["content-type"] == "audio/mpeg"
    assert word_error_rate("Hello! Welcome to Fish Audio.", transcribe(*decode(response.content))) <= 0.35


def test_prosody_may_be_written_as_its_table_says(gateway: Gateway) -> None:
    lengths = []
    with gateway.client() as client:
        for speed in ("1.0", "2.0"):
            prosody = {"speed": speed, "normalize_loudness": "true"}
            body = {"text": TEXT, "format": "wav", "prosody": prosody}
            response = client.post(path("/v1/tts"), json=body)
            assert response.status_code == 200, response.text
            lengths.append(len(decode(response.content)[0]))
        assert lengths[1] < 0.7 * lengths[0]
        for wrong in ({"speed": "fast"}, {"speed": "nan"}, {"speed": "9"}, {"normalize_loudness": "perhaps"}):
            response = client.post(path("/v1/tts"), json={"text": TEXT, "prosody": wrong})
            assert response.status_code == 400
            assert f"prosody.{next(iter(wrong))}: got" in response.json()["message"]


def spoken(client: httpx.Client) -> bytes:
    return client.post(path("/v1/tts"), json={"text": TEXT, "format": "wav"}).content


def test_recognition(gateway: Gateway) -> None:
    with gateway.client() as client:
        audio = spoken(client)
        form = client.post(
            path("/v1/asr"), files={"audio": audio}, data={"language": "en", "ignore_timestamps": "false"}
        ).json()
        packed = client.post(
            path("/asr"),
            content=ormsgpack.packb({"audio": audio, "ignore_timestamps": False}),
            headers={"content-type": "application/msgpack"},
        ).json()
    assert form == packed
    assert set(form) == {"text", "duration", "segments"}
    assert word_error_rate(TEXT, form["text"]) <= 0.15
    assert form["duration"] == pytest.approx(len(decode(audio)[0]) / 44_100, abs=0.01)
    assert set(form["segments"][0]) == {"text", "start", "end"}
    assert form["segments"][-1]["end"] <= form["duration"] + 0.1


def test_voices(gateway: Gateway) -> None:
    data = {
        "type": "tts",
        "title": "我的声音模型",
        "train_mode": "fast",
        "texts": ["这是第一段音频的文本", "这是第二段音频的文本"],
        "visibility": "private",
        "tags": '["中文","女声"]',
        "enhance_audio_quality": "true",
    }
    files = [("voices", ("audio1.wav", recording())), ("voices", ("audio2.wav", recording()))]
    with gateway.client() as client:
        made = client.post(path("/model"), data=data, files=files)
        assert made.is_success, made.text
        voice = made.json()
        assert set(voice) >= VOICE
        assert (voice["title"], voice["tags"], voice["visibility"]) == (
            data["title"],
            ["中文", "女声"],
            "private",
        )
        one = path(f"/model/{voice['_id']}")
        found = client.get(
            path("/model"),
            params={"page_size": 10, "page_number": 1, "sort_by": "created_at", "self": "true"},
        ).json()
        assert set(found) == {"total", "items", "has_more"}
        assert voice["_id"] in [item["_id"] for item in found["items"]]
        assert set(client.get(one).json()) >= VOICE
        assert client.patch(one, files={"visibility": (None, "unlist")}).status_code == 200
        assert client.get(one).json()["visibility"] == "unlist"
        assert client.delete(one).status_code == 200
        assert client.get(one).status_code == 404


def test_who_may_not(gateway: Gateway) -> None:
    for key, status in (("pf_wrong", 401), ("poor", 402)):
        with gateway.client(key) as client:
            response = client.post(path("/v1/tts"), json={"text": TEXT})
        assert (response.status_code, response.json()["status"]) == (status, status)
