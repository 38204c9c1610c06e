import pytest

from engine.audio import FormatError, output_format, packet_format, split_packets


@pytest.mark.parametrize(
    ("container", "rate", "mime", "suffix", "bitrate"),
    [
        ("wav", 44100, "audio/wav", ".wav", None),
        ("pcm", 44100, "audio/pcm", ".pcm", None),
        ("mp3", 44100, "audio/mpeg", ".mp3", 128_000),
        ("opus", 48000, "audio/ogg", ".opus", 32_000),
        ("aac", 44100, "audio/aac", ".aac", None),
        ("flac", 44100, "audio/flac", ".flac", None),
        ("mulaw", 8000, "audio/basic", ".ul", None),
        ("alaw", 8000, "audio/x-alaw-basic", ".al", None),
    ],
)
def test_each_format_has_its_defaults(container, rate, mime, suffix, bitrate):
    output = output_format(container)
    assert (output.sample_rate, output.mime, output.suffix, output.bitrate) == (rate, mime, suffix, bitrate)


@pytest.mark.parametrize("bitrate", [24, 32, 48, 64])
def test_opus_bitrates_may_be_in_bits_or_kilobits(bitrate):
    assert output_format("opus", opus_bitrate=bitrate) == output_format("opus", opus_bitrate=bitrate * 1000)
    assert output_format("opus", opus_bitrate=bitrate).bitrate == bitrate * 1000


@pytest.mark.parametrize("bitrate", [64, 128, 192])
def test_mp3_bitrates_may_be_in_bits_or_kilobits(bitrate):
    assert output_format("mp3", mp3_bitrate=bitrate) == output_format("mp3", mp3_bitrate=bitrate * 1000)


def test_opus_minus_1000_is_automatic():
    assert output_format("opus", opus_bitrate=-1000).bitrate is None


def test_livekit_sends_bitrates_with_wav():
    assert output_format("wav", 24000, mp3_bitrate=64, opus_bitrate=64000).bitrate is None


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        ({"container": "wma"}, "format", "wma"),
        ({"container": "ulaw"}, "format", "ulaw"),
        ({"container": "packets"}, "format", "packets"),
        ({"container": "mulaw", "sample_rate": 16000}, "sample_rate", 16000),
        ({"container": "wav", "sample_rate": 48000}, "sample_rate", 48000),
        ({"container": "mp3", "sample_rate": 24000}, "sample_rate", 24000),
        ({"container": "opus", "sample_rate": 44100}, "sample_rate", 44100),
        ({"container": "pcm", "sample_rate": 0}, "sample_rate", 0),
        ({"container": "mp3", "mp3_bitrate": 96}, "mp3_bitrate", 96),
        ({"container": "wav", "mp3_bitrate": -1000}, "mp3_bitrate", -1000),
        ({"container": "opus", "opus_bitrate": 128}, "opus_bitrate", 128),
        ({"container": "opus", "opus_bitrate": 64001}, "opus_bitrate", 64001),
    ],
)
def test_a_wrong_field_is_named_with_its_value_and_what_would_be_right(arguments, field, value):
    with pytest.raises(FormatError) as caught:
        output_format(**arguments)
    assert (caught.value.field, caught.value.value) == (field, value)
    assert field in str(caught.value)
    assert repr(value) in str(caught.value)
    assert caught.value.expected in str(caught.value)


def test_packets_are_for_lines_of_our_own():
    assert packet_format(24_000).bitrate == 24_000
    assert (packet_format().sample_rate, packet_format().mime) == (48_000, "audio/opus")


def test_packets_are_split_and_none_is_guessed():
    data = b"\0\3abc" + b"\0\0" + b"\1\0" + b"x" * 256
    assert split_packets(data) == [b"abc", b"", b"x" * 256]
    assert split_packets(b"") == []
    for cut in (data[:-1], data[:1], data[:4]):
        with pytest.raises(ValueError, match="at the end; expected"):
            split_packets(cut)
