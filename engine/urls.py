"""URLs as they may be shown: in what is logged, told and printed."""

import re

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_IN_TEXT = re.compile(_SCHEME.pattern + r"[^\s'\"<>]+")
_HIDDEN = "***"


def without_secrets(url: str) -> str:
    """A URL with ``***`` for who logs in there, and for its query: either may hold passwords and tokens.

    It need not be a good one, for errors tell of it, too: what could be part of a password counts as one.
    """
    found = _SCHEME.match(url)
    scheme = found[0] if found else ""
    user, at, place = url.removeprefix(scheme).rpartition("@")
    if "?" in user or "#" in user:  # of a password, or of a query that has the @
        return f"{scheme}{_HIDDEN}"
    place, *query = re.split("[?#]", place, maxsplit=1)
    return f"{scheme}{_HIDDEN + at if at else ''}{place}{'?' + _HIDDEN if query else ''}"


def hide_in_urls(text: str) -> str:
    """A text with all of its URLs so."""
    return _IN_TEXT.sub(lambda found: without_secrets(found[0]), text)
