import numpy as np
import pytest

from engine.audio import AudioStream, DecodeError, decode, output_format


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
