"""Opus packets, encoded by ours and decoded again."""

import numpy as np
import pytest

from engine.audio import AudioStream, DecodeError, OpusDecoder, packet_format, split_packets


def packets(seconds: float) -> tuple[list[bytes], np.ndarray]:
    time = np.arange(round(24_000 * seconds)) / 24_000
    sine = (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    stream = AudioStream(24_000, packet_format())
    return split_packets(stream.write(sine) + stream.flush()), sine


def test_a_tone_comes_back() -> None:
    sent, _ = packets(1.0)
    decoder = OpusDecoder()
    heard = [decoder.decode(packet) for packet in sent]
    assert {pcm.size for pcm in heard} == {960}
    pcm = np.concatenate(heard)[4800:43_200]
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(pcm.size)))
    assert abs(spectrum.argmax() * 48_000 / pcm.size - 440) < 2
    assert np.sqrt(np.mean(pcm**2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.05)


def test_what_is_no_packet_is_an_error_and_the_stream_goes_on() -> None:
    sent, _ = packets(0.2)
    decoder = OpusDecoder()
    decoder.decode(sent[0])
    with pytest.raises(DecodeError, match="got 3 bytes; expected an Opus packet"):
        decoder.decode(b"\xff\xff\xff")
    assert decoder.decode(sent[1]).size == 960
    assert decoder.decode(b"").size == 0
