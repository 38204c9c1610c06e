import numpy as np
import pytest

from benchmarks.conversation.playback import Clear, Timeline, goes_on_at, play, waits
from benchmarks.listener import Arrival, Samples

RATE = 24_000


def tone(seconds: float) -> Samples:
    return np.sin(np.arange(round(seconds * RATE)) * 2 * np.pi * 440 / RATE).astype(np.float32) * 0.3


def heard(*came: Arrival | Clear) -> Timeline:
    return Timeline([(one.start, one.pcm) for one in play(came, RATE)], RATE)


def test_what_comes_ahead_is_played_in_its_time() -> None:
    played = play([Arrival(10.0, tone(0.5)), Arrival(10.1, tone(0.5)), Arrival(11.2, tone(0.5))], RATE)
    assert [one.start for one in played] == pytest.approx([10.0, 10.5, 11.2])
    assert [one.arrived for one in played] == [10.0, 10.1, 11.2]
    assert list(waits(played, RATE)) == pytest.approx([0.2])


def test_a_clear_drops_what_was_not_played_and_the_silence_after_it_is_no_wait() -> None:
    played = play(
        [Arrival(0.0, tone(0.5)), Arrival(0.0, tone(0.5)), Clear(0.3), Arrival(2.0, tone(0.1))], RATE
    )
    assert [one.pcm.size / RATE for one in played] == pytest.approx([0.3, 0.1])
    assert [one.fresh for one in played] == [True, True]
    assert list(waits(played, RATE)) == []


def test_a_clear_after_all_was_played_takes_nothing() -> None:
    [one] = play([Arrival(0.0, tone(0.5)), Clear(0.8)], RATE)
    assert one.pcm.size == tone(0.5).size


def test_the_last_sound_is_the_last_one_that_was_played() -> None:
    timeline = heard(Arrival(5.0, tone(1.0)), Clear(5.3), Arrival(7.0, tone(0.5)))
    assert timeline.last_sound(6.0) == pytest.approx(5.3, abs=0.001)
    assert timeline.last_sound(9.0) == pytest.approx(7.5, abs=0.001)
    assert timeline.last_sound(4.0) is None
    assert timeline.onset(5.3) == pytest.approx(7.0, abs=0.001)
    assert timeline.onset(0.0) == pytest.approx(5.0, abs=0.001)
    assert timeline.onset(7.6) is None


def test_silence_at_both_ends_is_no_sound() -> None:
    quiet = np.zeros(RATE // 2, np.float32)
    timeline = heard(Arrival(1.0, np.concatenate([quiet, tone(1.0), quiet])))
    assert timeline.onset(0.0) == pytest.approx(1.5, abs=0.001)
    assert timeline.last_sound(10.0) == pytest.approx(2.5, abs=0.001)


def test_sound_is_counted_without_the_pauses_in_it() -> None:
    pause = np.zeros(round(0.2 * RATE), np.float32)
    timeline = Timeline([(1.0, np.concatenate([tone(0.06), pause, tone(1.0)]))], RATE)
    assert timeline.sounded(0.05, 1.0) == pytest.approx(1.05, abs=0.001)
    assert timeline.sounded(0.1, 1.0) == pytest.approx(1.3, abs=0.001)
    assert timeline.sounded(2.0, 1.0) is None


def test_a_timeline_of_nothing_is_silent() -> None:
    timeline = Timeline([], RATE)
    assert timeline.onset(0.0) is timeline.last_sound(1.0) is None


@pytest.mark.parametrize(
    ("before", "after", "first"),
    [
        ([b"a", b"b", b"c"], [b"c", b"d"], 2),
        ([b"a", b"b", b"c"], [b"b", b"c", b"d"], 1),
        ([b"a", b"a", b"a"], [b"a", b"a", b"b"], 1),
        ([b"a", b"b"], [b"c"], 2),
        ([b"a", b"b", b"c", b"d"], [b"b", b"c"], 1),
        ([], [b"a"], 0),
    ],
)
def test_packets_that_are_sent_again(before: list[bytes], after: list[bytes], first: int) -> None:
    assert goes_on_at(before, after) == first
