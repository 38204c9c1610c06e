from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.dubbing import Caption, Ended, Limits, LineReport, Note, Planner
from realtime.dubbing.fitting import Measured
from realtime.dubbing.planner import FADE_SECONDS, Begin, Forget, Shorten, Speak
from tests.realtime.dubbing.lines import measured_lines

LIMITS = Limits()
NEAR = 1e-6


def line(seconds: float) -> Measured:
    """A line with a word every half second."""
    return Measured(
        seconds, (), tuple(0.5 * n for n in range(1, int(seconds / 0.5) + 1) if 0.5 * n < seconds)
    )


@dataclass
class Stage:
    """A planner, the lengths of what it has spoken, and what became of all."""

    speech: dict[str, Measured]
    planner: Planner = field(default_factory=Planner)
    latency: float = 0.0  # seconds of audio until a line is spoken
    speaking: dict[int, tuple[float, Caption]] = field(default_factory=dict)
    since: float = 0.0
    most_at_once: int = 0
    held: set[int] = field(default_factory=set)
    heard: dict[int, tuple[Caption, float, float, float]] = field(
        default_factory=dict
    )  # from, to, asked from
    reports: list[LineReport] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def act(self) -> None:
        while actions := self.planner.actions():
            for action in actions:
                match action:
                    case Speak(key, caption):
                        assert key not in self.held
                        self.held.add(key)
                        self.speaking[key] = self.planner.now + self.latency, caption
                        self.most_at_once = max(self.most_at_once, len(self.speaking))
                    case Forget(key):
                        self.held.remove(key)
                        self.speaking.pop(key, None)
                    case Begin(key, at, fitted, report):
                        assert key not in self.speaking
                        self.held.remove(key)
                        asked = report.caption.start - self.planner.offset
                        self.heard[key] = report.caption, at, at + fitted.seconds, asked
                        assert self.since <= at < self.planner.now  # in the step that was just made
                    case Shorten(key, at):
                        caption, start, end, asked = self.heard[key]
                        assert start <= at <= end
                        self.heard[key] = caption, start, at, asked
                    case Ended(report):
                        self.reports.append(report)
                    case Note(message):
                        self.notes.append(message)
            if not self.latency:
                self.arrive()

    def arrive(self) -> None:
        for key, (at, caption) in list(self.speaking.items()):
            if at <= self.planner.now:
                del self.speaking[key]
                self.planner.measured(key, self.speech[caption.text])

    def step(self, until: float) -> None:
        self.arrive()
        self.act()
        self.since = self.planner.now
        self.planner.advance(until)
        self.act()

    def run(self, step: float = 1.0) -> list[LineReport]:
        self.act()
        for _ in range(10_000):
            if self.planner.idle:
                break
            self.step(self.planner.now + step)
        else:
            pytest.fail("it never ends")
        assert not self.held
        assert not self.speaking
        return sorted(
            self.reports, key=lambda report: (report.caption.start, len(report.caption.id), report.caption.id)
        )


def planned(
    *lines: tuple[float, float, float], voices: str = "", limits: Limits = LIMITS
) -> list[LineReport]:
    """What becomes of captions (start, end, natural length), the same whatever the step."""
    found = []
    for step in (0.1, 1.0, 100.0):
        stage = Stage({str(n): line(length) for n, (_, _, length) in enumerate(lines)}, Planner(limits))
        for n, (start, end, _) in enumerate(lines):
            stage.planner.put(Caption(str(n), start, end, str(n), voices[n] if voices else ""))
        found.append(stage.run(step))
    assert found[0] == found[1] == found[2]
    return found[0]


def test_lines_that_fit_are_on_time_at_their_own_pace():
    first, second = planned((1, 3, 1.9), (3, 5, 1.0))
    assert (first.start, first.end, first.speed, first.drift) == (1, 2.9, 1.0, 0)
    assert (second.start, second.end, second.outcome) == (3, 4, "spoken")


