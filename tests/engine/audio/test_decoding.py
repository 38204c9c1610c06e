import numpy as np
import pytest

from engine.audio import AudioReader, AudioStream, DecodeError, TooLong, decode, output_format


@pytest.fixture
def wav():
    stream = AudioStream(24000, output_format("wav", 24000))
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(24000) / 24000)
    return stream.write(tone.astype(np.float32)) + stream.finish()


def test_bytes_and_paths_decode_alike(wav, tmp_path):
    path = tmp_path / "tone.wav"
    path.write_bytes(wav)
    pcm, rate = decode(wav)
    assert (pcm.dtype, pcm.shape, rate) == (np.float32, (24000,), 24000)
    for place in (path, str(path)):
        np.testing.assert_array_equal(decode(place)[0], pcm)


def test_another_rate_may_be_asked_for(wav):
    pcm, rate = decode(wav, 16000)
    assert rate == 16000
    assert abs(pcm.size - 16000) <= 1


def test_channels_are_mixed(wav):
    mono = np.frombuffer(wav[44:], "<i2")
    stereo = np.stack([mono, np.zeros_like(mono)], axis=1).astype("<i2").tobytes()
    header = bytearray(wav[:44])
    header[22], header[32] = 2, 4  # channels, bytes in a frame
    header[28:32] = (24000 * 4).to_bytes(4, "little")
    pcm, _ = decode(bytes(header) + stereo)
    np.testing.assert_allclose(pcm, decode(wav)[0] / 2, atol=1e-4)


@pytest.mark.parametrize("data", [b"", b"hello, this is no audio at all", bytes(5000)])
def test_what_is_no_audio_is_refused(data):
    with pytest.raises(DecodeError):
        decode(data)


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="nothing"):
        decode(tmp_path / "nothing.wav")


def test_no_more_is_decoded_than_was_asked_for(wav):
    assert decode(wav, max_seconds=1.0)[0].size == 24000
    with pytest.raises(TooLong, match=r"more than 0\.9 s"):
        decode(wav, max_seconds=0.9)


def test_pieces_are_the_whole(wav):
    with AudioReader(wav, 16000) as reader:
        pieces = list(reader)
    assert len(pieces) > 1
    np.testing.assert_array_equal(np.concatenate(pieces), decode(wav, 16000)[0])


def test_the_length_that_a_header_claims_is_not_believed(wav):
    claimed = wav[:40] + (0xFFFFFFF0).to_bytes(4, "little") + wav[44:]
    assert decode(claimed, max_seconds=2.0)[0].size == 24000


@pytest.mark.parametrize("rate", [0, 1, 2**31 - 1])
def test_an_impossible_rate_is_refused(wav, rate):
    with pytest.raises(DecodeError):
        decode(wav[:24] + rate.to_bytes(4, "little") + wav[28:], 16000)


def test_samples_that_are_no_numbers_become_silence(wav):
    samples = np.full(24000, np.nan, "<f4").tobytes()
    header = bytearray(wav[:44])
    header[20], header[32], header[34] = 3, 4, 32  # float
    header[28:32], header[40:44] = (96000).to_bytes(4, "little"), len(samples).to_bytes(4, "little")
    pcm, _ = decode(bytes(header) + samples)
    np.testing.assert_array_equal(pcm, np.zeros(24000))


def test_the_end_may_be_missing():
    stream = AudioStream(24000, output_format("mp3"))
    mp3 = stream.write(0.1 * np.sin(np.arange(48000) / 10).astype(np.float32)) + stream.finish()
    pcm, rate = decode(mp3[: len(mp3) // 2])
    assert 0.8 < pcm.size / rate < 1.2


@pytest.mark.parametrize("scheme", ["file://", "http://127.0.0.1:9/", "concat:", ""])
def test_a_playlist_is_no_audio(wav, tmp_path, scheme):
    """It would have FFmpeg open whatever it names."""
    path = tmp_path / "secret.wav"
    path.write_bytes(wav)
    for playlist in (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{scheme}{path}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile {scheme}{path}\n",
    ):
        with pytest.raises(DecodeError):
            decode(playlist.encode())
