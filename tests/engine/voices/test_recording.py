"""What strangers send as recordings of a voice: every format, and every way to be of no use."""

import contextlib
import io

import av
import numpy as np
import pytest
from av.audio.resampler import AudioResampler

from engine.audio import loudness
from engine.speech import Pcm
from engine.voices import BadRecording, prepare
from engine.voices.recording import LOUDNESS, RATE
from tests.engine.models import speaking
from tests.hearing import transcribe, word_error_rate

TEXT = "Tell me what you think about the new plan."


def encoded(pcm: Pcm, rate: int, container: str = "wav", codec: str = "pcm_s16le") -> bytes:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout="mono")
        resampler = AudioResampler(format=stream.codec_context.format.name, layout="mono", rate=rate)
        for at in range(0, len(pcm), rate):
            frame = av.AudioFrame.from_ndarray(pcm[None, at : at + rate], format="flt", layout="mono")
            frame.sample_rate = rate
            for converted in resampler.resample(frame):
                output.mux(stream.encode(converted))
        output.mux(stream.encode(None))
    return file.getvalue()


def tone(seconds: float, rate: int = 16_000, level: float = 0.3) -> Pcm:
    return (level * np.sin(2 * np.pi * 300 * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


@pytest.fixture(scope="module")
def speech() -> Pcm:
    """Soft speech between two seconds of a soft hiss."""
    silence = np.zeros(speaking.RATE, np.float32)
    pcm = np.concatenate([silence, 0.2 * speaking.speak(TEXT).pcm, silence])
    return pcm + 1e-4 * np.random.default_rng(1).standard_normal(len(pcm)).astype(np.float32)


@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("wav", "pcm_s16le"),
        ("flac", "flac"),
        ("mp3", "libmp3lame"),
        ("ipod", "aac"),
        ("ogg", "libopus"),
        ("webm", "libopus"),
    ],
)
def test_every_format_becomes_the_same_speech(speech: Pcm, container: str, codec: str) -> None:
    recording = prepare(encoded(speech, speaking.RATE, container, codec))
    assert recording.pcm.dtype == np.float32
    assert 1.9 < recording.seconds < 2.3  # of the 2 s that are spoken, with 0.08 s before and after
    assert loudness(recording.pcm, RATE) == pytest.approx(LOUDNESS, abs=0.1)
    assert word_error_rate(TEXT, transcribe(recording.pcm, RATE)) <= 0.12


def test_a_recording_is_a_reference_with_its_text(speech: Pcm) -> None:
    recording = prepare(encoded(speech, speaking.RATE))
    reference = recording.reference(TEXT)
    assert (reference.sample_rate, reference.text) == (recording.sample_rate, TEXT)
    assert reference.pcm is recording.pcm


def test_clicks_before_and_after_are_no_speech() -> None:
    pcm = np.concatenate([tone(2, level=0), tone(2), tone(2, level=0)])
    pcm[[100, -100]] = 0.9
    assert prepare(encoded(pcm, 16_000)).seconds == pytest.approx(2.16, abs=0.05)


def test_pauses_inside_stay() -> None:
    pcm = np.concatenate([tone(1), tone(1, level=0), tone(1)])
    assert prepare(encoded(pcm, 16_000)).seconds == pytest.approx(3.0, abs=0.05)


def test_peaks_are_limited_where_speech_is_much_softer() -> None:
    pcm = tone(3, level=0.03)
    pcm[16_000:16_004] = 0.4
    prepared = prepare(encoded(pcm, 16_000)).pcm
    assert np.abs(prepared).max() < 0.9
    assert np.abs(prepared[-RATE:]).max() > 0.1


@pytest.mark.parametrize(
    "data", [b"", b"no audio", b"<svg xmlns='http://www.w3.org/2000/svg'/>", bytes(5000)]
)
def test_what_is_no_audio_is_refused(data: bytes) -> None:
    with pytest.raises(BadRecording, match="cannot be read"):
        prepare(data)


