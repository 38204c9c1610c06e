"""The scheduler as a pure function of events and times."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import Overloaded, StreamId
from engine.scheduler import OVERBOOKING, Plan, Scheduler, SchedulerConfig

A, B, C, D = (StreamId(n) for n in range(1, 5))


def scheduler(**limits: float) -> Scheduler:
    return Scheduler(SchedulerConfig(**({"max_streams": 8, "max_batch": 4} | limits)))  # type: ignore[arg-type]


def speak(s: Scheduler, stream: StreamId, seconds: float, now: float, *, last: bool = False) -> None:
    s.prefilled(stream)
    s.stepped(stream, seconds, last=last, now=now)
    s.taken(stream, seconds)


def opened(s: Scheduler, *streams: StreamId, paced: bool = True) -> Scheduler:
    for stream in streams:
        s.open(stream, paced=paced)
    return s


def test_nothing_to_do_without_text() -> None:
    s = opened(scheduler(), A)
    assert s.plan(0.0) == Plan((), (), None)


def test_a_queued_segment_is_prefilled_and_stepped_in_one_go() -> None:
    s = opened(scheduler(), A)
    s.queue(A, 0.0)
    assert s.plan(0.0) == Plan((A,), (A,), None)


def test_a_speaking_stream_is_stepped_without_prefill() -> None:
    s = opened(scheduler(), A)
    s.queue(A, 0.0)
    s.prefilled(A)
    assert s.plan(0.0) == Plan((), (A,), None)


def test_after_its_last_frame_the_next_segment_is_prefilled() -> None:
    s = opened(scheduler(), A)
    s.queue(A, 0.0)
    s.queue(A, 0.0)
    speak(s, A, 0.1, 0.0, last=True)
    assert s.plan(0.0).prefill == (A,)
    speak(s, A, 0.1, 0.0, last=True)
    assert s.plan(0.0).step == ()


def test_a_silent_stream_comes_before_one_that_can_be_heard() -> None:
    s = opened(scheduler(max_batch=1), A, B)
    s.queue(A, 0.0)
    speak(s, A, 0.05, 0.0)
    s.queue(B, 0.01)
    assert s.plan(0.02).step == (B,)


def test_silent_streams_in_the_order_in_which_they_had_something_to_say() -> None:
    s = opened(scheduler(max_batch=1), A, B)
    s.queue(B, 0.0)
    s.queue(A, 0.1)
    assert s.plan(0.2).step == (B,)


def test_a_stream_that_ran_dry_counts_as_silent_since_then() -> None:
    s = opened(scheduler(max_batch=1), A, B)
    s.queue(A, 0.0)
    speak(s, A, 0.1, 0.0)  # dry at 0.1
    s.queue(B, 0.5)
    assert s.plan(1.0).step == (A,)


def test_a_second_turn_is_as_urgent_as_a_first_one() -> None:
    """Nobody waits because he has spoken before."""
    s = opened(scheduler(max_batch=1), A, B)
    s.queue(A, 0.0)
    speak(s, A, 1.0, 0.0, last=True)  # heard to the end at 1.0
    s.queue(B, 5.0)
    s.queue(A, 5.1)
    assert s.plan(5.2).step == (B,)
    speak(s, B, 9.0, 5.2)
    assert s.plan(5.2).step == (A,)


def test_the_stream_nearest_to_running_dry_comes_first() -> None:
    s = opened(scheduler(max_batch=2), A, B, C)
    for stream, seconds in ((A, 3.0), (B, 1.0), (C, 2.0)):
        s.queue(stream, 0.0)
        speak(s, stream, seconds, 0.0)
    assert s.plan(0.5).step == (B, C)


def test_a_paced_stream_far_ahead_waits_and_says_until_when() -> None:
    s = opened(scheduler(max_ahead=2.0), A, B)
    for stream, seconds in ((A, 5.0), (B, 4.0)):
        s.queue(stream, 0.0)
        speak(s, stream, seconds, 0.0)
    assert s.plan(0.0) == Plan((), (), 2.0)
    assert s.plan(2.0).step == (B,)
    assert s.plan(3.0).step == (B, A)


def test_an_unpaced_stream_far_ahead_takes_what_is_left() -> None:
    s = opened(scheduler(max_ahead=2.0, max_batch=2), A, paced=False)
    opened(s, B, C)
    for stream, seconds in ((A, 9.0), (B, 0.3)):
        s.queue(stream, 0.0)
        speak(s, stream, seconds, 0.0)
    assert s.plan(0.0).step == (B, A)
    s.queue(C, 0.0)
    assert s.plan(0.0).step == (C, B)


def test_audio_that_nobody_takes_stops_its_stream_only() -> None:
    s = opened(scheduler(max_untaken=1.0), A, B)
    for stream in (A, B):
        s.queue(stream, 0.0)
        s.prefilled(stream)
        s.stepped(stream, 1.0, last=False, now=0.0)
    s.taken(B, 0.5)
    assert s.plan(0.0).step == (B,)
    s.taken(A, 1.0)
    assert set(s.plan(0.0).step) == {A, B}


def test_one_prefill_a_step() -> None:
    s = opened(scheduler(), A, B, C)
    for stream in (A, B, C):
        s.queue(stream, 0.0)
    s.prefilled(C)
    plan = s.plan(0.0)
    assert plan.prefill == (A,)
    assert set(plan.step) == {A, C}


def test_while_somebody_is_silent_only_who_is_short_of_speech_runs_beside() -> None:
    s = opened(scheduler(), A, B, C)
    for stream, seconds in ((A, 2.0), (B, 0.2)):
        s.queue(stream, 0.0)
        speak(s, stream, seconds, 0.0)
    assert s.plan(0.0).step == (B, A)
    s.queue(C, 0.0)
    assert s.plan(0.0).step == (C, B)
    speak(s, C, 0.1, 0.0)
    assert s.plan(0.0).step == (C, B, A)


def test_without_rivals_nobody_who_is_ahead_waits_for_somebody_who_is_silent() -> None:
    for rivals, step in ((True, (B,)), (False, (B, A))):
        s = opened(scheduler(max_ahead=2.0, rivals=rivals), A, B, paced=False)
        s.queue(A, 0.0)
        speak(s, A, 9.0, 0.0)
        s.queue(B, 0.0)
        assert s.plan(0.0).step == step


def test_several_prefills_a_step_for_a_model_that_reads_them_together() -> None:
    s = opened(scheduler(max_prefills=2), A, B, C)
    for stream in (A, B, C):
        s.queue(stream, 0.0)
    plan = s.plan(0.0)
    assert plan.prefill == (A, B)
    assert plan.step == (A, B)


def test_an_empty_frame_keeps_the_streams_place_in_the_queue() -> None:
    s = opened(scheduler(max_batch=1), A, B)
    s.queue(A, 0.0)
    s.queue(B, 0.1)
    s.prefilled(A)
    s.stepped(A, 0.0, last=False, now=0.2)
    assert s.plan(0.3) == Plan((), (A,), None)


def test_admission_is_refused_while_as_many_speak_as_may() -> None:
    s = opened(scheduler(max_streams=2), A, B)
    s.queue(A, 0.0)
    s.queue(B, 0.0)
    with pytest.raises(Overloaded, match="2 of 2 streams") as refusal:
        s.open(C, paced=True)
    assert refusal.value.retry_after > 0
    speak(s, A, 0.1, 0.0, last=True)
    s.open(C, paced=True)
    assert len(s) == 3


def test_silent_streams_are_overbooked_within_limits() -> None:
    """Whoever holds a socket open between two turns leaves the machine to others, but not without end."""
    s = scheduler(max_streams=2)
    for number in range(2 * OVERBOOKING):
        s.open(StreamId(number), paced=True)
    with pytest.raises(Overloaded, match="8 streams are open"):
        s.open(StreamId(99), paced=True)
    s.close(StreamId(0))
    s.open(StreamId(99), paced=True)


def test_a_report_of_what_was_played_moves_the_deadline() -> None:
    s = opened(scheduler(max_batch=1), A, B)
    for stream in (A, B):
        s.queue(stream, 0.0)
        speak(s, stream, 5.0, 0.0)
    s.played(B, 0.2, 1.0)  # the clock thought it had 4 s left
    assert s.plan(1.0).step == (B,)


def test_a_closed_stream_is_gone_at_once_and_late_reports_about_it_are_void() -> None:
    s = opened(scheduler(), A)
    s.queue(A, 0.0)
    s.close(A)
    s.close(A)
    assert s.plan(0.0) == Plan((), (), None)
    speak(s, A, 1.0, 0.0)
    assert len(s) == 0


@given(st.data())
def test_everything_that_was_queued_is_spoken_in_the_end(data: st.DataObject) -> None:
    """Whatever happens in whatever order, no stream starves and no batch is too large."""
    s = scheduler(max_streams=4, max_batch=2, max_ahead=1.0, max_untaken=1.0)
    segments = {
        stream: data.draw(st.integers(0, 4), label=f"segments of {stream}") for stream in (A, B, C, D)
    }
    for stream in segments:
        s.open(stream, paced=data.draw(st.booleans()))
    frames_left: dict[StreamId, int] = {}
    queue = [stream for stream, count in segments.items() for _ in range(count)]
    now = 0.0
    for stream in data.draw(st.permutations(queue)):
        s.queue(stream, now)
    spoken = dict.fromkeys(segments, 0)
    for _ in range(500):
        plan = s.plan(now)
        assert len(plan.step) <= 2
        assert len(set(plan.step)) == len(plan.step)
        assert len(plan.prefill) <= 1
        assert set(plan.prefill) <= set(plan.step)
        if not plan.step:
            if plan.wake_at is None:
                break
            assert plan.wake_at > now
            now = plan.wake_at
            continue
        for stream in plan.prefill:
            assert frames_left.get(stream, 0) == 0
            frames_left[stream] = data.draw(st.integers(1, 5))
            s.prefilled(stream)
        for stream in plan.step:
            frames_left[stream] -= 1
            last = frames_left[stream] == 0
            s.stepped(stream, 0.4, last=last, now=now)
            spoken[stream] += last
            s.taken(stream, 0.4)
        now += 0.01
    assert spoken == segments
