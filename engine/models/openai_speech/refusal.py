"""What an endpoint's refusal means, in words for whoever wanted to hear speech. Sans-I/O."""

from collections.abc import Mapping

import orjson

from engine.errors import SpeechBusy, SpeechError

SHOWN = 300
"""Characters of what the endpoint says of an error."""

BUSY = frozenset({429, 503})
"""Statuses after which the same request may succeed a little later."""

LONGEST_WAIT = 5.0
"""Seconds for which a listener can be kept waiting; an endpoint that wants more is too busy."""


def refusal(status: int, headers: Mapping[str, str], body: bytes, key: str | None) -> SpeechError:
    """The error for an answer that is no speech. The key does not appear in it."""
    said = _words(body)
    if key:
        said = said.replace(key, "***")
    match status:
        case 401 | 403:  # what it says may quote the key, in part
            why = "does not accept the key it was given" if key else "wants a key, and was given none"
            return SpeechError(f"the speech endpoint {why} ({status})")
        case _ if status in BUSY:
            wait = retry_after(headers)
            return SpeechBusy(
                f"the speech endpoint is too busy ({_told(status, said)})", 1.0 if wait is None else wait
            )
        case _ if 300 <= status < 400:
            return SpeechError(
                f"the speech endpoint answered {status}, a redirection, which is not followed; "
                "its URL should be the final one"
            )
        case _:
            return SpeechError(f"the speech endpoint answered {_told(status, said)}")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the endpoint asks to wait for; None if it does not say, or says it as a date."""
    value = headers.get("retry-after", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        return None
    return seconds if 0 <= seconds < 1e6 else None


def _told(status: int, said: str) -> str:
    return f"{status}: {said}" if said else str(status)


def _words(body: bytes) -> str:
    """The message in an error's JSON, whatever its shape; else the beginning of the text."""
    text = body.decode(errors="replace")
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        found = text
    for _ in range(4):  # {"error": {"message": ...}}, {"detail": [{"msg": ...}]}, {"message": ...}
        if isinstance(found, list) and found:
            found = found[0]
        elif isinstance(found, dict):
            names = ("error", "detail", "message", "msg")
            found = next((found[name] for name in names if found.get(name)), text)
    return " ".join(str(found).split())[:SHOWN]
