import hmac
import logging
import re

import pytest

from transports.accounts.auth import HideKeys
from transports.accounts.secret import digest, key_id, matches, new_key


def test_a_key_says_its_id_and_has_a_long_secret() -> None:
    keys = [new_key() for _ in range(100)]
    assert len({key.text for key in keys}) == len({key.id for key in keys}) == 100
    for key in keys:
        assert re.fullmatch(r"pf_[a-z0-9]+_[A-Za-z0-9_-]{43}", key.text)
        assert key_id(key.text) == key.id
        assert matches(key.text, key.digest)
        assert not matches(key.text[:-1], key.digest)
        assert key.text.encode() not in key.digest


@pytest.mark.parametrize(
    "text", ["", "any", "pf_", "pf_abc_def", f"sk_{'a' * 10}_{'b' * 43}", "pf_\N{BLACK HEART SUIT}"]
)
def test_other_texts_are_no_keys(text: str) -> None:
    assert key_id(text) is None


@pytest.mark.parametrize("end", ["\n", " ", "x"])
def test_nothing_follows_a_key(end: str) -> None:
    assert key_id(new_key().text + end) is None


@pytest.mark.parametrize(
    "line",
    [
        "< authorization: Bearer {key}",
        "< Authorization:   bearer   {key}",
        "< authorization: Basic {key}",
        "< Authorization: {key}",
        '127.0.0.1 - "GET /v1/tts/live?token={key} HTTP/1.1" 101',
        '127.0.0.1 - "GET /v1/tts/live?a=b&tok%65n={key} HTTP/1.1" 101',
        "< sec-websocket-protocol: parrotfish, parrotfish.key.{key}",
        "anything with {key} in it",
    ],
)
def test_the_log_has_no_key_wherever_it_stands(line: str) -> None:
    key = new_key().text
    record = logging.LogRecord("uvicorn.error", logging.DEBUG, "", 0, "%s", (line.format(key=key),), None)
    assert HideKeys().filter(record)
    assert key.split("_", 2)[2] not in record.getMessage()
    assert "***" in record.getMessage()


@pytest.mark.parametrize("credentials", ["Basic dXNlcjpwYXNz", "Digest dXNlcjpwYXNz, x=y", "dXNlcjpwYXNz"])
def test_nor_has_it_credentials_that_are_not_ours(credentials: str) -> None:
    record = logging.LogRecord("uvicorn", logging.DEBUG, "", 0, f"< authorization: {credentials}", (), None)
    HideKeys().filter(record)
    assert "dXNlcjpwYXNz" not in record.getMessage()


def test_comparing_takes_as_long_whatever_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = []

    def compare(a: bytes, b: bytes) -> bool:
        compared.append((a, b))
        return real(a, b)

    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", compare)
    key = new_key()
    assert matches(key.text, key.digest)
    assert not matches("any", key.digest)
    assert compared == [(key.digest, key.digest), (digest("any"), key.digest)]
