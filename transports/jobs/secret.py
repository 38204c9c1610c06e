"""The server's own secret, with which it signs the addresses of files."""

import base64
import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from transports.store import StoreError

ENVIRONMENT = "PARROTFISH_SECRET"
_BYTES = 32
_LEAST_CHARACTERS = 32
_PLACEHOLDER = "change-me"  # of examples


class Signer:
    """Signs, and knows its own signatures."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def sign(self, *parts: str | int) -> str:
        """The signature of these parts, which hold no line break; fit for an address."""
        message = "\n".join(map(str, parts)).encode()
        digest = hmac.digest(self._secret, message, "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()

    def knows(self, signature: str, *parts: str | int) -> bool:
        """Whether the signature is that of these parts."""
        return hmac.compare_digest(signature.encode(), self.sign(*parts).encode())


def load_secret(data: Path) -> bytes:
    """The secret of the environment, which several servers can share, or else that of the data folder.

    There it is made on the first call, readable to its owner only. Raises :class:`StoreError`.
    """
    if given := os.environ.get(ENVIRONMENT):
        _check(given)
        return hashlib.sha256(given.encode()).digest()
    path = data / "secret"
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileExistsError):
            _create(path)
        secret = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}; expected a file that can be read and written") from None
    if len(secret) != _BYTES:
        raise StoreError(f"{path}: got {len(secret)} bytes; expected {_BYTES}. Delete it to have a new one")
    return secret


def _check(given: str) -> None:
    """Refuse what can be guessed, which anybody can try out on one signed address and then sign all others."""
    got = f"{len(given)} characters" if len(given) < _LEAST_CHARACTERS else ""
    if _PLACEHOLDER in given.lower():
        got = "the placeholder of an example"
    if got:
        raise StoreError(
            f"{ENVIRONMENT}: got {got}; expected at least {_LEAST_CHARACTERS} characters that nobody can guess, "
            "such as openssl rand -base64 32 prints"
        )


def _create(path: Path) -> None:
    """Write it under its name at once, so that another process never reads half of it."""
    part = path.with_name(f".secret.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(_BYTES))
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(part)
    finally:
        part.unlink(missing_ok=True)