def test_a_line_that_is_too_long_goes_on_into_the_gap_and_disturbs_nobody():
    first, second = planned((0, 1, 2.0), (2, 3, 1.0))
    assert first.speed == 1.3
    assert first.end == pytest.approx(2.0 / 1.3)
    assert second.drift == 0


def test_a_line_that_is_longer_than_the_gap_pushes_the_next_which_catches_up():
    _, second, third = planned((0, 1, 2.6), (1, 3, 1.6), (3, 4, 1.0))
    assert second.start == pytest.approx(2.0 + LIMITS.breath)
    assert second.speed == pytest.approx(1.3)  # nothing is left of its time: as fast as may be
    assert third.start == pytest.approx(second.end + LIMITS.breath)
    assert third.drift < second.drift


def test_drift_is_over_as_soon_as_a_gap_allows():
    _, second, third = planned((0, 1, 2.6), (1, 3, 1.3), (5, 6, 0.9))
    assert second.drift > 1
    assert third.drift == 0


def test_rather_than_push_too_far_a_line_is_broken_off_behind_a_word():
    first, second = planned((0, 1, 9.9), (1, 3, 1.0))
    assert first.outcome == "cut"
    assert first.end <= 1 + LIMITS.max_drift - LIMITS.breath
    assert first.unsaid == pytest.approx(9.9 - 3.5)  # seven words of half a second, at 1.3
    assert second.start == pytest.approx(first.end + LIMITS.breath)
    assert second.drift <= LIMITS.max_drift


def test_nobody_is_waited_for_behind_the_last_line():
    (only,) = planned((0, 1, 30.0))
    assert only.outcome == "spoken"
    assert only.end == pytest.approx(30 / 1.3)


def test_one_voice_speaks_one_after_the_other_and_two_at_the_same_time():
    first, second = planned((0, 2, 1.0), (0.5, 2, 1.0))
    assert second.start == pytest.approx(first.end + LIMITS.breath)
    first, second = planned((0, 2, 1.0), (0.5, 2, 1.0), voices="ab")
    assert (first.start, first.end, second.start) == (0, 1, 0.5)


def test_what_cannot_be_heard_takes_no_time():
    _, silent, third = planned((0, 2, 1.9), (2, 4, 0.0), (2, 4, 1.9))
    assert silent.outcome == "silent"
    assert silent.start is None
    assert third.drift == 0


def test_an_empty_caption_is_not_even_spoken():
    stage = Stage({})
    stage.planner.put(Caption("a", 0, 1, " \n"))
    (report,) = stage.run()
    assert report.outcome == "silent"


CAPTIONS = st.lists(
    st.tuples(st.floats(0, 60), st.floats(0, 6), measured_lines(), st.sampled_from("aab")), max_size=12
)


def check(stage: Stage, limits: Limits) -> None:
    """What holds for everything that was heard."""
    for voice in "ab":
        times = sorted(times[1:] for times in stage.heard.values() if times[0].voice == voice)
        for (_, end, _), (start, _, _) in pairwise(times):
            assert start >= end + limits.breath - NEAR
    for _, start, end, asked in stage.heard.values():
        assert end >= start
        assert -NEAR <= start - asked <= limits.max_drift + NEAR
    for report in stage.reports:
        assert 1 <= report.speed <= limits.max_speed
        assert (report.start is None) == (report.outcome in ("silent", "missed"))
        assert bool(report.reason) == (report.outcome == "missed")
        assert (report.unsaid > 0) == (report.outcome == "cut")


