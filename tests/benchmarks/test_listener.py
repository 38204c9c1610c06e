import numpy as np
import pytest

from benchmarks.listener import Arrival, Samples, first_audible, listen

RATE = 24_000


def tone(seconds: float) -> Samples:
    return np.sin(np.arange(round(seconds * RATE)) * 2 * np.pi * 440 / RATE).astype(np.float32) * 0.3


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), np.float32)


def test_audio_ahead_of_the_listener_is_heard_without_a_wait() -> None:
    hearing = listen([Arrival(10.0, tone(0.5)), Arrival(10.1, tone(0.5)), Arrival(10.9, tone(0.5))], RATE)
    assert hearing is not None
    assert hearing.first_arrival == 10.0
    assert hearing.onset == pytest.approx(10.0, abs=0.001)
    assert hearing.end == pytest.approx(11.5)
    assert hearing.seconds == pytest.approx(1.5)
    assert hearing.waits == ()
    assert (hearing.underrun, hearing.longest_wait) == (0, 0)
    assert hearing.rms == pytest.approx(0.3 / np.sqrt(2), rel=0.01)


def test_every_wait_after_the_first_sound_counts_and_delays_what_follows() -> None:
    arrivals = [
        Arrival(0.0, tone(0.1)),
        Arrival(0.15, tone(0.1)),  # 50 ms late
        Arrival(0.2, tone(0.1)),
        Arrival(0.55, tone(0.1)),  # 200 ms after 0.35
    ]
    hearing = listen(arrivals, RATE)
    assert hearing is not None
    assert hearing.waits == pytest.approx((0.05, 0.2))
    assert hearing.underrun == pytest.approx(0.25)
    assert hearing.longest_wait == pytest.approx(0.2)
    assert hearing.end == pytest.approx(0.65)


def test_leading_silence_and_the_waits_in_it_are_part_of_the_onset() -> None:
    hearing = listen([Arrival(1.0, silence(0.1)), Arrival(1.3, silence(0.1)), Arrival(1.35, tone(1))], RATE)
    assert hearing is not None
    assert hearing.onset == pytest.approx(1.4, abs=0.001)
    assert hearing.waits == ()


def test_an_onset_within_a_message_that_arrived_early_is_heard_when_it_is_played() -> None:
    quiet_then_loud = np.concatenate([silence(0.25), tone(0.25)])
    hearing = listen([Arrival(0.0, silence(0.5)), Arrival(0.01, quiet_then_loud)], RATE)
    assert hearing is not None
    assert hearing.onset == pytest.approx(0.75, abs=0.001)


def test_a_stream_without_sound_has_no_onset_and_one_without_samples_no_hearing() -> None:
    hearing = listen([Arrival(0.0, silence(1)), Arrival(2.0, silence(1))], RATE)
    assert hearing is not None
    assert hearing.onset is None
    assert hearing.waits == ()
    assert listen([], RATE) is None
    assert listen([Arrival(0.0, silence(0))], RATE) is None


@pytest.mark.parametrize(("level", "heard"), [(0.01001, 239), (0.0099, None)])
def test_audible_is_what_ends_10_ms_above_the_threshold(level: float, heard: int | None) -> None:
    assert first_audible(np.full(RATE, level, np.float32), RATE) == heard


def test_a_click_too_short_to_matter_is_not_audible() -> None:
    pcm = silence(0.5)
    pcm[1000] = 0.15  # 0.0097 over 10 ms
    assert first_audible(pcm, RATE) is None


@pytest.mark.parametrize("size", [1, 77, 240, 1000])
def test_how_the_stream_is_cut_does_not_matter_if_it_is_in_time(size: int) -> None:
    pcm = np.concatenate([silence(0.05), tone(0.2)])
    whole = listen([Arrival(0.0, pcm)], RATE)
    cut = listen([Arrival(0.0, pcm[at : at + size]) for at in range(0, len(pcm), size)], RATE)
    assert whole is not None
    assert cut is not None
    assert cut.onset == pytest.approx(whole.onset)
    assert cut.end == pytest.approx(whole.end)
    assert cut.waits == ()
