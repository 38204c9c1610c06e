"""The protocols of the providers, from frames as they document them."""

import contextlib
import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transports.telephony.media import (
    Complaint,
    Key,
    MarkBack,
    Media,
    MediaError,
    MediaEvent,
    MediaStream,
    Started,
    Stopped,
)
from transports.telephony.telnyx import TelnyxStream
from transports.telephony.twilio import TwilioStream

FRAMES = Path(__file__).parent / "frames"
Make = Callable[[], MediaStream]
PROVIDERS: dict[str, Make] = {"twilio": TwilioStream, "telnyx": TelnyxStream}


def frames(provider: str) -> list[Any]:
    return [json.loads(line) for line in (FRAMES / f"{provider}.jsonl").read_text().splitlines()]


def replay(stream: MediaStream, messages: list[Any]) -> list[MediaEvent]:
    return [event for message in messages for event in stream.receive(json.dumps(message))]


def begun(provider: str) -> MediaStream:
    stream = PROVIDERS[provider]()
    replay(stream, frames(provider)[:2])
    return stream


def media(stream: MediaStream, chunk: int, data: bytes, **fields: Any) -> list[MediaEvent]:
    audio = {"chunk": str(chunk), "payload": b64encode(data).decode()} | fields
    return stream.receive(json.dumps({"event": "media", "media": audio}))


def test_a_call_over_twilio() -> None:
    events = replay(TwilioStream(), frames("twilio"))
    stream, call = "MZ18ad3ab5a668481ce02b83e7395059f0", "CAb6ce9d5a1c2f4e3b9a7d8c6f5e4d3c2b"
    assert events == [
        Started(stream, call, "mulaw", {"agent": "front desk", "attempt": "2"}),
        Media(b"\xff" * 160),
        Media(bytes(i * 7 % 256 for i in range(160))),
        Key("1"),
        MarkBack("0.1"),
        Stopped(),
    ]


def test_a_call_over_telnyx_whose_frames_overtake_one_another() -> None:
    events = replay(TelnyxStream(), frames("telnyx"))
    call = "v3:T02llQxIyaRkhfRKxgAP8nY511EhFLizdvdUKJiSw8d6A9BborherQ"
    assert events == [
        Started("32de0dea-53cb-4b21-89a4-9e1819c043bc", call, "alaw"),
        Media(b"\xd5" * 160),
        Media(b"\xaa" * 160),
        Media(b"\x2a" * 160),
        Key("#"),
        MarkBack("0.1"),
        Complaint("100003 malformed_frame The frame is malformed"),
        Stopped(),
    ]


def test_what_is_said_to_twilio_names_its_stream() -> None:
    stream, sid = begun("twilio"), "MZ18ad3ab5a668481ce02b83e7395059f0"
    assert json.loads(stream.media(b"\xff\x7f")) == {
        "event": "media",
        "streamSid": sid,
        "media": {"payload": "/38="},
    }
    assert json.loads(stream.mark("0.6")) == {"event": "mark", "streamSid": sid, "mark": {"name": "0.6"}}
    assert json.loads(stream.clear()) == {"event": "clear", "streamSid": sid}


def test_what_is_said_to_telnyx() -> None:
    stream = begun("telnyx")
    assert json.loads(stream.media(b"\xd5")) == {"event": "media", "media": {"payload": "1Q=="}}
    assert json.loads(stream.mark("a")) == {"event": "mark", "mark": {"name": "a"}}
    assert json.loads(stream.clear()) == {"event": "clear"}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_nothing_counts_after_stop(provider: str) -> None:
    stream, messages = PROVIDERS[provider](), frames(provider)
    replay(stream, messages)
    assert replay(stream, messages) == []
    assert stream.receive("what is this") == []


@pytest.mark.parametrize("provider", PROVIDERS)
def test_lost_audio_becomes_as_much_silence(provider: str) -> None:
    stream = begun(provider)
    silence = {"twilio": b"\xff", "telnyx": b"\xd5"}[provider]
    assert media(stream, 1, b"a" * 160) == [Media(b"a" * 160)]
    for chunk in range(4, 8):
        assert media(stream, chunk, b"b" * 160) == []
    events = media(stream, 8, b"c" * 160)
    assert events == [Media(silence * 320), *[Media(b"b" * 160)] * 4, Media(b"c" * 160)]
    assert media(stream, 2, b"late" * 40) == media(stream, 8, b"c" * 160) == []


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_leap_is_not_filled_up_for_ever(provider: str) -> None:
    stream = begun(provider)
    media(stream, 1, b"a" * 160)
    pieces = [event for n in range(5) for event in media(stream, 10**15 + n, b"b" * 160)]
    assert sum(len(piece.data) for piece in pieces if isinstance(piece, Media)) == 8000 + 5 * 160


@pytest.mark.parametrize("provider", PROVIDERS)
def test_long_messages_that_leap_become_no_more_than_a_second_longer(provider: str) -> None:
    stream = begun(provider)
    for n in range(1, 20):
        pieces = [piece.data for piece in media(stream, 1000 * n, b"b" * 8000) if isinstance(piece, Media)]
        assert sum(map(len, pieces)) <= 2 * 8000


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_count_that_begins_anew_is_followed_and_nothing_is_lost(provider: str) -> None:
    stream = begun(provider)
    for chunk in range(1, 100):
        media(stream, chunk, b"a" * 160)
    assert media(stream, 101, b"b" * 160) == []  # it waits for what does not come any more
    events = [event for n in range(1, 200) for event in media(stream, n, bytes([n]) * 160)]
    assert events == [Media(b"b" * 160), *(Media(bytes([n]) * 160) for n in range(1, 200))]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_absurd_number_does_not_make_deaf_to_what_follows(provider: str) -> None:
    stream = begun(provider)
    media(stream, 10**15, b"a" * 160)
    events = [event for n in (1, 3, 2, *range(4, 20)) for event in media(stream, n, bytes([n]))]
    assert events == [Media(bytes([n])) for n in range(1, 20)]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_copies_of_what_was_heard_are_no_other_count(provider: str) -> None:
    stream = begun(provider)
    events = [event for n in range(1, 30) for _ in range(8) for event in media(stream, n, bytes([n]))]
    assert events == [Media(bytes([n])) for n in range(1, 30)]