@given(CAPTIONS, st.sampled_from([0.0, 0.5, 2.0]), st.sampled_from([0.3, 1.0]))
def test_any_file(captions, max_drift, step):
    limits = Limits(max_drift=max_drift, ahead=12)
    stage = Stage({str(n): measured for n, (_, _, measured, _) in enumerate(captions)}, Planner(limits))
    for n, (start, length, _, voice) in enumerate(captions):
        stage.planner.put(Caption(str(n), start, start + length, str(n), voice))
    reports = stage.run(step)
    assert sorted(int(report.caption.id) for report in reports) == list(range(len(captions)))
    assert stage.most_at_once <= limits.at_once
    check(stage, limits)
    for voice in "ab":  # nobody waits longer than they must
        free = 0.0
        for report in reports:
            if report.caption.voice == voice and report.start is not None and report.end is not None:
                assert report.start == pytest.approx(max(report.caption.start, free))
                free = report.end + limits.breath


@given(CAPTIONS)
def test_captions_with_room_are_all_on_time(captions):
    at = 0.0
    stage = Stage({str(n): measured for n, (_, _, measured, _) in enumerate(captions)})
    for n, (gap, _, measured, voice) in enumerate(captions):
        at += gap
        stage.planner.put(Caption(str(n), at, at + measured.seconds / 1.3, str(n), voice))
        at += measured.seconds / 1.3 + LIMITS.breath
    for report in stage.run():
        assert report.outcome == "spoken"
        assert report.drift == pytest.approx(0, abs=NEAR)


EVENTS = st.lists(
    st.one_of(
        st.tuples(
            st.just("put"), st.integers(0, 9), st.floats(-3, 20), st.floats(0, 5), st.sampled_from("aab")
        ),
        st.tuples(st.just("remove"), st.integers(0, 9)),
        st.tuples(st.just("sync"), st.floats(-2, 2)),
        st.tuples(st.just("wait"), st.floats(0.1, 4)),
        st.tuples(st.just("fail"), st.integers(0, 9)),
    ),
    max_size=60,
)


@settings(max_examples=300)
@given(EVENTS, st.lists(measured_lines(), min_size=3, max_size=3), st.sampled_from([0.0, 0.4, 3.0]))
def test_any_feed(events, lengths, latency):
    limits = Limits(speak_ahead=10.0)
    speech = {str(n): measured for n, measured in enumerate(lengths)}
    stage = Stage(speech, Planner(limits), latency)
    planner = stage.planner
    puts = 0
    for event in events:
        match event:
            case ("put", id_, start, length, voice):
                start = max(0.0, planner.now + planner.offset + start)
                planner.put(Caption(str(id_), start, start + length, str(id_ % 3), voice))
                puts += 1
            case ("remove", id_):
                planner.remove(str(id_))
            case ("sync", by):
                planner.sync(planner.offset + by)
            case ("fail", id_):
                for key, (_, caption) in list(stage.speaking.items()):
                    if caption.id == str(id_):
                        planner.failed(key, "out of breath")
            case ("wait", seconds):
                for _ in range(int(seconds / 0.1)):
                    stage.step(planner.now + 0.1)
        stage.act()
    stage.run(0.1)
    check(stage, limits)
    assert stage.most_at_once <= limits.at_once
    assert len(stage.reports) <= puts


def test_a_revision_before_it_is_heard_is_what_is_heard():
    stage = Stage({"old": line(1.0), "new": line(2.0)})
    stage.planner.put(Caption("a", 5, 8, "old"))
    stage.act()
    stage.planner.put(Caption("a", 6, 9, "old"))  # later, but the same words: they are not spoken again
    stage.act()
    assert len(stage.held) == 1
    assert not stage.speaking
    stage.planner.put(Caption("a", 6, 9, "new"))
    (report,) = stage.run()
    assert (report.caption.text, report.start, report.natural) == ("new", 6, 2.0)


def test_what_is_being_heard_is_not_revised_but_can_be_taken_back():
    stage = Stage({"old": line(3.0)})
    stage.planner.put(Caption("a", 0, 3, "old"))
    stage.act()
    stage.step(1.0)
    stage.planner.put(Caption("a", 0, 3, "new"))
    stage.act()
    assert "being heard" in stage.notes[0]
    stage.planner.remove("a")
    (report,) = stage.run()
    assert report.outcome == "cut"
    assert report.end == pytest.approx(1 + FADE_SECONDS)
    assert report.unsaid == pytest.approx(2 - FADE_SECONDS)


