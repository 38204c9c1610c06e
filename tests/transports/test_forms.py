"""Form bodies as httpx and others write them, and as nobody should."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transports.errors import RequestError
from transports.forms import MAX_PARTS, Form, parse_form

TYPE = "multipart/form-data; boundary=x"


def sent(**parts: object) -> Form:
    request = httpx.Request("POST", "http://x", **parts)  # type: ignore[arg-type]
    return parse_form(request.read(), request.headers["content-type"])


@given(st.binary(max_size=3000), st.text(max_size=100))
def test_what_is_sent_arrives(data: bytes, text: str) -> None:
    form = sent(
        data={"title": text, "flag": "True"}, files=[("audio", ("a.wav", data)), ("more", ("b", b"2"))]
    )
    assert form.data("audio") == data
    assert form.text("title") == (text or None)
    assert form.flag("flag") is True
    assert form.data("missing") is form.text("missing") is form.flag("missing") is None


def test_parts_of_one_name() -> None:
    form = sent(data={"texts": ["one", "two"]}, files={"x": b"1"})
    assert form.texts("texts") == ["one", "two"]
    with pytest.raises(RequestError, match="texts: got 2"):
        form.text("texts")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "multipart/form-data"),
        (b"nonsense", TYPE),
        (b"--x\r\nContent-Disposition: form-data\r\n\r\n1\r\n--x--\r\n", TYPE),
        (b"--x\r\nA: " + b"b" * 100_000, TYPE),
        (b"--x\r\n" + b"A: b\r\n" * 1000, TYPE),
    ],
)
def test_what_is_no_form_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(RequestError, match="body"):
        parse_form(body, kind)


def test_parts_without_end_are_refused() -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
    with pytest.raises(RequestError, match=f"more than {MAX_PARTS} parts") as refused:
        parse_form(part * (MAX_PARTS + 1) + b"--x--\r\n", TYPE)
    assert refused.value.status == 413


def test_another_kind_is_refused() -> None:
    with pytest.raises(RequestError, match="Content-Type: got 'text/plain'"):
        parse_form(b"", "text/plain")


def test_flags_and_texts_are_checked() -> None:
    form = sent(files={"flag": b"perhaps", "text": b"\xff"})
    with pytest.raises(RequestError, match="flag: got 'perhaps'; expected true or false"):
        form.flag("flag")
    with pytest.raises(RequestError, match=r"text: .*UTF-8"):
        form.text("text")
