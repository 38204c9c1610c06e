"""Bodies with files, as httpx and others write them, and as nobody should."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from transports.errors import RequestError
from transports.uploads import MAX_FIELDS, MULTIPART, Fields, uploaded

TYPE = "multipart/form-data; boundary=x"


async def read(
    body: bytes, kind: str, use: Callable[[Fields], Awaitable[Any]], *, piece: int = 1 << 16, **options: Any
) -> Any:
    """What ``use`` makes of the fields of a body, which comes in pieces."""
    pieces = [body[at : at + piece] for at in range(0, len(body), piece)] or [b""]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": pieces.pop(0), "more_body": bool(pieces)}

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", kind.encode())]}
    async with uploaded(
        Request(scope, receive), **{"max_files": 3, "max_bytes": 1 << 20, **options}
    ) as fields:
        return await use(fields)


async def form(use: Callable[[Fields], Awaitable[Any]], *, piece: int = 1 << 16, **parts: Any) -> Any:
    request = httpx.Request("POST", "http://x", **parts)
    return await read(request.read(), request.headers["content-type"], use, piece=piece)


@given(st.binary(min_size=1, max_size=3000), st.text(max_size=100), st.integers(1, 4000))
async def test_what_is_sent_arrives(data: bytes, text: str, piece: int) -> None:
    async def use(fields: Fields) -> None:
        assert await fields.content("audio") == data
        assert fields.text("title") == text
        assert fields.flag("flag") is True
        assert fields.text("missing") is fields.file("missing") is fields.flag("missing") is None

    files = [("audio", ("a.wav", data)), ("more", ("b", b"2"))]
    await form(use, piece=piece, data={"title": text, "flag": "True"}, files=files)


async def test_a_map_may_hold_more_than_is_asked_for() -> None:
    async def use(fields: Fields) -> None:
        assert await fields.content("audio") == b"1"
        assert fields.flag("flag") is False
        for wrong in (fields.text, fields.file, fields.flag):
            with pytest.raises(RequestError, match="number: got 5; expected"):
                wrong("number")

    body = ormsgpack.packb({"audio": b"1", "flag": False, "number": 5, "none": None})
    await read(body, "application/msgpack", use, max_in_memory=1000)


async def test_fields_are_checked() -> None:
    async def use(fields: Fields) -> None:
        for ask, says in (
            (lambda: fields.text("texts"), "texts: got 2 of them; expected one"),
            (lambda: fields.flag("flag"), "flag: got 'perhaps'; expected true or false"),
            (lambda: fields.text("audio"), "audio: got a file; expected text"),
            (lambda: fields.file("audio"), "audio: got 2 files; expected one"),
            (lambda: fields.file("flag"), "flag: got 'perhaps'; expected a file"),
        ):
            with pytest.raises(RequestError, match=says):
                ask()
        assert fields.texts("texts") == ["one", "two"]

    files = [("audio", ("a", b"1")), ("audio", ("b", b"2"))]
    await form(use, data={"texts": ["one", "two"], "flag": "perhaps"}, files=files)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "multipart/form-data"),
        (b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n", TYPE),
        (b"--x\r\nA: " + b"b" * 100_000, TYPE),
        (b"--x\r\n" + b"A: b\r\n" * 1000, TYPE),
        (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * (MAX_FIELDS + 1), TYPE),
        (b'--x\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\n1\r\n' * 4, TYPE),
    ],
    ids=range(6),
)
async def test_what_is_no_form_or_too_much_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(RequestError, match="body"):
        await form_of(body, kind)


async def form_of(body: bytes, kind: str, **options: Any) -> None:
    async def use(fields: Fields) -> None:
        assert fields.text("a") is None

    await read(body, kind, use, **options)


async def test_a_body_that_is_too_large_or_of_another_kind_is_refused() -> None:
    with pytest.raises(RequestError, match="body: larger than the limit of 99 bytes") as large:
        await form_of(b"x" * 100, TYPE, max_bytes=99)
    with pytest.raises(RequestError, match="Content-Type: got 'text/plain'; expected multipart") as other:
        await form_of(b"", "text/plain", kinds=(MULTIPART,))
    assert (large.value.status, other.value.status) == (413, 415)