def test_a_caption_that_comes_late_begins_at_once_or_not_at_all():
    stage = Stage({"x": line(1.0)})
    for now in (10.0, 11.0):
        stage.step(now)
    stage.planner.put(Caption("late", 9.5, 12, "x"))
    stage.planner.put(Caption("too late", 8.5, 10, "x"))
    reports = {report.caption.id: report for report in stage.run()}
    assert reports["late"].start == 11.0
    assert reports["late"].drift == 1.5
    assert reports["too late"].outcome == "missed"
    assert "within 2 s" in reports["too late"].reason


def test_a_caption_that_nobody_expected_breaks_off_the_line_before_it():
    stage = Stage({"long": line(9.0), "x": line(1.0)})
    stage.planner.put(Caption("long", 0, 1, "long"))
    stage.act()
    stage.step(1.0)
    stage.planner.put(Caption("x", 2, 3, "x"))
    first, second = stage.run(0.1)
    assert first.outcome == "cut"
    assert second.drift <= LIMITS.max_drift
    assert second.start == pytest.approx(first.end + LIMITS.breath)


def test_a_line_that_is_not_spoken_in_time_is_given_up_and_holds_nobody_up_for_long():
    stage = Stage({"x": line(1.0)}, latency=5.0)
    stage.planner.put(Caption("a", 1, 2, "x"))
    stage.planner.put(Caption("b", 6, 7, "x"))
    first, second = stage.run(0.1)
    assert first.outcome == "missed"
    assert "not spoken" in first.reason
    assert second.drift == 0


def test_the_captions_clock_can_be_moved():
    stage = Stage({"x": line(1.0)}, Planner(offset=100.0))
    stage.planner.put(Caption("a", 103, 104, "x"))
    stage.planner.put(Caption("b", 110, 111, "x"))
    stage.act()
    stage.step(5.0)
    stage.planner.sync(103.0)
    stage.run()
    assert [(start, end) for _, start, end, _ in stage.heard.values()] == [(3, 4), (7, 8)]
    assert [report.drift for report in stage.reports] == [0, 0]


def test_a_voice_of_two_names_speaks_one_line_after_the_other():
    names = {"": "heart", "narrator": "heart", "otto": "otto"}
    stage = Stage({"x": line(1.0)}, Planner(same=names.__getitem__))
    for n, name in enumerate(names):
        stage.planner.put(Caption(str(n), 1, 2, "x", name))
    usual, narrator, otto = sorted(stage.run(), key=lambda report: report.caption.id)
    assert (usual.start, otto.start) == (1, 1)
    assert narrator.start == pytest.approx(usual.end + LIMITS.breath)
    assert [report.caption.voice for report in (usual, narrator, otto)] == list(names)


def test_no_more_is_spoken_ahead_than_may_be():
    limits = Limits(at_once=2, ahead=3, speak_ahead=50)
    stage = Stage({"x": line(1.0)}, Planner(limits), latency=1.0)
    for n in range(20):
        stage.planner.put(Caption(str(n), 10.0 * n, 10.0 * n + 1, "x"))
    stage.act()
    assert len(stage.speaking) == 2
    stage.step(1.0)
    stage.step(2.0)
    assert len(stage.held) == 3
    for n in range(20):
        stage.planner.put(Caption(f"before {n}", 4 + n / 10, 5, "x"))
        stage.act()
        stage.step(stage.planner.now + 0.01)
    assert len(stage.held) <= 2 * limits.ahead
    assert stage.most_at_once == 2


def test_an_unknown_id_is_told():
    stage = Stage({})
    stage.planner.remove("nobody")
    stage.act()
    assert "nobody" in stage.notes[0]
