"""Session descriptions: an offer checked, an answer completed, a fragment with candidates read. No I/O."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from aiortc import RTCIceCandidate
from aiortc.sdp import SessionDescription, candidate_from_sdp

from transports.errors import RequestError

MAX_SECTIONS = 4
MAX_LINES = 2000
_BROADCAST = ip_address("255.255.255.255")
_FINGERPRINTS = ("sha-256", "sha-384", "sha-512")
_OPUS = re.compile(r"(?m)^a=rtpmap:(\d+) opus/48000/2\r$")
_CANDIDATES = re.compile(r"(?m)^a=(?:candidate:.*|end-of-candidates)\r?\n?")
# What we like to receive: mono, and silence as packets, so that a pause is heard to be one.
_LIKED = "stereo=0;sprop-stereo=0;usedtx=0"


@dataclass(frozen=True, slots=True)
class Offer:
    """What a client offers: ``sdp`` is without its candidates, which may take time to be resolved.

    ``sends`` and ``receives`` are for its audio, ``ufrag`` names its ICE session.
    """

    sdp: str
    sends: bool
    receives: bool
    has_channel: bool
    ufrag: str
    candidates: tuple[RTCIceCandidate, ...]


@dataclass(frozen=True, slots=True)
class Fragment:
    """More candidates of a client, and its ICE session if they name one."""

    ufrag: str | None
    candidates: tuple[RTCIceCandidate, ...]


def read_offer(text: str, max_candidates: int) -> Offer:
    """Raises :class:`RequestError` for an offer that cannot be answered."""
    if text.count("\n") > MAX_LINES:
        raise _bad(f"got {text.count(chr(10))} lines; expected at most {MAX_LINES}", 413)
    try:
        description = SessionDescription.parse(text)
    except Exception:  # the parser asserts, indexes and converts as it goes
        raise _bad("not a session description (RFC 8866)") from None
    sections = description.media
    if not 0 < len(sections) <= MAX_SECTIONS:
        raise _bad(f"got {len(sections)} media sections; expected 1 to {MAX_SECTIONS}")
    for number, section in enumerate(sections):
        _check_section(section, f"media section {number}")
    audio = [section for section in sections if section.kind == "audio"]
    channels = [section for section in sections if section.kind == "application"]
    if len(audio) != 1:
        raise _bad(f"got {len(audio)} audio sections; expected one")
    if len(channels) > 1:
        raise _bad(f"got {len(channels)} sections for data channels; expected at most one")
    if not any(codec.mimeType.lower() == "audio/opus" for codec in audio[0].rtp.codecs):
        raise _bad("the audio section has no Opus, which is what is spoken here")
    mids = [section.rtp.muxId for section in sections]
    if len(set(mids)) != len(mids):
        raise _bad("two media sections have the same mid")
    bundled = next((group.items for group in description.group if group.semantic == "BUNDLE"), [])
    if len(sections) > 1 and set(bundled) != set(mids):
        raise _bad("its media sections are not all in one BUNDLE group")
    ice = sections[0].ice
    assert ice is not None
    assert ice.usernameFragment is not None
    candidates = tuple(
        _placed(candidate, section.rtp.muxId) for section in sections for candidate in section.ice_candidates
    )
    _check_count(candidates, max_candidates, "offer")
    direction = audio[0].direction or "sendrecv"
    return Offer(
        sdp=_CANDIDATES.sub("", text),
        sends=direction in ("sendrecv", "sendonly"),
        receives=direction in ("sendrecv", "recvonly"),
        has_channel=bool(channels),
        ufrag=ice.usernameFragment,
        candidates=_usable(candidates),
    )


def complete_answer(sdp: str) -> str:
    """Our answer, with how we like to be spoken to."""
    return _OPUS.sub(lambda found: f"{found[0]}\na=fmtp:{found[1]} {_LIKED}\r", sdp)


def read_fragment(text: str, max_candidates: int) -> Fragment:
    """A body of type application/trickle-ice-sdpfrag (RFC 8840). Raises :class:`RequestError`."""
    mid: str | None = None
    ufrag: str | None = None
    candidates = []
    lines = text.splitlines()
    if len(lines) > MAX_LINES:
        raise RequestError(f"fragment: got {len(lines)} lines; expected at most {MAX_LINES}", 413)
    for line in lines:
        name, _, value = line.strip().partition(":")
        match name:
            case "a=ice-ufrag":
                ufrag = value
            case "a=mid":
                mid = value
            case "a=candidate":
                try:
                    candidate = candidate_from_sdp(value)
                except (AssertionError, ValueError, IndexError):
                    raise RequestError(
                        f"fragment: got {line[:100]!r}; expected a candidate (RFC 8839, section 5.1)"
                    ) from None
                if mid is None:
                    raise RequestError("fragment: got a candidate before any a=mid line")
                candidates.append(_placed(candidate, mid))
            case _:
                pass
    _check_count(candidates, max_candidates, "fragment")
    return Fragment(ufrag, _usable(candidates))


def _check_section(section: Any, where: str) -> None:
    if section.kind not in ("audio", "video", "application"):
        raise _bad(f"{where}: got {section.kind[:40]!r}; expected audio, video or application")
    if not section.rtp.muxId:
        raise _bad(f"{where}: no a=mid")
    if section.kind != "application" and not section.rtcp_mux:
        raise _bad(f"{where}: no a=rtcp-mux; RTP and RTCP share a port here")
    if section.kind == "application" and section.sctp_port is None:
        raise _bad(f"{where}: no a=sctp-port")
    if not section.ice.usernameFragment or not section.ice.password:
        raise _bad(f"{where}: no a=ice-ufrag, or no a=ice-pwd")
    if section.dtls is None:
        raise _bad(f"{where}: no a=setup")
    if not any(print_.algorithm.lower() in _FINGERPRINTS for print_ in section.dtls.fingerprints):
        raise _bad(f"{where}: no a=fingerprint with one of {', '.join(_FINGERPRINTS)}")


def _placed(candidate: RTCIceCandidate, mid: str) -> RTCIceCandidate:
    candidate.sdpMid = mid
    return candidate


def _check_count(candidates: Sequence[RTCIceCandidate], most: int, where: str) -> None:
    if len(candidates) > most:
        raise RequestError(f"{where}: got {len(candidates)} candidates; expected at most {most}", 413)


def _usable(candidates: Iterable[RTCIceCandidate]) -> tuple[RTCIceCandidate, ...]:
    """Those that we could reach: UDP, RTP's component, a real port. Bundled sections repeat the same ones."""
    usable: dict[tuple[str, int], RTCIceCandidate] = {}
    for candidate in candidates:
        udp = candidate.protocol.lower() == "udp" and candidate.component == 1
        if udp and 0 < candidate.port < 65536 and _is_one_host(candidate.ip):
            usable.setdefault((candidate.ip, candidate.port), candidate)
    return tuple(usable.values())


def _is_one_host(ip: str) -> bool:
    """Whether packets to this address, or name of mDNS, go to no more than one machine."""
    try:
        address = ip_address(ip)
    except ValueError:
        return ip.endswith(".local")
    mapped = getattr(address, "ipv4_mapped", None) or address
    return not (mapped.is_multicast or mapped.is_unspecified or mapped == _BROADCAST)


def _bad(reason: str, status: int = 400) -> RequestError:
    return RequestError(f"offer: {reason}", status)
