"""Packets to samples, without holes."""

import numpy as np
import pytest

from engine.audio import AudioStream, packet_format, split_packets
from engine.speech import Pcm
from transports.webrtc.inbound import RATE, Inbound
from transports.webrtc.reorder import RtpPayload
from transports.webrtc.track import SILENCE


def packets(seconds: float, start: int = 0) -> list[RtpPayload]:
    stream = AudioStream(RATE, packet_format())
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE)
    data = split_packets(stream.write(tone.astype(np.float32)) + stream.finish())
    return [RtpPayload((start + 960 * number) & 0xFFFFFFFF, one) for number, one in enumerate(data)]


def level(pcm: Pcm) -> float:
    return float(np.sqrt(np.mean(pcm**2)))


def test_a_tone_comes_through_over_the_end_of_the_clock() -> None:
    sent = packets(1.0, start=2**32 - 20_000)
    pcm = Inbound().decode(sent, 0.0)
    assert pcm.dtype == np.float32
    assert len(pcm) == 960 * len(sent)
    assert level(pcm[2000:46_000]) == pytest.approx(0.3 / np.sqrt(2), rel=0.05)


def test_a_lost_packet_is_silence_of_its_length() -> None:
    sent = packets(1.0)
    inbound = Inbound()
    before, after = inbound.decode(sent[:10], 0.0), inbound.decode(sent[12:20], 0.2)
    assert (len(before), len(after)) == (9600, 2 * 960 + 8 * 960)
    assert not after[:1920].any()
    assert after[3840:].any()


def test_silence_goes_on_when_nothing_comes_and_counts_against_the_hole() -> None:
    sent = packets(1.0)
    inbound = Inbound()
    assert not inbound.silence(5.0).size  # nothing has begun
    inbound.decode(sent[:5], 10.0)
    assert not inbound.silence(10.1).size
    assert inbound.silence(10.3).size == round(0.3 * RATE)
    assert not inbound.silence(10.4).size
    resumed = inbound.decode([RtpPayload(5 * 960 + RATE // 2, sent[5].data)], 10.5)
    assert len(resumed) == RATE // 2 - round(0.3 * RATE) + 960


def test_a_long_hole_is_not_filled_up_and_a_late_packet_is_heard() -> None:
    sent = packets(0.5)
    inbound = Inbound()
    inbound.decode(sent[:5], 0.0)
    assert len(inbound.decode([RtpPayload(1_000_000_000, sent[5].data)], 1.0)) == RATE + 960
    assert len(inbound.decode([RtpPayload(999_000_000, sent[6].data)], 1.0)) == 960


def test_what_is_no_opus_is_nothing() -> None:
    inbound = Inbound()
    sent = packets(0.2)
    inbound.decode(sent[:2], 0.0)
    for data in (b"", b"\xff", b"\xfb" + b"\xff" * 50):
        inbound.decode([RtpPayload(3 * 960, data)], 0.1)
    assert inbound.decode([RtpPayload(20 * 960, sent[5].data)], 0.2)[-960:].any()


def test_our_silence_is_silent_also_after_speech() -> None:
    inbound = Inbound()
    sent = packets(0.2)
    inbound.decode(sent, 0.0)
    after = inbound.decode([RtpPayload((len(sent) + at) * 960, SILENCE) for at in range(10)], 0.5)
    assert len(after) == 9600
    assert level(after[2000:]) < 1e-4
