import struct
from typing import get_args

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.audio import (
    AudioStream,
    Container,
    decode,
    decode_g711,
    output_format,
    packet_format,
    split_packets,
)

SOURCE = 24000
PACKET = {"wav": 1, "pcm": 1, "mp3": 1152, "opus": 960, "aac": 1024, "flac": 1, "mulaw": 1, "alaw": 1}

PHONE = ("mulaw", "alaw")

FORMATS = [
    *(
        output_format(container, rate)
        for container in ("wav", "pcm")
        for rate in (8000, 16000, 24000, 32000, 44100)
    ),
    *(output_format("mp3", rate, mp3_bitrate=kbps) for rate in (32000, 44100) for kbps in (64, 128, 192)),
    *(output_format("opus", opus_bitrate=kbps) for kbps in (-1000, 24, 32, 48, 64)),
    *(output_format(container, rate) for container in ("aac", "flac") for rate in (24000, 32000, 44100)),
    output_format("mulaw"),
    output_format("alaw"),
]
ONE_OF_EACH = [output_format(container) for container in get_args(Container)]


def name(output):
    return f"{output.container}-{output.sample_rate}-{output.bitrate}"


every_format = pytest.mark.parametrize("output", FORMATS, ids=name)
each_container = pytest.mark.parametrize("output", ONE_OF_EACH, ids=name)