@settings(deadline=None)
@given(st.permutations(range(5)))
def test_neighbours_in_any_order_are_put_in_theirs(order: list[int]) -> None:
    stream = begun("telnyx")
    media(stream, 0, b"\0")
    events = [event for n in order for event in media(stream, n + 1, bytes([n + 1]))]
    assert events == [Media(bytes([n])) for n in range(1, 6)]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_we_say_ourselves_and_new_events_are_ignored(provider: str) -> None:
    stream = begun(provider)
    assert media(stream, 1, b"a", track="outbound") == []
    assert stream.receive('{"event": "weather", "forecast": "rain"}') == []
    assert stream.receive('{"event": "connected"}') == []


START = {
    "twilio": lambda: {
        "event": "start",
        "start": {
            "streamSid": "MZ1",
            "callSid": "CA1",
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        },
    },
    "telnyx": lambda: {
        "event": "start",
        "stream_id": "s1",
        "start": {
            "call_control_id": "v3:1",
            "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1},
        },
    },
}


@pytest.mark.parametrize(
    ("provider", "field", "value", "named"),
    [
        ("twilio", ["start"], None, "start: got None; expected a JSON object"),
        ("twilio", ["start", "streamSid"], "", "start.streamSid: got ''"),
        ("twilio", ["start", "callSid"], 7, "start.callSid: got 7"),
        ("twilio", ["start", "mediaFormat"], [], "start.mediaFormat: got \\[\\]"),
        ("twilio", ["start", "mediaFormat", "encoding"], "audio/l16", "expected audio/x-mulaw"),
        ("twilio", ["start", "mediaFormat", "sampleRate"], 16000, "sampleRate: got 16000; expected 8000"),
        ("twilio", ["start", "mediaFormat", "channels"], 2, "channels: got 2; expected 1"),
        ("twilio", ["start", "customParameters"], "x", "start.customParameters: got 'x'"),
        ("twilio", ["start", "customParameters"], {"a": [1]}, "start.customParameters.a: got"),
        ("twilio", ["start", "customParameters"], {str(n): "" for n in range(65)}, "got 65 parameters"),
        ("telnyx", ["stream_id"], None, "message.stream_id: got None"),
        ("telnyx", ["start", "call_control_id"], "x" * 1001, "start.call_control_id: got"),
        ("telnyx", ["start", "media_format", "encoding"], "G722", "expected PCMU or PCMA"),
    ],
)
def test_a_start_that_is_wrong_is_named(provider: str, field: list[str], value: object, named: str) -> None:
    message: Any = START[provider]()
    assert len(replay(PROVIDERS[provider](), [message])) == 1
    place = message
    for name in field[:-1]:
        place = place[name]
    place[field[-1]] = value
    with pytest.raises(MediaError, match=named):
        replay(PROVIDERS[provider](), [message])


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("", "message: not valid JSON"),
        ("[1]", r"message: got \[1\]"),
        ('{"event": 3}', "event: got 3"),
        ('{"event": "start", "start": {}}', "event: got a second 'start'"),
        ('{"event": "media"}', "media: got None"),
        ('{"event": "media", "media": {"payload": 3}}', "media.payload: got 3"),
        ('{"event": "media", "media": {"payload": "a"}}', "media.payload: got 'a'; expected base64"),
        ('{"event": "media", "media": {"payload": "a-b="}}', "expected base64"),
        ('{"event": "media", "media": {"payload": "%s"}}' % ("A" * 11000), "expected up to 8000 bytes"),
        ('{"event": "media", "media": {"payload": "", "chunk": "-1"}}', "media.chunk: got '-1'"),
        ('{"event": "media", "media": {"payload": "", "chunk": "%s"}}' % ("9" * 5000), "media.chunk"),
        ('{"event": "media", "media": {"payload": "", "chunk": true}}', "media.chunk: got True"),
        ('{"event": "dtmf", "dtmf": {"digit": "12"}}', "dtmf.digit: got '12'"),
        ('{"event": "dtmf", "dtmf": "1"}', "dtmf: got '1'"),
        ('{"event": "mark", "mark": {}}', "mark.name: got None"),
        ('{"event": "stop", "streamSid": "MZ0", "stream_id": "other"}', "got '(MZ0|other)'; expected"),
    ],
)
def test_what_is_no_message_is_named(provider: str, message: str, named: str) -> None:
    with pytest.raises(MediaError, match=named):
        begun(provider).receive(message)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_nothing_comes_before_start(provider: str) -> None:
    with pytest.raises(MediaError, match="got 'media'; expected 'connected' or 'start'"):
        PROVIDERS[provider]().receive('{"event": "media", "media": {"payload": ""}}')


@pytest.mark.parametrize("provider", PROVIDERS)
@settings(deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    st.sampled_from(["start", "media", "dtmf", "mark", "error", "stop", "connected"]),
    st.booleans(),
)
def test_any_json_is_taken_or_refused(provider: str, value: object, event: str, first: bool) -> None:
    stream = PROVIDERS[provider]() if first else begun(provider)
    for message in ({"event": event, event: value, "payload": value}, value):
        with contextlib.suppress(MediaError):
            stream.receive(json.dumps(message))
