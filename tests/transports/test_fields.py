"""How much may be in a body: the same for JSON and msgpack, at every address."""

from typing import Any

import httpx
import orjson
import ormsgpack
import pytest
from websockets.asyncio.client import connect

from tests.transports.conftest import Running
from transports.errors import RequestError
from transports.fields import LARGE_BYTES, MAX_DEPTH, MAX_VALUES, decode

KINDS = [("application/json", orjson.dumps), ("application/msgpack", ormsgpack.packb)]
JSON_ROUTES = [
    ("POST", "/v1/tts"),
    ("POST", "/v1/tts/stream/with-timestamp"),
    ("POST", "/v1/ai/any/fishaudio/v1/tts"),
    ("POST", "/v1/audio/speech"),
    ("POST", "/compat/v1/audio/speech"),
    ("POST", "/fish/tts"),
    ("POST", "/fish/tasks"),
    ("POST", "/api/v1/fish-audio/tts"),
    ("POST", "/model"),
    ("PATCH", f"/model/{'0' * 32}"),
    ("POST", "/api/v1/fish-audio/model"),
    ("PATCH", f"/api/v1/fish-audio/model/update?model_id={'0' * 32}"),
]


def nested(levels: int) -> Any:
    value: Any = 0
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(("kind", "pack"), KINDS)
def test_values_are_counted_where_they_are_many(kind: str, pack: Any) -> None:
    text = "x" * LARGE_BYTES
    most = [text, *[0] * (MAX_VALUES - 2)]
    assert decode(pack(most), kind) == most
    with pytest.raises(RequestError, match=f"body: more than {MAX_VALUES} values in") as refused:
        decode(pack([*most, 0]), kind)
    assert refused.value.status == 413


@pytest.mark.parametrize(("kind", "pack"), KINDS)
def test_depth_has_an_end(kind: str, pack: Any) -> None:
    assert decode(pack(nested(MAX_DEPTH)), kind) == nested(MAX_DEPTH)
    with pytest.raises(RequestError, match=f"body: lists and maps more than {MAX_DEPTH} deep"):
        decode(pack(nested(MAX_DEPTH + 1)), kind)


@pytest.mark.parametrize(("kind", "deep"), [(KINDS[0][0], b"["), (KINDS[1][0], b"\x91")])
def test_what_no_decoder_would_take_is_refused(kind: str, deep: bytes) -> None:
    for levels in (1_000, 5_000):
        with pytest.raises(RequestError, match="body"):
            decode(deep * levels, kind)


@pytest.mark.parametrize(("method", "path"), JSON_ROUTES)
def test_every_address_has_these_limits(server: Running, method: str, path: str) -> None:
    headers = {"Content-Type": "application/json"}
    deep = b'{"features":' + b"[" * 200 + b"]" * 200 + b"}"
    many = b'{"features":[' + b"[]," * 30_000 + b"[]]}"
    with httpx.Client(base_url=server.url, headers=headers, trust_env=False) as client:
        answer = client.request(method, path, content=many)
        assert answer.status_code == 413
        assert f"more than {MAX_VALUES} values" in answer.text
        answer = client.request(method, path, content=deep)
        assert answer.status_code == 400
        assert f"more than {MAX_DEPTH} deep" in answer.text


async def test_the_socket_for_recognition_has_them_too(server: Running) -> None:
    async with connect(server.live.replace("tts/live", "asr/realtime"), proxy=None) as socket:
        await socket.send('{"type":[' + "[]," * 30_000 + "[]]}")
        assert f"more than {MAX_VALUES} values" in str(await socket.recv())