def tone(seconds, hertz=440.0, amplitude=0.5, rate=SOURCE):
    return (amplitude * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(
        np.float32
    )


def samples(data, output):
    if output.container == "pcm":
        return np.frombuffer(data, "<i2").astype(np.float32) / 32767
    if output.container in PHONE:
        return decode_g711(data, output.container)
    pcm, rate = decode(data)
    assert rate == output.sample_rate
    return pcm


def split(pcm, sizes):
    return np.split(pcm, np.cumsum(sizes))


@every_format
@settings(max_examples=6, deadline=None)
@given(total=st.integers(1, 6000), sizes=st.lists(st.integers(0, 2000), max_size=12))
def test_any_chunking_decodes_to_the_right_length(output, total, sizes):
    if output.container in ("mp3", "aac"):
        total += 2400  # a packet or two are not enough for FFmpeg to tell them from noise
    stream = AudioStream(SOURCE, output)
    pieces = split(tone(0.35)[:total], sizes)
    data = b"".join([*map(stream.write, pieces), stream.finish()])
    excess = samples(data, output).size - total * output.sample_rate / SOURCE
    assert -1 <= excess < PACKET[output.container]
    assert stream.seconds_in == total / SOURCE
    assert stream.padding_seconds == 0


@every_format
def test_a_tone_keeps_its_frequency_level_and_place(output):
    stream = AudioStream(SOURCE, output)
    pcm = samples(stream.write(tone(0.6)) + stream.finish(), output)
    rate = output.sample_rate
    time = np.arange(rate // 10, rate // 2) / rate
    heard = pcm[rate // 10 : rate // 2].astype(np.float64)
    carrier = np.exp(2j * np.pi * 440 * time)
    phasor = 2 * np.mean(heard * carrier.conj())
    rest = heard - (phasor * carrier).real
    assert abs(phasor) == pytest.approx(0.5, rel=0.06)  # LAME takes 0.45 dB off at low bitrates
    assert (
        abs(np.angle(phasor * 1j)) / (2 * np.pi * 440) < 1e-4
    )  # libopus's high-pass shifts the phase a little
    assert 20 * np.log10(np.std(rest) / np.std(heard)) < -30


@each_container
@pytest.mark.parametrize("levels", [{}, {"gain_db": -3.0, "normalize": True}])
def test_noise_starts_at_its_first_sample(output, levels):
    noise = np.random.default_rng(5).standard_normal(SOURCE)
    noise = (0.1 * np.convolve(noise, np.hanning(9), "same")).astype(np.float32)
    stream = AudioStream(SOURCE, output, **levels)
    pcm = samples(stream.write(noise) + stream.finish(), output)
    rate = output.sample_rate
    reference = AudioStream(SOURCE, output_format("wav", rate)) if rate in (8000, 44100) else None
    if reference is None:
        time = np.arange(round(noise.size * output.sample_rate / SOURCE)) / output.sample_rate
        expected = np.interp(time, np.arange(noise.size) / SOURCE, noise)
    else:
        expected = samples(reference.write(noise) + reference.finish(), output_format("wav", rate))
    window = expected[2000:6000]
    scores = [np.dot(pcm[2000 + lag : 6000 + lag], window) for lag in range(-1500, 1500)]
    assert abs(int(np.argmax(scores)) - 1500) <= 2


@each_container
@pytest.mark.parametrize("levels", [{}, {"gain_db": 3.0, "normalize": True}])
def test_flush_makes_the_tail_audible_and_the_stream_goes_on(output, levels):
    stream = AudioStream(SOURCE, output, **levels)
    data = bytearray()
    for piece in split(tone(0.3337), [700] * 8):
        data += stream.write(piece)
    data += stream.flush()
    heard = samples(bytes(data), output)
    end = round(0.3337 * output.sample_rate)
    assert heard.size >= end
    tail = heard[end - output.sample_rate // 50 : end]  # the last 20 ms of the tone
    assert np.abs(tail).max() > 0.4
    assert np.sqrt(np.mean(tail**2)) > 0.25

    assert stream.flush() == b""
    assert stream.write(np.zeros(0, np.float32)) + stream.flush() == b""
    assert 0 <= stream.padding_seconds < 0.1
    data += stream.write(tone(0.2))
    data += stream.flush()
    data += stream.finish()
    assert stream.seconds_in == pytest.approx(0.5337, abs=1e-4)
    expected = (stream.seconds_in + stream.padding_seconds) * output.sample_rate
    assert -2 <= samples(bytes(data), output).size - expected < PACKET[output.container]


def test_flush_adds_nothing_where_nothing_is_held_back():
    stream = AudioStream(SOURCE, output_format("pcm", SOURCE))
    assert len(stream.write(tone(0.1))) == 2 * 2400
    assert stream.flush() == b""
    assert stream.padding_seconds == 0


@each_container
def test_flush_before_anything_was_written_does_nothing(output):
    stream = AudioStream(SOURCE, output)
    assert stream.flush() == b""
    assert samples(stream.finish(), output).size >= 0.1 * output.sample_rate - 1


@each_container
def test_finish_on_nothing_is_a_tenth_of_a_second_of_silence(output):
    pcm = samples(AudioStream(SOURCE, output).finish(), output)
    assert 0 <= pcm.size - output.sample_rate // 10 < PACKET[output.container]
    assert np.abs(pcm).max() < 1e-3


@each_container
def test_nothing_may_be_called_after_finish(output):
    stream = AudioStream(SOURCE, output)
    stream.write(tone(0.1))
    stream.finish()
    for call in (stream.finish, stream.flush, lambda: stream.write(tone(0.1))):
        with pytest.raises(RuntimeError):
            call()


@each_container
def test_many_writes_and_flushes_make_one_container(output):
    stream = AudioStream(SOURCE, output)
    data = b"".join([stream.write(tone(0.1)) + stream.flush() for _ in range(5)]) + stream.finish()
    assert data.count(b"RIFF") == (output.container == "wav")
    assert data.count(b"OpusHead") == (output.container == "opus")
    assert data.count(b"OpusTags") == (output.container == "opus")
    assert b"Info" not in data
    assert b"Xing" not in data
    assert b"ID3" not in data


def test_the_wav_header_is_the_one_of_the_hosted_service():
    stream = AudioStream(SOURCE, output_format("wav", SOURCE))
    data = stream.write(tone(0.1)) + stream.finish()
    assert len(data) == 44 + 2 * 2400
    assert struct.unpack("<4sI4s4sIHHIIHH4sI", data[:44]) == (
        *(b"RIFF", 4294967076, b"WAVE", b"fmt ", 16, 1, 1, 24000, 48000, 2, 16, b"data", 4294967040),
    )


def test_pcm_is_rounded_and_clipped():
    stream = AudioStream(SOURCE, output_format("pcm", SOURCE))
    data = stream.write(np.array([0, 1, -1, 1.5, -7, 0.5, 1.6 / 32767, -1.6 / 32767], np.float32))
    assert struct.unpack("<8h", data) == (0, 32767, -32767, 32767, -32767, 16384, 2, -2)


def ogg_pages(data):
    """(flags, granule position, segment table) of each page."""
    pages = []
    while data:
        assert data[:4] == b"OggS"
        table = data[27 : 27 + data[26]]
        pages.append((data[5], struct.unpack("<q", data[6:14])[0], table))
        data = data[27 + len(table) + sum(table) :]
    return pages


def test_opus_leaves_in_pages_of_20_ms_between_one_beginning_and_one_end():
    stream = AudioStream(SOURCE, output_format("opus"))
    pages = ogg_pages(stream.write(tone(1.0)) + stream.flush() + stream.write(tone(0.5)) + stream.finish())
    flags = [flag for flag, _, _ in pages]
    assert flags == [2, *[0] * (len(pages) - 2), 4]
    granules = [granule for _, granule, _ in pages[2:]]
    assert set(np.diff(granules[:-1])) == {960}
    assert 0 < granules[-1] - granules[-2] <= 960
    assert granules[-1] - 312 == round((1.5 + stream.padding_seconds) * 48000)


def test_opus_header_and_audio_leave_together_within_40_ms_of_a_48_khz_stream():
    stream = AudioStream(48000, output_format("opus"))
    assert stream.write(tone(0.02, rate=48000)) == b""
    pages = ogg_pages(stream.write(tone(0.02, rate=48000)))
    assert len(pages) == 3
    assert pages[2][1] == 960


@pytest.mark.parametrize(
    ("output", "seconds"),
    list(zip(ONE_OF_EACH, (0.01, 0.01, 0.12, 0.05, 0.12, 0.22, 0.01, 0.01), strict=True)),
    ids=get_args(Container),
)
def test_the_first_bytes_leave_early_and_decode(output, seconds):
    stream = AudioStream(SOURCE, output)
    early = stream.write(tone(seconds))
    assert samples(early, output).size > 0


def mp3_frames(data, output):
    sizes = []
    while data:
        assert data[0] == 0xFF
        assert data[1] == 0xFB  # MPEG-1, layer III, no checksum
        assert data[3] >> 6 == 3  # mono
        assert data[4] == 0  # main_data_begin: leans on no earlier frame
        size = 144 * output.bitrate // output.sample_rate + (data[2] >> 1 & 1)
        sizes.append(size)
        data = data[size:]
    return sizes


@pytest.mark.parametrize("output", [f for f in FORMATS if f.container == "mp3"], ids=name)
def test_mp3_is_a_row_of_independent_frames_of_constant_bitrate(output):
    stream = AudioStream(SOURCE, output)
    frames = mp3_frames(stream.write(tone(1.0)) + stream.finish(), output)
    assert len(frames) == -(-output.sample_rate // 1152)
    assert max(frames) - min(frames) <= 1


@each_container
@settings(max_examples=8, deadline=None)
@given(sizes=st.lists(st.integers(1, 2500), min_size=1, max_size=15))
def test_no_seam_between_writes(output, sizes):
    pcm = tone(0.5)
    whole = AudioStream(SOURCE, output, gain_db=3.0)
    pieces = AudioStream(SOURCE, output, gain_db=3.0)
    expected = samples(whole.write(pcm) + whole.finish(), output)
    heard = samples(b"".join([*map(pieces.write, split(pcm, sizes)), pieces.finish()]), output)
    # G.711's steps are a 16th of a sample; where they begin is up to the last bit of a float.
    np.testing.assert_allclose(heard, expected, atol=0.05 if output.container in PHONE else 2e-3)
    steps = np.abs(np.diff(heard[output.sample_rate // 20 : round(0.45 * output.sample_rate)]))
    loudest = 0.5 * 10 ** (3 / 20)
    coarse = loudest / 16 if output.container in PHONE else 0.0
    assert steps.max() < 1.15 * loudest * 2 * np.pi * 440 / output.sample_rate + coarse


def test_gain_and_normalisation_reach_the_bytes():
    for levels, expected in (({"gain_db": -20.0}, 0.05), ({"gain_db": 20.0}, 10 ** (-1 / 20))):
        stream = AudioStream(SOURCE, output_format("wav", SOURCE), **levels)
        pcm, _ = decode(stream.write(tone(0.3)) + stream.finish())
        assert np.abs(pcm[1000:-1000]).max() == pytest.approx(expected, rel=0.01)


# -- Opus packets -----------------------------------------------------------------------------------

PRE_SKIP = 312
"""Samples by which libopus is late for speech at 48 kHz."""


def heard_of_packets(packets):
    decoder = av.CodecContext.create("libopus", "r")
    decoder.layout, decoder.sample_rate = "mono", 48000
    frames = [frame for data in packets for frame in decoder.decode(av.Packet(data))]
    assert {frame.samples for frame in frames} == {960}
    return np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).astype(np.float32) / 32768


@pytest.mark.parametrize("bitrate", [None, 24_000, 64_000])
def test_packets_leave_as_they_are_full_and_hold_20_ms_each(bitrate):
    stream = AudioStream(48000, packet_format(bitrate))
    pieces = [split_packets(stream.write(piece)) for piece in split(tone(1.0, rate=48000), [480] * 99)]
    assert [len(piece) for piece in pieces] == [0, 1] * 50
    packets = [packet for piece in pieces for packet in piece]
    # RFC 6716, section 3.1: one frame of 20 ms, mono. CELT, SILK and hybrid each number it otherwise.
    assert {(packet[0] >> 2 & 1, packet[0] & 3) for packet in packets} == {(0, 0)}
    pcm = heard_of_packets(packets)
    place = np.arange(4800, 43200)
    expected = 0.5 * np.sin(2 * np.pi * 440 * (place - PRE_SKIP) / 48000)
    assert np.std(pcm[place] - expected) < 0.1  # the high-pass of libopus shifts the phase a little


@settings(max_examples=20, deadline=None)
@given(total=st.integers(1, 6000), sizes=st.lists(st.integers(0, 2000), max_size=12))
def test_a_flush_of_packets_makes_all_audible_and_whole(total, sizes):
    stream = AudioStream(SOURCE, packet_format())
    data = b"".join(map(stream.write, split(tone(0.35)[:total], sizes))) + stream.flush()
    packets = split_packets(data)
    length = (stream.seconds_in + stream.padding_seconds) * 48000
    held_back = length - len(packets) * 960
    assert -2 <= held_back <= 64 + 2  # of the silence, by the resampler
    assert len(packets) * 960 >= total * 2 + PRE_SKIP
    assert stream.padding_seconds < 0.045
    assert stream.flush() == b""


def test_packets_go_on_after_a_flush():
    stream = AudioStream(48000, packet_format())
    sizes = []
    for seconds in (0.1, 0.37, 0.001):
        sizes.append(len(split_packets(stream.write(tone(seconds, rate=48000)) + stream.flush())))
    assert sizes == [6, 19, 1]
