"""G.711 against the tables of the standard, and against FFmpeg."""

from itertools import pairwise

import av
import numpy as np
import pytest

from engine.audio import decode_g711
from engine.audio.g711 import encode_g711

EVERY_SAMPLE = np.arange(-32768, 32768).astype(np.int16)
EVERY_CODE = bytes(range(256))
LAWS = ["mulaw", "alaw"]

# The ends of the segments in G.711's tables 1 and 2, on scales of 4096 (A-law, where the first segment has twice
# as many intervals) and 8159, and how many of a 16-bit sample's steps are one of theirs.
SEGMENTS = {
    "mulaw": ([31, 95, 223, 479, 991, 2015, 4063, 8159], 4),
    "alaw": ([64, 128, 256, 512, 1024, 2048, 4096], 8),
}


def decision_values(law):
    """Where one interval ends and the next begins, in 16-bit steps, from 0 to the loudest."""
    ends, unit = SEGMENTS[law]
    # The tables' one irregularity: µ-law's first interval is half as long as its neighbours.
    values = [0, *range(1, ends[0] + 1, 2)] if law == "mulaw" else list(range(0, ends[0] + 1, 2))
    for start, end in pairwise(ends):
        values += range(start + (end - start) // 16, end + 1, (end - start) // 16)
    assert len(values) == 129
    return np.array(values) * unit


def by_ffmpeg(law):
    """The codes of every sample, and the samples of every code."""
    coder = av.CodecContext.create(f"pcm_{law}", "w")
    coder.format, coder.layout, coder.sample_rate = "s16", "mono", 8000
    frame = av.AudioFrame.from_ndarray(EVERY_SAMPLE[np.newaxis], format="s16", layout="mono")
    frame.sample_rate = 8000
    codes = b"".join(map(bytes, coder.encode(frame)))
    decoder = av.CodecContext.create(f"pcm_{law}", "r")
    decoder.layout, decoder.sample_rate = "mono", 8000
    return np.frombuffer(codes, np.uint8), decoder.decode(av.Packet(EVERY_CODE))[0].to_ndarray()[0]


@pytest.mark.parametrize("law", LAWS)
def test_every_code_sounds_as_in_ffmpeg(law):
    _, samples = by_ffmpeg(law)
    heard = decode_g711(EVERY_CODE, law)
    assert heard.dtype == np.float32
    np.testing.assert_array_equal(heard * 32768, samples)


@pytest.mark.parametrize("law", LAWS)
def test_every_sample_falls_into_the_standards_interval(law):
    codes = encode_g711(EVERY_SAMPLE, law)
    decisions = decision_values(law)
    # Intervals of negative samples mirror the others: -1 lies where 0 does.
    magnitude = np.where(EVERY_SAMPLE < 0, -1 - EVERY_SAMPLE.astype(int), EVERY_SAMPLE)
    interval = np.minimum(np.searchsorted(decisions, magnitude, "right") - 1, 127)
    # Characters as they are sent: µ-law's are counted from the loudest, A-law's have every other bit inverted.
    sign = np.where(EVERY_SAMPLE >= 0, 0x80, 0)
    expected = sign | (0x7F - interval) if law == "mulaw" else (sign | interval) ^ 0x55
    np.testing.assert_array_equal(np.frombuffer(codes, np.uint8), expected)


@pytest.mark.parametrize("law", LAWS)
def test_what_was_coded_is_ffmpegs_or_its_neighbour(law):
    """FFmpeg rounds to the nearest code, which differs from the standard only where segments meet."""
    theirs, _ = by_ffmpeg(law)
    ours = np.frombuffer(encode_g711(EVERY_SAMPLE, law), np.uint8)
    assert (ours != theirs).mean() < 0.02
    _, rank = np.unique(decode_g711(EVERY_CODE, law), return_inverse=True)
    assert np.abs(rank[ours] - rank[theirs]).max() == 1


@pytest.mark.parametrize(("law", "silence"), [("mulaw", 0xFF), ("alaw", 0xD5)])
def test_silence_and_its_neighbours(law, silence):
    assert encode_g711(np.zeros(3, np.int16), law) == bytes([silence] * 3)
    assert encode_g711(np.array([-1], np.int16), law) == bytes([silence ^ 0x80])
    assert np.abs(decode_g711(bytes([silence]), law)).max() <= 8 / 32768


@pytest.mark.parametrize("law", LAWS)
def test_coding_again_changes_nothing(law):
    once = decode_g711(encode_g711(EVERY_SAMPLE, law), law)
    again = decode_g711(encode_g711((once * 32768).astype(np.int16), law), law)
    np.testing.assert_array_equal(np.abs(again), np.abs(once))


@pytest.mark.parametrize("law", LAWS)
def test_a_tone_is_far_above_its_noise(law):
    """At least by the 33 dB that ITU-T G.712 asks of a whole channel at these levels."""
    for level in (-30, -20, -6):
        tone = 10 ** (level / 20) * np.sin(2 * np.pi * 1020 * np.arange(8000) / 8000)
        heard = decode_g711(encode_g711(np.rint(tone * 32767).astype(np.int16), law), law)
        noise = heard - tone
        assert 10 * np.log10(np.mean(tone**2) / np.mean(noise**2)) > 33


def test_no_bytes_are_no_samples():
    assert decode_g711(b"", "mulaw").size == 0
    assert encode_g711(np.zeros(0, np.int16), "alaw") == b""
