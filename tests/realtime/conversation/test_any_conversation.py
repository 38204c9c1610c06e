"""Whatever the caller, the mind and the client do, and whenever: what must hold does."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime.conversation import AgentConfig
from realtime.conversation.actions import HangUp, StopThinking, Think
from realtime.conversation.events import Interrupt, Leave, Say, ToolResult, UserText
from realtime.mind.base import ToolCall
from tests.realtime.conversation.stage import SPEECH, Stage, Thoughts

APOLOGY, FILLER = "Pardon~me~for~that.", "Just~a~moment~please."

words = st.integers(1, 12)
thoughts = st.one_of(
    st.builds(
        Thoughts,
        st.lists(st.sampled_from(["a ", "parrot ", "speaks, ", "and then. "]), min_size=1, max_size=25),
        delay=st.floats(0.02, 3.0),
        gap=st.floats(0.0, 0.2),
        fails=st.sampled_from([None, None, None, "503"]),
    ),
    st.builds(Thoughts, st.just(["I look. ", "CALL"]), delay=st.floats(0.02, 1.0)),
    st.just(Thoughts(never_ends=True)),
)
caller = st.one_of(
    st.tuples(st.just("say"), words),
    st.tuples(st.just("cough"), st.floats(0.1, 0.45)),
    st.tuples(st.just("noise"), st.floats(0.5, 5.0)),
    st.tuples(st.just("mhm"), st.just(0.4)),
    st.tuples(st.just("mumble"), st.floats(0.3, 3.0)),
    st.tuples(st.just("deaf"), st.just(0)),
    st.tuples(st.just("digit"), st.sampled_from(["1", "#"])),
    st.tuples(st.just("result"), st.just(0)),
    st.tuples(st.just("typed"), st.just(0)),
    st.tuples(st.just("client says"), st.booleans()),
    st.tuples(st.just("interrupt"), st.just(0)),
)
steps = st.lists(st.tuples(caller, st.floats(0.0, 4.0)), max_size=12)
configs = st.builds(
    AgentConfig,
    st.just(SPEECH),
    greeting=st.sampled_from(["", "Hello there, who is calling?"]),
    greeting_protected=st.booleans(),
    interruptible=st.sampled_from([True, True, True, False]),
    digits_interrupt=st.booleans(),
    apology=st.sampled_from([APOLOGY, ""]),
    filler=st.sampled_from([FILLER, ""]),
    mind_seconds=st.just(6.0),
    tool_seconds=st.just(4.0),
)


class Script:
    """Plays steps on a stage; what the caller really said is ``said``."""

    def __init__(self, config: AgentConfig, minds: list[Thoughts]) -> None:
        number = 0
        unique = []
        for mind in minds:
            made: list[str | ToolCall] = []
            for thought in mind.thoughts:
                if thought == "CALL":
                    number += 1
                    made.append(ToolCall(f"c{number}", "look", "{}"))
                else:
                    made.append(thought)
            unique.append(replace(mind, thoughts=made))
        self.stage = Stage(config, unique).start()
        self.said: list[str] = []
        self.free = 0.0  # when the caller's mouth is

    def play(self, step: tuple[str, float], wait: float) -> None:
        stage = self.stage
        kind, amount = step
        after = max(0.0, self.free - stage.now)
        match kind:
            case "say":
                said = [f"w{len(self.said) + number}" for number in range(int(amount))]
                self.said += said
                self.free = stage.now + stage.say(" ".join(said), max(0.6, 0.3 * amount), after) + 0.05
            case "cough" | "noise":
                self.free = stage.now + stage.say("", amount, after) + 0.05
            case "mhm":
                self.free = stage.now + stage.say("Mhm.", amount, after) + 0.05
            case "mumble":
                over = stage.say("Please~stop that.", amount, after, final="")
                self.free = stage.now + over + 0.05
            case "deaf":  # the recogniser has failed while nobody spoke
                if after == 0.0:
                    stage.conversation.deafened(stage.now)
                    stage.act()
            case "digit":
                stage.digit(str(amount))
            case "result":
                for number in range(1, 9):
                    stage.do(ToolResult(f"c{number}", "found"))
            case "typed":
                self.said.append(f"w{len(self.said)}")
                stage.do(UserText(self.said[-1]))
            case "client says":
                stage.do(Say("News~from~the~client.", protected=bool(amount)))
            case "interrupt":
                stage.do(Interrupt())
        stage.run(wait)


@given(configs, st.lists(thoughts, min_size=1, max_size=6), steps, st.floats(0.0, 3.0))
@settings(max_examples=120, deadline=None)
def test_nothing_stale_is_heard_and_what_was_heard_is_remembered(
    config: AgentConfig, minds: list[Thoughts], script: list[tuple[tuple[str, float], float]], last: float
) -> None:
    played = Script(config, minds)
    stage = played.stage
    for step, wait in script:
        played.play(step, wait)
    stage.check_history(APOLOGY, FILLER)
    stage.run(last)
    stage.hang_up()
    stage.check_history(APOLOGY, FILLER)
    stage.run(5.0)
    asked = [action.turn for _, action in stage.actions if isinstance(action, Think)]
    stopped = [action.turn for _, action in stage.actions if isinstance(action, StopThinking)]
    assert len(stopped) <= len(asked)


@given(configs, st.lists(thoughts, min_size=1, max_size=6), steps)
@settings(max_examples=120, deadline=None)
def test_no_word_of_the_caller_is_lost_and_in_the_end_everybody_is_silent(
    config: AgentConfig, minds: list[Thoughts], script: list[tuple[tuple[str, float], float]]
) -> None:
    script = [(step, wait) for step, wait in script if step[0] != "interrupt"]
    played = Script(config, minds)
    stage = played.stage
    for step, wait in script:
        played.play(step, wait)
    stage.run(max(0.0, played.free - stage.now) + 120.0)
    assert stage.active is None
    assert stage.utterance is None
    assert not stage.held
    assert stage.conversation.due is None
    stage.check_history(APOLOGY, FILLER)
    heard = [word for role, text in stage.history if role == "user" for word in text.split()]
    assert sorted(word for word in heard if word[0] == "w") == sorted(played.said)
    stage.do(Leave())
    assert isinstance(stage.actions[-1][1], HangUp)
    stage.hang_up()


@given(configs, st.lists(thoughts, min_size=1, max_size=6), steps, steps)
@settings(max_examples=120, deadline=None)
def test_who_is_to_leave_does_when_everything_has_been_answered(
    config: AgentConfig,
    minds: list[Thoughts],
    before: list[tuple[tuple[str, float], float]],
    after: list[tuple[tuple[str, float], float]],
) -> None:
    played = Script(config, minds)
    stage = played.stage
    for step, wait in before:
        played.play(step, wait)
    stage.do(Leave())
    for step, wait in after:
        if not any(isinstance(action, HangUp) for _, action in stage.actions):
            played.play(step, wait)
    stage.run(max(0.0, played.free - stage.now) + 120.0)
    stage.check_history(APOLOGY, FILLER)
    assert [isinstance(action, HangUp) for _, action in stage.actions].count(True) == 1


@given(st.floats(0.0, 6.0), st.integers(2, 12))
@settings(max_examples=80, deadline=None)
def test_after_the_words_of_an_interruption_not_a_sound_of_the_old_reply(moment: float, count: int) -> None:
    story = Thoughts(["and so it goes on, "] * 20)
    stage = Stage(AgentConfig(SPEECH), [story, Thoughts(["Fine."])]).start()
    stage.run(stage.say("Tell me a story.") + moment)
    spoke = stage.now
    seconds = 0.3 * count
    stage.run(stage.say(" ".join(f"w{number}" for number in range(count)), seconds) + 6.0)
    old = [at for at, turn in stage.sounds if turn == 1]
    if moment > 0.3:
        assert max(old) <= spoke + 0.15
        assert stage.history[-1] == ("assistant", "Fine.")
    stage.check_history()


@pytest.mark.parametrize("order", [(0.0, 0.45), (0.45, 0.0)])
def test_two_who_begin_at_the_same_moment(order: tuple[float, float]) -> None:
    stage = Stage(AgentConfig(SPEECH), [Thoughts(["One."]), Thoughts(["Two."])]).start()
    stage.run(stage.say("Hello there.") + order[0])
    stage.say("And another thing.")
    stage.run(order[1] + 6.0)
    assert (
        " ".join(text for role, text in stage.history if role == "user") == "Hello there. And another thing."
    )
    assert stage.history[-1][0] == "assistant"
