"""When a turn is over, told to the millisecond in virtual time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.ears import Final, Partial, VoiceStarted, VoiceStopped
from realtime.turns import HEARING_PAUSE, PauseSettings, Turn, Turns


class Caller:
    """Speaks; the recogniser takes ``slow`` seconds for each phrase."""

    def __init__(self, turns: Turns, slow: float = 0.1) -> None:
        self.turns = turns
        self.slow = slow
        self.now = 50.0
        self.taken: list[Turn] = []

    def wait(self, until: float) -> None:
        while (due := self.turns.due) is not None and max(due, self.now) <= until:
            self.now = max(due, self.now)
            self._take()
        self.now = max(self.now, until)

    def say(self, text: str, seconds: float = 1.0, then: float = 0.0) -> None:
        """So many seconds of voice, then silence, in which the phrase ends and is recognised."""
        start = self.now
        self._hear(VoiceStarted(start))
        self._hear(Partial(start, start + seconds / 2, text))
        self.wait(start + seconds)
        if then < HEARING_PAUSE:
            return
        self.wait(start + seconds + HEARING_PAUSE)
        self._hear(VoiceStopped(start + seconds))
        self.wait(start + seconds + min(then, HEARING_PAUSE + self.slow))
        self._hear(Final(start, start + seconds, text))
        self.wait(start + seconds + then)

    def _hear(self, event: VoiceStarted | VoiceStopped | Partial | Final) -> None:
        self.turns.hear(event, self.now)
        self._take()

    def _take(self) -> None:
        if turn := self.turns.take(self.now):
            self.taken.append(turn)


def test_a_turn_is_over_after_the_pause_and_not_before() -> None:
    caller = Caller(turns := Turns(PauseSettings()))
    caller.say("Hello there.", 1.0, then=0.49)
    assert (turns.text, turns.guess, caller.taken) == ("Hello there.", "Hello there.", [])
    caller.wait(51.5)
    assert caller.taken == [Turn("Hello there.", pytest.approx(51.0), pytest.approx(51.4))]
    caller.wait(60.0)
    assert len(caller.taken) == 1
    assert turns.text == ""


def test_a_slow_recogniser_is_waited_for() -> None:
    caller = Caller(Turns(PauseSettings()), slow=1.0)
    caller.say("Hello there.", 1.0, then=1.2)
    assert len(caller.taken) == 1
    caller = Caller(turns := Turns(PauseSettings()), slow=1.0)
    caller.say("Hello there.", 1.0, then=0.6)
    assert len(caller.taken) == 1
    assert turns.due is None


def test_who_goes_on_in_time_goes_on_with_his_turn() -> None:
    caller = Caller(turns := Turns(PauseSettings()))
    caller.say("Well,", 1.0, then=0.45)
    assert turns.guess == "Well,"
    caller.say("hello.", 1.0, then=2.0)
    assert [turn.text for turn in caller.taken] == ["Well, hello."]


def test_noise_is_no_turn() -> None:
    caller = Caller(turns := Turns(PauseSettings()))
    caller.say("", 2.0, then=5.0)
    assert caller.taken == []
    assert turns.due is None


def test_the_threshold_follows_the_speakers_own_pauses_within_its_bounds() -> None:
    settings = PauseSettings()
    caller = Caller(turns := Turns(settings))
    for _ in range(30):
        caller.say("A fluent turn.", 2.0, then=3.0)
    fluent = turns.threshold
    assert settings.shortest <= fluent < settings.pause - 0.1
    for _ in range(6):
        caller.say("Someone who", 1.0, then=0.7)
        caller.say("thinks.", 1.0, then=3.0)
    assert 0.8 <= turns.threshold <= settings.longest
    taken = len(caller.taken)
    caller.say("And he is", 1.0, then=0.75)
    caller.say("not cut off.", 1.0, then=3.0)
    assert [turn.text for turn in caller.taken[taken:]] == ["And he is not cut off."]
    for _ in range(30):
        caller.say("A fluent turn.", 2.0, then=3.0)
    assert turns.threshold == pytest.approx(fluent, abs=0.05)


def test_who_is_taken_to_be_done_too_early_was_not_fluent() -> None:
    caller = Caller(turns := Turns(PauseSettings()))
    caller.say("I would like", 1.0, then=0.6)
    turns.reopen(caller.taken[0].text)
    threshold = turns.threshold
    caller.say("a coffee.", 1.0, then=3.0)
    assert threshold == 0.5
    assert turns.threshold == pytest.approx(0.5 + 0.6 * (1.3 * 0.6 - 0.5))


def test_a_cough_between_two_turns_teaches_nothing_of_a_speakers_pauses() -> None:
    caller = Caller(turns := Turns(PauseSettings()))
    caller.say("A turn.", 2.0, then=3.0)
    threshold = turns.threshold
    caller.say("", 0.3, then=0.9)
    caller.say("Another.", 2.0, then=3.0)
    assert turns.threshold <= threshold


@given(st.lists(st.tuples(st.floats(0.1, 4.0), st.floats(0.3, 3.0)), max_size=30))
def test_whatever_he_does_the_threshold_keeps_its_bounds_and_no_word_is_lost(
    speech: list[tuple[float, float]],
) -> None:
    settings = PauseSettings(0.5, 0.4, 0.9)
    caller = Caller(turns := Turns(settings))
    for number, (seconds, pause) in enumerate(speech):
        caller.say(f"w{number}", seconds, then=pause)
        assert settings.shortest <= turns.threshold <= settings.longest
    caller.wait(caller.now + 5.0)
    assert " ".join(turn.text for turn in caller.taken).split() == [f"w{n}" for n in range(len(speech))]


def test_a_judge_ends_a_turn_sooner_or_later() -> None:
    for complete, silence in ((0.9, 0.3), (0.1, 1.2)):
        caller = Caller(turns := Turns(PauseSettings()))
        caller.say("I would like", 1.0, then=0.3)
        turns.judged(turns.question, complete)
        caller.wait(51.0 + silence - 0.001)
        assert caller.taken == []
        caller.wait(51.0 + silence + 0.001)
        assert len(caller.taken) == 1


def test_a_judgement_of_an_earlier_silence_is_void() -> None:
    caller = Caller(turns := Turns(PauseSettings()))
    caller.say("I would like", 1.0, then=0.4)
    asked = turns.question
    caller.say("a coffee", 1.0, then=0.3)
    turns.judged(asked, 0.99)
    caller.wait(caller.now + 0.15)
    assert caller.taken == []


def test_a_turn_that_was_not_over_is_taken_again_as_a_whole() -> None:
    caller = Caller(turns := Turns(PauseSettings()))
    caller.say("I would like", 1.0, then=0.6)
    turns.reopen(caller.taken[0].text)
    caller.say("a coffee.", 1.0, then=2.0)
    assert [turn.text for turn in caller.taken] == ["I would like", "I would like a coffee."]


def test_what_is_discarded_is_no_turn() -> None:
    caller = Caller(turns := Turns(PauseSettings()))
    caller.say("Mhm.", 0.4, then=0.42)
    turns.discard()
    caller.wait(60.0)
    assert caller.taken == []


@pytest.mark.parametrize("bounds", [(0.2, 0.3, 1.2), (1.3, 0.3, 1.2), (0.5, 0.05, 1.2), (0.5, 0.3, 20.0)])
def test_pauses_out_of_order_are_refused(bounds: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="expected seconds in that order"):
        PauseSettings(*bounds)
