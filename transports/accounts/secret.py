"""API keys as text: ``pf_<id>_<secret>``.

A secret has 256 random bits. Nobody can guess one or search for it, so a plain SHA-256 keeps it as well as a
slow password hash would, and costs a microsecond for each request. The id is no secret: it names the key in
lists, logs and messages.
"""

import hashlib
import hmac
import re
import secrets
from typing import NamedTuple

ID_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"  # none that is taken for another
ID_LENGTH = 10
SECRET_BYTES = 32
_KEY = re.compile(rf"pf_([{ID_LETTERS}]{{{ID_LENGTH}}})_[A-Za-z0-9_-]{{43}}")


class NewKey(NamedTuple):
    """A key that has just been made: the only time that its text is known to us."""

    id: str
    text: str
    digest: bytes


def new_key() -> NewKey:
    """A key that nobody has had before."""
    name = "".join(secrets.choice(ID_LETTERS) for _ in range(ID_LENGTH))
    text = f"pf_{name}_{secrets.token_urlsafe(SECRET_BYTES)}"
    return NewKey(name, text, digest(text))


def key_id(text: str) -> str | None:
    """The id in a key's text; None if that is not one of our keys."""
    found = _KEY.fullmatch(text)
    return found[1] if found else None


def digest(text: str) -> bytes:
    """What is stored of a key."""
    return hashlib.sha256(text.encode()).digest()


def matches(text: str, stored: bytes) -> bool:
    """Whether it is the key; takes as long either way."""
    return hmac.compare_digest(digest(text), stored)
