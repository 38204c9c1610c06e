"""E-mail addresses, URLs and file names."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from realtime.normalizer.draft import Rule, when

# Top-level domains and file types that text has without a scheme; English words are not among them.
_SUFFIXES = (
    "com|org|net|edu|gov|mil|io|dev|ai|app|co|tv|fm|gg|info|biz|xyz|uk|de|fr|es|nl|eu|ca|au|jp|cn|br|ru|ch|se|pl|"
    "html?|php|pdf|txt|md|csv|json|xml|ya?ml|toml|ini|cfg|log|sql|py|js|ts|jsx|tsx|css|cpp|rs|rb|java|sh|exe|zip|gz|"
    "png|jpe?g|gif|svg|mp3|mp4|wav|docx?|xlsx?|pptx?"
)
_LABEL = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}"
_EMAIL = re.compile(
    r"(?<![\w.+-])(?:mailto:)?([\w+-]{1,64}(?:\.[\w+-]{1,64}){0,5}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,5})"
)
_CHAR = r"[^\s<>\"`|\\^{}\[\]*，。、；：！？（）“”‘’\ue000]"
_URL = re.compile(
    rf"(?<![\w@.-])(?:(?:[A-Za-z][A-Za-z0-9+]{{1,9}}://)+|www\.)[^\W_]{_CHAR}{{0,2000}}"
    rf"|(?<![\w@.-]){_LABEL}(?:\.{_LABEL}){{0,4}}\.(?:{_SUFFIXES})(?![\w-])(?:(?::[0-9]{{2,5}})?/{_CHAR}{{0,2000}})?"
)
_SCHEME = re.compile(r"^(?:[A-Za-z][A-Za-z0-9+]{1,9}://|www\.)+")
_TAIL = ".,;:!?'\"_~)-/"
_TOKEN = re.compile(r"[^\W\d_]+|[0-9]+|.", re.DOTALL)
_ESCAPED = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_PORT = re.compile(r":(?=[0-9]{2,5}$)")
# The rest of a long path is for machines: a person would not read it out.
_LONGEST_PATH = 4
_LONGEST_PART = 40


@dataclass(frozen=True, slots=True)
class AddressWords:
    """How a language says an address: its signs, a run of digits, and "port"."""

    signs: Mapping[str, str]
    digits: Callable[[str], str]
    port: str


def address_rules(words: AddressWords | None) -> tuple[Rule, ...]:
    """The rules for a language; None for one whose words we do not know: there a URL only gets shorter."""
    if words is None:
        return when("./", Rule(_URL, _shorten))
    return (
        *when("@", Rule(_EMAIL, lambda match: _spell(match[1], words))),
        *when("./", Rule(_URL, partial(_url, words))),
    )


def _url(words: AddressWords, match: re.Match[str]) -> str:
    (host, *path), tail = _parts(match[0])
    spoken = _spell(_PORT.sub(f" {words.port} ", host), words)
    slash = f" {words.signs['/']} "
    return slash.join([spoken, *(_spell(part, words) for part in path)]) + tail


def _shorten(match: re.Match[str]) -> str:
    parts, tail = _parts(match[0])
    return "/".join(parts) + tail


def _parts(url: str) -> tuple[list[str], str]:
    """The host and the first parts of the path; and the punctuation behind, which is not of the URL."""
    bare = url.rstrip(_TAIL)
    tail = url[len(bare) :].lstrip("_~-/")
    short = _ESCAPED.sub(" ", _SCHEME.sub("", bare).partition("?")[0].partition("#")[0])
    host, *path = [part for part in short.split("/") if part] or [""]
    return [host, *(part for part in path[:_LONGEST_PATH] if len(part) <= _LONGEST_PART)], tail


def _spell(address: str, words: AddressWords) -> str:
    tokens = (
        words.digits(token)
        if "0" <= token[0] <= "9"
        else words.signs.get(token) or (token if token.isalpha() else "")
        for token in _TOKEN.findall(address)
    )
    return " ".join(filter(None, tokens))
