import numpy as np
import pytest

from benchmarks.decoding import RATES, Message, decode, estimated_seconds
from engine.audio import AudioStream, output_format

SECONDS = 2.0


@pytest.mark.parametrize("audio_format", list(RATES))
def test_samples_arrive_with_the_message_that_completes_them(audio_format: str) -> None:
    rate = RATES[audio_format]
    tone = 0.3 * np.sin(np.arange(round(SECONDS * 24_000)) / 24_000 * 2 * np.pi * 300)
    stream = AudioStream(24_000, output_format(audio_format, rate))
    pieces = [stream.write(piece) for piece in np.split(tone.astype(np.float32), 20)]
    messages = [Message(float(at), data) for at, data in enumerate([*pieces, stream.finish()]) if data]

    arrivals = decode(messages, audio_format)

    assert sum(len(arrival.pcm) for arrival in arrivals) / rate == pytest.approx(SECONDS, abs=0.1)
    assert estimated_seconds(messages, audio_format) == pytest.approx(SECONDS, abs=0.15)
    times = [arrival.at for arrival in arrivals]
    assert times == sorted(times)
    # Each message is 100 ms of the tone; a codec may hold some of it back.
    played = 0.0
    for at, pcm in arrivals:
        played += len(pcm) / rate
        assert 0.1 * at - 0.15 <= played <= 0.1 * (at + 1) + 0.001


def test_no_messages_are_no_audio() -> None:
    assert [decode([], audio_format) for audio_format in RATES] == [[], [], [], []]
