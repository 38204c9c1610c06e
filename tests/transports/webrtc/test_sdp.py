"""Offers, answers and fragments, as text."""

import pytest

from transports.errors import RequestError
from transports.webrtc.sdp import complete_answer, read_fragment, read_offer

FINGERPRINT = "a=fingerprint:sha-256 " + ":".join(["AB"] * 32)
SESSION = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=group:BUNDLE 0 1"]
TRANSPORT = ["a=ice-ufrag:abcd", "a=ice-pwd:0123456789012345678901", FINGERPRINT, "a=setup:actpass"]
AUDIO = [
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 0",
    "c=IN IP4 0.0.0.0",
    "a=mid:0",
    "a=sendrecv",
    "a=rtcp-mux",
    "a=rtpmap:111 opus/48000/2",
    "a=fmtp:111 minptime=10;useinbandfec=1",
    "a=rtpmap:0 PCMU/8000",
    *TRANSPORT,
]
CHANNEL = [
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "c=IN IP4 0.0.0.0",
    "a=mid:1",
    "a=sctp-port:5000",
    *TRANSPORT,
]
CANDIDATE = "candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host"


def sdp(*lines: str) -> str:
    return "\r\n".join([*lines, ""])


def offer(*, without: str = "", instead: tuple[str, str] = ("", "")) -> str:
    lines = [line for line in [*SESSION, *AUDIO, *CHANNEL] if not without or not line.startswith(without)]
    return sdp(*(instead[1] if line == instead[0] else line for line in lines))


@pytest.mark.parametrize(
    ("direction", "sends", "receives"),
    [
        ("sendrecv", True, True),
        ("sendonly", True, False),
        ("recvonly", False, True),
        ("inactive", False, False),
    ],
)
def test_an_offers_direction_says_who_speaks(direction: str, sends: bool, receives: bool) -> None:
    found = read_offer(offer(instead=("a=sendrecv", f"a={direction}")), 10)
    assert (found.sends, found.receives, found.has_channel, found.ufrag) == (sends, receives, True, "abcd")


def test_candidates_are_taken_out_and_each_counts_once() -> None:
    lines = [*SESSION, *AUDIO, f"a={CANDIDATE}", "a=end-of-candidates", *CHANNEL, f"a={CANDIDATE}"]
    found = read_offer(sdp(*lines), 10)
    assert [(one.ip, one.port, one.sdpMid) for one in found.candidates] == [("192.0.2.7", 50000, "0")]
    assert "candidate" not in found.sdp
    assert found.sdp == sdp(*SESSION, *AUDIO, *CHANNEL)


@pytest.mark.parametrize(
    "candidate",
    [
        "candidate:1 1 tcp 1 192.0.2.7 9 typ host tcptype active",
        "candidate:1 2 udp 1 192.0.2.7 50001 typ host",
        "candidate:1 1 udp 1 192.0.2.7 0 typ host",
        "candidate:1 1 udp 1 192.0.2.7 70000 typ host",
    ],
)
def test_a_candidate_that_cannot_be_used_is_left_out(candidate: str) -> None:
    assert read_fragment(sdp("a=mid:0", f"a={candidate}"), 10).candidates == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "media sections"),
        ("hello", "media sections"),
        (sdp(*SESSION, "m=audio"), "not a session description"),
        (offer(without="a=mid:0"), "no a=mid"),
        (offer(without="a=rtcp-mux"), "no a=rtcp-mux"),
        (offer(without="a=ice-pwd"), "no a=ice-ufrag, or no a=ice-pwd"),
        (offer(without="a=setup"), "no a=setup"),
        (offer(without="a=fingerprint"), "no a=fingerprint"),
        (offer(without="a=sctp-port"), "no a=sctp-port"),
        (offer(without="a=group"), "BUNDLE"),
        (offer(instead=("a=mid:1", "a=mid:0")), "the same mid"),
        (offer(instead=("a=rtpmap:111 opus/48000/2", "a=rtpmap:111 L16/48000/2")), "no Opus"),
        (sdp(*SESSION, *CHANNEL), "BUNDLE|audio"),
        (sdp(*SESSION, *AUDIO, *AUDIO), "audio sections"),
        (sdp(*SESSION, *AUDIO * 5), "media sections"),
        (sdp(*SESSION, *["a=x"] * 3000), "lines"),
    ],
)
def test_an_offer_that_cannot_be_answered_is_refused_by_name(text: str, reason: str) -> None:
    with pytest.raises(RequestError, match=reason) as refused:
        read_offer(text, 10)
    assert refused.value.status in (400, 413)


@pytest.mark.parametrize(
    ("ip", "count"),
    [
        ("10.0.0.7", 1),
        ("fe80::1", 1),
        ("6c1f4d53-1f0b-4f0e-9c54-b6bd3a1b2c3d.local", 1),
        ("224.0.0.251", 0),
        ("ff02::1", 0),
        ("255.255.255.255", 0),
        ("0.0.0.0", 0),
        ("::", 0),
        ("::ffff:224.0.0.1", 0),
        ("inside.example.com", 0),
    ],
)
def test_nobody_has_packets_sent_to_many_or_to_a_name(ip: str, count: int) -> None:
    fragment = sdp("a=mid:0", f"a=candidate:1 1 udp 1 {ip} 5000 typ host")
    assert len(read_fragment(fragment, 10).candidates) == count


def test_too_many_candidates_are_refused() -> None:
    lines = [f"a=candidate:1 1 udp 1 192.0.2.7 {port} typ host" for port in range(1000, 1011)]
    with pytest.raises(RequestError, match="got 11 candidates; expected at most 10") as refused:
        read_fragment(sdp("a=mid:0", *lines), 10)
    assert refused.value.status == 413


def test_a_fragment_is_read_as_browsers_write_it() -> None:
    text = sdp(
        "a=ice-ufrag:abcd",
        "a=ice-pwd:x",
        "m=audio 9 RTP/AVP 0",
        "a=mid:0",
        f"a={CANDIDATE}",
        "a=end-of-candidates",
    )
    found = read_fragment(text, 10)
    assert found.ufrag == "abcd"
    assert [(one.ip, one.sdpMid) for one in found.candidates] == [("192.0.2.7", "0")]


@pytest.mark.parametrize(
    "line", ["a=candidate:", "a=candidate:1 1 udp", "a=candidate:1 x udp 1 a 1 typ host"]
)
def test_a_broken_candidate_is_refused(line: str) -> None:
    with pytest.raises(RequestError, match="expected a candidate"):
        read_fragment(sdp("a=mid:0", line), 10)


def test_the_answer_asks_for_mono() -> None:
    answer = complete_answer(sdp("m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=rtpmap:111 opus/48000/2", "a=x"))
    assert answer.splitlines()[2] == "a=fmtp:111 stereo=0;sprop-stereo=0;usedtx=0"
    assert answer.count("\r\n") == answer.count("\n")