def test_a_playlist_opens_no_other_file(tmp_path) -> None:
    (tmp_path / "secret.wav").write_bytes(encoded(tone(2), 16_000))
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{tmp_path}/secret.wav\n#EXT-X-ENDLIST\n"
    for data in (playlist, f"ffconcat version 1.0\nfile {tmp_path}/secret.wav\n"):
        with pytest.raises(BadRecording, match="cannot be read"):
            prepare(data.encode())


def test_silence_is_refused() -> None:
    for level in (0.0, 1e-4):
        with pytest.raises(BadRecording, match="silent"):
            prepare(encoded(tone(3, level=level), 16_000))


def test_what_is_too_short_is_refused_by_what_is_heard_of_it() -> None:
    with pytest.raises(BadRecording, match=r"0\.7 s of sound.*at least 1 s"):
        prepare(encoded(np.concatenate([tone(2, level=0), tone(0.5), tone(2, level=0)]), 16_000))
    with pytest.raises(BadRecording, match="silent"):
        prepare(encoded(tone(0.01), 16_000))


def test_what_is_too_long_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(BadRecording, match=r"the file says 5 s\); up to 3 s"):
        prepare(encoded(tone(5), 16_000), longest=3)


def test_a_flac_that_does_not_say_how_long_it_is_is_decoded_no_further_than_the_limit() -> None:
    data = bytearray(encoded(np.zeros(1_200 * 8_000, np.float32), 8_000, "flac", "flac"))
    assert len(data) < 300_000
    assert data[:4] == b"fLaC"
    data[21] &= 0xF0  # 36 bits of STREAMINFO are the number of samples; 0 for "unknown"
    data[22:26] = bytes(4)
    with pytest.raises(BadRecording, match=r"more than 600 s.*up to 600 s"):
        prepare(bytes(data))


def riff(claim: int) -> bytes:
    data = encoded(tone(2), 16_000)
    at = data.index(b"data") + 4
    return data[:at] + claim.to_bytes(4, "little") + data[at + 4 :]


def test_a_wav_that_claims_ten_hours_is_refused() -> None:
    with pytest.raises(BadRecording, match="36,000 s"):
        prepare(riff(36_000 * 32_000))


@pytest.mark.parametrize("claim", [0, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF - 36])
def test_a_wav_that_was_written_as_a_stream_is_taken(claim: int) -> None:
    assert prepare(riff(claim)).seconds == pytest.approx(2.0, abs=0.05)


def test_a_truncated_mp3_is_what_is_left_of_it(speech: Pcm) -> None:
    data = encoded(np.tile(speech, 3), speaking.RATE, "mp3", "libmp3lame")
    assert 3 < prepare(data[: len(data) // 2]).seconds < 7


def test_a_damaged_file_is_refused_or_read_in_part(speech: Pcm) -> None:
    random = np.random.default_rng(3)
    for container, codec in (("flac", "flac"), ("ogg", "libopus"), ("ipod", "aac"), ("mp3", "libmp3lame")):
        data = bytearray(encoded(speech, speaking.RATE, container, codec))
        for place in random.integers(0, len(data), 40):
            data[place] = random.integers(256)
        with contextlib.suppress(BadRecording):
            assert prepare(bytes(data)).seconds > 1


def test_steady_noise_is_taken_away_if_that_is_asked(speech: Pcm) -> None:
    hiss = 0.004 * np.random.default_rng(5).standard_normal(len(speech)).astype(np.float32)
    file = encoded(speech + hiss, speaking.RATE)
    plain, enhanced = prepare(file), prepare(file, enhance=True)
    assert enhanced.seconds == plain.seconds
    assert loudness(enhanced.pcm, RATE) == pytest.approx(LOUDNESS, abs=0.1)
    before, after = (np.square(recording.pcm[: RATE // 20]).mean() for recording in (plain, enhanced))
    assert after < before / 6, "the moment before the first word"
