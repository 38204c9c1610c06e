"""Conversations in virtual time: what is thought about, said, broken off and remembered."""

from dataclasses import replace

import pytest

from realtime.conversation import AgentConfig
from realtime.conversation.actions import BeginReply, CancelReply, HangUp, Hold, Resume, SayText, Think
from realtime.conversation.events import (
    Held,
    Instruct,
    Interrupt,
    Interrupted,
    Latencies,
    Leave,
    MindFailed,
    ReplyEnded,
    Resumed,
    Say,
    SpokenWords,
    Thinking,
    ToolCalled,
    ToolResult,
    TranscriptFinal,
    TranscriptPartial,
    TurnEnded,
    UserText,
)
from realtime.conversation.reply import UNANSWERED
from realtime.ears import Final, Partial, VoiceStarted, VoiceStopped
from realtime.mind.base import Message, Tool, ToolCall
from tests.realtime.conversation.stage import ONSET, PACE, SPEECH, TICK, Stage, Thoughts

CONFIG = AgentConfig(SPEECH)
STORY = "Once upon a time there was a parrot who said whatever he heard, and nobody knew why."
TELLS = Thoughts([word + " " for word in STORY.split()])


def heard(stage: Stage) -> str:
    words = [word for event in stage.events(SpokenWords) for word in event.words]  # type: ignore[union-attr]
    return " ".join(word.text for word in words)


# -- a turn and its answer --------------------------------------------------------------------------------


def test_a_question_is_answered() -> None:
    stage = Stage(replace(CONFIG, instructions="Be brief."), [Thoughts(["It is ", "noon."])]).start()
    stage.say("What time is it?")
    stage.run(5.0)
    assert stage.asked == [(Message("system", "Be brief."), Message("user", "What time is it?"))]
    assert stage.history == [("user", "What time is it?"), ("assistant", "It is noon.")]
    kinds = TranscriptPartial | TranscriptFinal | TurnEnded | Thinking | ReplyEnded
    order = [type(event) for _, event in stage.told if isinstance(event, kinds)]
    assert list(dict.fromkeys(order)) == [TranscriptPartial, TranscriptFinal, TurnEnded, Thinking, ReplyEnded]
    assert {event.turn for _, event in stage.told if isinstance(event, kinds)} == {1}
    assert heard(stage) == "It is noon."


def test_an_answer_is_decided_on_after_the_pause_and_spoken_at_once() -> None:
    stage = Stage(mind=[Thoughts(["Noon."], delay=0.05)]).start()
    stage.say("What time is it?", 1.0)
    stage.run(5.0)
    (latencies,) = stage.events(Latencies)
    assert isinstance(latencies, Latencies)
    assert latencies.transcript == pytest.approx(0.4, abs=2 * TICK)
    assert latencies.decided == pytest.approx(0.5, abs=2 * TICK)
    assert latencies.first_token == pytest.approx(0.55, abs=3 * TICK)
    assert latencies.first_audio == pytest.approx(0.55, abs=4 * TICK)


def test_a_greeting_comes_first_and_is_remembered() -> None:
    stage = Stage(replace(CONFIG, greeting="Hello, who is there?")).start()
    assert isinstance(stage.actions[0][1], BeginReply)
    stage.run(3.0)
    stage.say("It is me.")
    stage.run(4.0)
    assert stage.history == [
        ("assistant", "Hello, who is there?"),
        ("user", "It is me."),
        ("assistant", "Well."),
    ]


def test_a_mind_that_says_nothing_leaves_the_caller_his_turn() -> None:
    stage = Stage(mind=[Thoughts(["  "]), Thoughts(["Yes."])]).start()
    stage.run(stage.say("Hello?") + 2.0)
    assert stage.events(ReplyEnded) == [ReplyEnded(1, "")]
    stage.run(stage.say("Anyone?") + 2.0)
    assert stage.history == [("user", "Hello? Anyone?"), ("assistant", "Yes.")]


def test_old_turns_are_forgotten_whole() -> None:
    stage = Stage(replace(CONFIG, max_history=5)).start()
    for number in range(8):
        stage.run(stage.say(f"Turn {number}.") + 2.0)
    assert stage.history[0] == ("user", "Turn 6.")
    assert len(stage.asked[-1]) <= 5


# -- interruptions ----------------------------------------------------------------------------------------


def test_words_interrupt_and_the_history_ends_with_the_last_one_heard() -> None:
    stage = Stage(mind=[TELLS, Thoughts(["Fine."])]).start()
    stage.run(stage.say("Tell me a story.") + 2.5)
    before = heard(stage)
    assert 3 < len(before.split()) < 12
    stage.run(stage.say("No, stop that please.") + 3.0)
    (broken,) = stage.events(Interrupted)
    assert isinstance(broken, Interrupted)
    assert STORY.startswith(broken.text)
    assert broken.text == heard(stage).removesuffix(" Fine.")
    assert stage.history == [
        ("user", "Tell me a story."),
        ("assistant", broken.text),
        ("user", "No, stop that please."),
        ("assistant", "Fine."),
    ]
    stage.check_history()


def test_a_voice_silences_the_agent_at_once() -> None:
    stage = Stage(mind=[TELLS]).start()
    stage.run(stage.say("Tell me a story.") + 2.0)
    spoke = stage.now
    stage.say("Please stop it now.")
    stage.run(3.0)
    assert max(at for at, turn in stage.sounds if turn == 1) <= spoke + ONSET + 2 * TICK


@pytest.mark.parametrize(
    ("noise", "seconds"), [("", 0.2), ("", 0.4), ("", 1.5), ("Mhm.", 0.4), ("Yeah, okay.", 0.9)]
)
def test_a_false_alarm_resumes_where_it_stopped(noise: str, seconds: float) -> None:
    stage = Stage(mind=[TELLS]).start()
    stage.run(stage.say("Tell me a story.") + 2.0)
    stage.say(noise, seconds)
    stage.run(12.0)
    assert stage.events(Held, Resumed, Interrupted) == [Held(1), Resumed(1)]
    assert heard(stage) == STORY
    assert stage.history == [("user", "Tell me a story."), ("assistant", STORY)]
    assert len(stage.asked) == 1


@pytest.mark.parametrize("words", ["Thank you.", "Her.", "Bless you"])
def test_words_that_a_recogniser_hears_in_a_cough_do_not_interrupt(words: str) -> None:
    stage = Stage(mind=[TELLS]).start()
    stage.run(stage.say("Tell me a story.") + 2.0)
    stage.say(words, 0.4)
    stage.run(12.0)
    assert heard(stage) == STORY
    assert stage.history[0] == ("user", "Tell me a story.")


@pytest.mark.parametrize("word", ["Stop.", "No!", "Wait, wait."])
def test_a_short_word_that_people_interrupt_with_does(word: str) -> None:
    stage = Stage(mind=[TELLS, Thoughts(["Yes?"])]).start()
    stage.run(stage.say("Tell me a story.") + 2.0)
    stage.say(word, 0.35)
    stage.run(6.0)
    assert stage.history[-2:] == [("user", word), ("assistant", "Yes?")]


def speaks(stage: Stage, guess: str, final: str | None) -> None:
    """The caller speaks a second; a partial is understood after 0.6 s, the end of it as said, or never."""
    start, hear = stage.now, stage.conversation.hear
    stage.at(start + ONSET, lambda: hear(VoiceStarted(start), stage.now))
    stage.at(start + 0.6, lambda: hear(Partial(start, start + 0.6, guess), stage.now))
    stage.at(start + 1.3, lambda: hear(VoiceStopped(start + 1.0), stage.now))
    if final is None:
        stage.at(start + 1.4, lambda: stage.conversation.deafened(stage.now))
    else:
        stage.at(start + 1.4, lambda: hear(Final(start, start + 1.0, final), stage.now))


@pytest.mark.parametrize("final", ["", None])
def test_words_that_have_interrupted_are_answered_even_if_none_are_found_in_the_end(
    final: str | None,
) -> None:
    stage = Stage(mind=[TELLS, Thoughts(["Fine."])]).start()
    stage.run(stage.say("Tell me a story.") + 2.0)
    speaks(stage, "Please stop that", final)
    stage.run(6.0)
    assert len(stage.events(Interrupted)) == 1
    assert stage.history[-2:] == [("user", "Please stop that"), ("assistant", "Fine.")]
    stage.run(30.0)
    assert len(stage.asked) == 2


def test_words_in_a_noise_to_which_nobody_has_fallen_silent_are_no_turn() -> None:
    stage = Stage().start()
    speaks(stage, "Thank you", "")
    stage.run(6.0)
    assert stage.asked == []


def test_a_noise_without_words_holds_no_longer_than_it_may() -> None:
    stage = Stage(mind=[TELLS]).start()
    stage.run(stage.say("Tell me a story.") + 2.0)
    stage.say("", 9.0)
    stage.run(20.0)
    hold, resume = stage.when(Hold), stage.when(Resume)
    assert resume - hold == pytest.approx(3.0, abs=2 * TICK)
    assert heard(stage) == STORY
    assert stage.events(Interrupted) == []


def test_a_slow_recogniser_is_waited_for_before_a_voice_counts_as_noise() -> None:
    stage = Stage(mind=[TELLS, Thoughts(["Fine."])]).start()
    stage.run(stage.say("Tell me a story.") + 2.0)
    start = stage.now
    stage.at(start + 0.1, lambda: stage.conversation.hear(VoiceStarted(start), stage.now))
    stage.run(5.0)
    assert stage.held
    stage.at(stage.now, lambda: stage.conversation.hear(VoiceStopped(start + 4.0), stage.now))
    stage.at(stage.now, lambda: stage.conversation.hear(Final(start, start + 4.0, "Stop it."), stage.now))
    stage.run(3.0)
    assert stage.events(Resumed) == []
    assert stage.history[-1] == ("assistant", "Fine.")
    stage.conversation.hear(VoiceStarted(stage.now), stage.now)
    stage.run(30.0)
    assert not stage.held


def test_words_after_a_long_noise_interrupt_all_the_same() -> None:
    stage = Stage(mind=[TELLS]).start()
    stage.run(stage.say("Tell me a story.") + 1.0)
    start = stage.now
    stage.say("", 3.5)
    stage.run(3.95)
    assert start + 3.0 < stage.now
    stage.run(stage.say("Stop it, please.") + 1.0)
    assert len(stage.events(Interrupted)) == 1


def test_who_answers_over_the_last_words_of_a_question_has_answered() -> None:
    stage = Stage(mind=[Thoughts(["Would you like some tea?"]), Thoughts(["Here."])]).start()
    stage.run(stage.say("Hello there.") + 0.3 + 22 / PACE)
    stage.run(stage.say("Yes.") + 3.0)
    assert [text for role, text in stage.history if role == "user"] == ["Hello there.", "Yes."]


def test_who_goes_on_before_anything_was_heard_has_one_turn() -> None:
    stage = Stage(mind=[Thoughts(["Which one?"], delay=1.0), Thoughts(["Sure."])]).start()
    stage.say("I would like", 1.0)
    stage.run(1.7)
    assert len(stage.asked) == 1
    stage.run(stage.say("a cup of coffee.", 1.0) + 3.0)
    assert [messages[-1].content for messages in stage.asked] == [
        "I would like",
        "I would like a cup of coffee.",
    ]
    assert stage.history == [("user", "I would like a cup of coffee."), ("assistant", "Sure.")]
    assert stage.events(TurnEnded) == [
        TurnEnded(1, "I would like"),
        TurnEnded(2, "I would like a cup of coffee."),
    ]


def test_a_cough_while_the_agent_thinks_changes_nothing() -> None:
    stage = Stage(mind=[Thoughts(["Which one?"], delay=0.3)]).start()
    stage.say("I would like some tea", 1.0)
    stage.run(1.7)
    stage.say("", 0.3)
    stage.run(5.0)
    assert len(stage.asked) == 1
    assert heard(stage) == "Which one?"
    assert stage.events(Held, Interrupted) == []


def test_a_protected_passage_is_heard_to_its_end_and_the_caller_is_answered_then() -> None:
    config = replace(CONFIG, greeting="This call is recorded. " * 4, greeting_protected=True)
    stage = Stage(config).start()
    stage.run(1.0)
    stage.say("But I do not want that.")
    stage.run(12.0)
    assert stage.events(Held, Interrupted) == []
    assert [role for role, _ in stage.history] == ["assistant", "user", "assistant"]
    assert heard(stage).startswith(config.greeting.strip())


@pytest.mark.parametrize("seconds", [0.3, 0.8])
@pytest.mark.parametrize("protected", [True, False])
def test_who_says_yes_over_what_cannot_be_stopped_is_answered_after_it(
    protected: bool, seconds: float
) -> None:
    asked = "This call is recorded. Do you agree to that, yes or no?"
    config = replace(CONFIG, greeting=asked, greeting_protected=protected, interruptible=protected)
    stage = Stage(config).start()
    stage.run(20 / PACE)
    stage.say("Yes.", seconds)
    stage.run(6.0)
    assert stage.events(Held, Interrupted) == []
    assert stage.events(TurnEnded) == [TurnEnded(2, "Yes.")]
    assert stage.history == [("assistant", asked), ("user", "Yes."), ("assistant", "Well.")]


@pytest.mark.parametrize(("noise", "seconds"), [("", 0.4), ("...", 0.6), ("Thank you.", 0.4), ("Yes.", 0.1)])
def test_a_cough_over_what_cannot_be_stopped_is_no_answer(noise: str, seconds: float) -> None:
    stage = Stage(replace(CONFIG, greeting=STORY, greeting_protected=True)).start()
    stage.run(2.0)
    stage.say(noise, seconds)
    stage.run(10.0)
    assert stage.history == [("assistant", STORY)]


def test_an_agent_that_is_not_interruptible_still_joins_what_came_before_its_first_sound() -> None:
    config = replace(CONFIG, interruptible=False)
    stage = Stage(config, [Thoughts(["Which?"], delay=1.0), TELLS, Thoughts(["Fine."])]).start()
    stage.say("I would like", 1.0)
    stage.run(1.7)
    stage.run(stage.say("a story.", 1.0) + 2.0)
    stage.run(stage.say("No, stop it now.") + 10.0)
    assert stage.history == [
        ("user", "I would like a story."),
        ("assistant", STORY),
        ("user", "No, stop it now."),
        ("assistant", "Fine."),
    ]


# -- keys and clients -------------------------------------------------------------------------------------


def test_keys_are_a_turn_after_a_pause_or_with_the_last_one() -> None:
    stage = Stage().start()
    for digit in "12":
        stage.digit(digit)
        stage.run(0.5)
    assert stage.asked == []
    stage.run(2.0)
    stage.digit("7")
    stage.digit("#")
    stage.run(3.0)
    assert [text for role, text in stage.history if role == "user"] == ["[keypad: 12]", "[keypad: 7#]"]


@pytest.mark.parametrize("voices_do", [True, False])
@pytest.mark.parametrize("interrupts", [True, False])
def test_a_key_interrupts_if_it_may(interrupts: bool, voices_do: bool) -> None:
    config = replace(CONFIG, digits_interrupt=interrupts, interruptible=voices_do)
    stage = Stage(config, [TELLS, Thoughts(["Thanks."])]).start()
    stage.run(stage.say("Tell me a story.") + 2.0)
    stage.digit("#")
    stage.run(12.0)
    assert (heard(stage) == f"{STORY} Thanks.") is not interrupts
    assert len(stage.events(Interrupted)) == interrupts
    assert stage.history[-2:] == [("user", "[keypad: #]"), ("assistant", "Thanks.")]


def test_no_key_stops_a_protected_passage() -> None:
    stage = Stage(replace(CONFIG, greeting=STORY, greeting_protected=True)).start()
    stage.run(2.0)
    stage.digit("#")
    stage.run(8.0)
    assert stage.history == [("assistant", STORY), ("user", "[keypad: #]"), ("assistant", "Well.")]


def test_a_key_before_the_first_sound_joins_what_was_said() -> None:
    stage = Stage(mind=[Thoughts(["Hm."], delay=2.0), Thoughts(["Fine."])]).start()
    stage.run(stage.say("My number is") + 0.3)
    stage.digit("4")
    stage.digit("#")
    stage.run(4.0)
    assert stage.history == [("user", "My number is [keypad: 4#]"), ("assistant", "Fine.")]


def test_typed_words_interrupt_and_are_answered_at_once() -> None:
    stage = Stage(mind=[TELLS, Thoughts(["Fine."])]).start()
    stage.run(stage.say("Tell me a story.") + 2.0)
    stage.do(UserText("Stop."))
    assert isinstance(stage.actions[-1][1], Think)
    stage.run(3.0)
    assert stage.history[-2:] == [("user", "Stop."), ("assistant", "Fine.")]
    stage.check_history()


def test_what_a_client_has_said_comes_after_what_is_being_said() -> None:
    stage = Stage(mind=[Thoughts(["Well, yes."])]).start()
    stage.run(stage.say("Hello there.") + 0.5)
    stage.do(Say("One more thing."))
    stage.do(Say("And another."))
    stage.run(6.0)
    assert heard(stage) == "Well, yes. One more thing. And another."
    assert [role for role, _ in stage.history] == ["user", "assistant", "assistant", "assistant"]


def test_a_client_does_not_talk_over_the_caller() -> None:
    stage = Stage().start()
    over = stage.say("I am telling you something.")
    stage.run(0.5)
    stage.do(Say("News!"))
    stage.run(over)
    assert stage.sounds == [] or min(at for at, _ in stage.sounds) > 100.0 + over - 0.5
    stage.run(5.0)
    assert heard(stage) == "Well. News!"


def test_an_interrupt_silences_and_nothing_follows_by_itself() -> None:
    stage = Stage(mind=[TELLS, Thoughts(["Fine."])]).start()
    stage.run(stage.say("Tell me a story.") + 2.0)
    stage.do(Say("Later."))
    stage.do(Interrupt())
    silent = stage.now
    stage.run(5.0)
    assert all(at <= silent for at, _ in stage.sounds)
    stage.check_history()
    stage.run(stage.say("Go on, then.") + 2.0)
    assert stage.history[-1] == ("assistant", "Fine.")


def test_other_instructions_hold_from_the_next_reply_on() -> None:
    stage = Stage(replace(CONFIG, instructions="Be brief.")).start()
    stage.do(Instruct("Be long."))
    stage.run(stage.say("Hello there.") + 1.0)
    assert stage.asked[0][0] == Message("system", "Be long.")


def test_leaving_waits_until_what_is_said_has_been_heard() -> None:
    stage = Stage(mind=[Thoughts(["Goodbye, it was a pleasure."])]).start()
    stage.run(stage.say("Goodbye now.") + 0.5)
    stage.do(Leave())
    assert HangUp not in [type(action) for _, action in stage.actions]
    stage.run(4.0)
    assert heard(stage) == "Goodbye, it was a pleasure."
    assert stage.when(HangUp) >= stage.when(ReplyEnded)
    assert [type(action) for _, action in stage.actions].count(HangUp) == 1


def test_leaving_waits_for_what_a_client_wants_said_when_the_caller_is_silent() -> None:
    stage = Stage(mind=[Thoughts(["Fine."])]).start()
    over = stage.say("I am telling you something.")
    stage.run(0.5)
    stage.do(Say("Goodbye."))
    stage.do(Leave())
    assert HangUp not in [type(action) for _, action in stage.actions]
    stage.run(over + 6.0)
    assert heard(stage) == "Fine. Goodbye."
    assert [type(action) for _, action in stage.actions].count(HangUp) == 1


def left_when_all_was_said(stage: Stage) -> bool:
    hangs_up = [at for at, action in stage.actions if isinstance(action, HangUp)]
    ended = [at for at, event in stage.told if isinstance(event, ReplyEnded)]
    return len(hangs_up) == 1 and hangs_up[0] >= max(ended)


def test_who_has_something_to_say_is_not_hung_up_on() -> None:
    stage = Stage(mind=[TELLS, Thoughts(["Which one?"])]).start()
    stage.run(stage.say("Tell me a story.") + 2.0)
    stage.do(Leave())
    stage.run(stage.say("Wait please, I have another question.") + 0.2)
    assert len(stage.events(Interrupted)) == 1
    stage.run(4.0)
    assert stage.history[-2:] == [
        ("user", "Wait please, I have another question."),
        ("assistant", "Which one?"),
    ]
    assert left_when_all_was_said(stage)


def test_an_agent_that_is_to_leave_while_the_caller_speaks_answers_him_first() -> None:
    stage = Stage().start()
    over = stage.say("What time is it?")
    stage.run(0.5)
    stage.do(Leave())
    stage.run(over + 3.0)
    assert heard(stage) == "Well."
    assert left_when_all_was_said(stage)


def test_an_agent_that_is_to_leave_waits_for_the_last_key() -> None:
    stage = Stage(mind=[TELLS, Thoughts(["Thanks."])]).start()
    stage.run(stage.say("Tell me a story.") + 2.0)
    stage.do(Leave())
    stage.digit("4")
    stage.run(1.0)
    stage.digit("2")
    stage.run(5.0)
    assert stage.history[-2:] == [("user", "[keypad: 42]"), ("assistant", "Thanks.")]
    assert left_when_all_was_said(stage)


def test_a_noise_without_words_keeps_an_agent_from_leaving_no_longer_than_it_may_hold_it() -> None:
    stage = Stage().start()
    start = stage.now
    stage.say("", 9.0)
    stage.run(1.0)
    stage.do(Leave())
    stage.run(8.0)
    assert stage.when(HangUp) - start == pytest.approx(ONSET + 3.0, abs=2 * TICK)


def test_a_cough_keeps_an_agent_from_leaving_no_longer_than_it_lasts() -> None:
    stage = Stage().start()
    start = stage.now
    over = stage.say("", 0.4)
    stage.run(0.2)
    stage.do(Leave())
    stage.run(over)
    assert stage.when(HangUp) - start == pytest.approx(over, abs=2 * TICK)


def test_a_client_has_its_word_in_spite_of_a_noise_that_does_not_end() -> None:
    stage = Stage().start()
    stage.say("", 20.0)
    stage.run(1.0)
    stage.do(Say("News!"))
    stage.run(5.0)
    assert heard(stage) == "News!"


@pytest.mark.parametrize("protected", [True, False])
def test_what_is_typed_without_end_is_forgotten_from_its_beginning(protected: bool) -> None:
    stage = Stage(mind=[Thoughts(never_ends=True)]).start()
    if protected:
        stage.do(Say("This call is recorded.", protected=True))
    for number in range(300):
        stage.do(UserText(f"{number} " + "x" * 1000))
    stage.do(UserText("The last."))
    stage.run(8.0)
    asked = stage.asked[-1][-1].content
    assert len(asked) <= 100_000
    assert asked.endswith("The last.")


# -- the mind ---------------------------------------------------------------------------------------------


def test_a_slow_mind_is_covered_by_a_filler_that_is_not_remembered() -> None:
    config = replace(CONFIG, filler="Let me see.", filler_after=1.0)
    stage = Stage(config, [Thoughts(["It is ", "noon."], delay=2.5)]).start()
    stage.run(stage.say("What time is it?") + 6.0)
    assert heard(stage) == "Let me see. It is noon."
    assert stage.history == [("user", "What time is it?"), ("assistant", "It is noon.")]
    (filler,) = [action for _, action in stage.actions if isinstance(action, SayText) and action.flush]
    assert filler.text == "Let me see."
    stage.check_history("Let me see.")


def test_the_latencies_of_a_reply_that_a_filler_began_are_told_with_its_first_token() -> None:
    config = replace(CONFIG, filler="Let me see.", filler_after=1.0)
    stage = Stage(config, [Thoughts(["It is ", "noon."], delay=2.5)]).start()
    stage.say("What time is it?", 1.0)
    stage.run(3.5)
    assert stage.sounds
    assert stage.events(Latencies) == []
    stage.run(3.0)
    (latencies,) = stage.events(Latencies)
    assert isinstance(latencies, Latencies)
    assert latencies.decided == pytest.approx(0.5, abs=2 * TICK)
    assert latencies.first_audio == pytest.approx(1.5, abs=4 * TICK)
    assert latencies.first_token == pytest.approx(3.0, abs=3 * TICK)


def test_who_goes_on_over_a_filler_has_one_turn() -> None:
    config = replace(CONFIG, filler="Let me see, just a moment please.", filler_after=0.5)
    stage = Stage(config, [Thoughts(["Noon."], delay=9.0), Thoughts(["One."])]).start()
    stage.run(stage.say("What time is it?") + 1.5)
    stage.run(stage.say("I mean in London.") + 3.0)
    assert stage.history == [("user", "What time is it? I mean in London."), ("assistant", "One.")]


def test_an_error_of_the_mind_is_told_and_spoken_of_politely() -> None:
    stage = Stage(mind=[Thoughts(["It is "], fails="503"), Thoughts(["Noon."])]).start()
    stage.run(stage.say("What time is it?") + 8.0)
    assert stage.events(MindFailed) == [MindFailed(1, "503")]
    assert heard(stage) == f"It is {CONFIG.apology}"
    assert stage.history == [("user", "What time is it?"), ("assistant", "It is")]
    stage.check_history(CONFIG.apology)


def test_without_an_apology_an_error_leaves_the_caller_his_turn() -> None:
    stage = Stage(replace(CONFIG, apology=""), [Thoughts(fails="503"), Thoughts(["Noon."])]).start()
    stage.run(stage.say("What time is it?") + 2.0)
    stage.run(stage.say("Hello, are you there?") + 2.0)
    assert stage.history == [("user", "What time is it? Hello, are you there?"), ("assistant", "Noon.")]


@pytest.mark.parametrize("wait", [0.5, 1.5, 6.0])  # the apology is asked for, heard, over
def test_what_is_said_again_after_an_error_has_been_said_once(wait: float) -> None:
    stage = Stage(mind=[Thoughts(fails="503"), Thoughts(fails="503"), Thoughts(["Noon."])]).start()
    for said in ("what time is it", "What time is it?", "I said: What time is it?"):
        stage.run(stage.say(said) + wait)
    stage.run(4.0)
    assert stage.history == [("user", "I said: What time is it?"), ("assistant", "Noon.")]


@pytest.mark.parametrize("wait", [0.5, 1.5, 6.0])
def test_what_else_is_said_after_an_error_belongs_to_what_was_said_before(wait: float) -> None:
    stage = Stage(mind=[Thoughts(fails="503"), Thoughts(["Noon."])]).start()
    stage.run(stage.say("No, what time is it?") + wait)
    stage.run(stage.say("I know that it is late.") + 4.0)
    assert stage.history[0] == ("user", "No, what time is it? I know that it is late.")


def test_what_is_said_twice_without_an_error_has_been_said_twice() -> None:
    stage = Stage(mind=[Thoughts(["Fine."], delay=3.0)]).start()
    for _ in range(2):
        stage.run(stage.say("One more, please.") + 1.0)
    stage.run(4.0)
    assert stage.history[0] == ("user", "One more, please. One more, please.")


def test_a_mind_from_which_nothing_comes_is_given_up() -> None:
    stage = Stage(replace(CONFIG, mind_seconds=5.0), [Thoughts(never_ends=True)]).start()
    stage.run(stage.say("What time is it?") + 10.0)
    assert stage.events(MindFailed) == [MindFailed(1, "nothing came for 5 s")]
    assert heard(stage) == CONFIG.apology


CALL = ToolCall("c1", "clock", "{}")
WITH_TOOL = replace(CONFIG, tools=(Tool("clock", "The time", {"type": "object"}),))


def test_a_tool_is_run_by_the_client_and_its_result_thought_about() -> None:
    stage = Stage(WITH_TOOL, [Thoughts(["Let me look.", CALL]), Thoughts(["It is noon."])]).start()
    stage.run(stage.say("What time is it?") + 1.0)
    assert stage.events(ToolCalled) == [ToolCalled(1, "c1", "clock", "{}")]
    stage.do(ToolResult("c1", "12:00"))
    stage.run(5.0)
    after = (
        Message("user", "What time is it?"),
        Message("assistant", "Let me look.", (CALL,)),
        Message("tool", "12:00", tool_call_id="c1"),
    )
    assert stage.asked[1] == after
    assert stage.conversation.history == (*after, Message("assistant", "It is noon."))
    assert heard(stage) == "Let me look. It is noon."


def test_a_result_that_comes_while_the_mind_still_writes_is_thought_about_then() -> None:
    stage = Stage(WITH_TOOL, [Thoughts([CALL, "A moment."], gap=1.0), Thoughts(["It is noon."])]).start()
    stage.run(stage.say("What time is it?") + 0.3)
    stage.do(ToolResult("c1", "12:00"))
    assert len(stage.asked) == 1
    stage.run(6.0)
    assert heard(stage) == "A moment. It is noon."


def test_a_tool_without_a_result_is_given_up() -> None:
    stage = Stage(replace(WITH_TOOL, tool_seconds=3.0), [Thoughts([CALL]), Thoughts(["No idea."])]).start()
    stage.run(stage.say("What time is it?") + 6.0)
    assert stage.asked[1][-1] == Message("tool", "no result within 3 s", tool_call_id="c1")
    assert heard(stage) == "No idea."


def test_a_result_that_comes_too_late_or_twice_is_not_asked_about_again_but_remembered() -> None:
    minds = [Thoughts([CALL]), Thoughts(["No ", "idea, ", "sorry."], gap=0.5), Thoughts(["Ah."])]
    stage = Stage(replace(WITH_TOOL, tool_seconds=3.0), minds).start()
    stage.run(stage.say("What time is it?") + 3.5)
    for content in ("12:00", "13:00"):
        stage.do(ToolResult("c1", content))
    stage.run(4.0)
    assert stage.events(ReplyEnded) == [ReplyEnded(1, "No idea, sorry.")]
    assert len(stage.asked) == 2
    stage.run(stage.say("And now, please?") + 3.0)
    assert stage.asked[2][2] == Message("tool", "12:00", tool_call_id="c1")


def test_results_without_end_do_not_keep_a_silent_mind_alive() -> None:
    config = replace(WITH_TOOL, mind_seconds=5.0)
    stage = Stage(config, [Thoughts([CALL]), Thoughts(never_ends=True)]).start()
    stage.run(stage.say("What time is it?") + 1.0)
    for _ in range(10):
        stage.do(ToolResult("c1", "12:00"))
        stage.run(1.0)
    assert stage.events(MindFailed) == [MindFailed(1, "nothing came for 5 s")]


def test_a_mind_that_only_calls_tools_has_failed() -> None:
    calls = [Thoughts([ToolCall(f"c{number}", "clock", "{}")]) for number in range(9)]
    stage = Stage(replace(WITH_TOOL, max_tool_rounds=2), calls).start()
    stage.run(stage.say("What time is it?") + 0.5)
    for number in range(3):
        stage.do(ToolResult(f"c{number}", "?"))
        stage.run(0.5)
    stage.run(6.0)
    assert stage.events(MindFailed) == [MindFailed(1, "tools were called 3 times in one reply")]
    assert len(stage.asked) == 3


def test_a_tool_call_that_was_interrupted_is_answered_in_the_history_and_late_results_are_kept() -> None:
    stage = Stage(WITH_TOOL, [Thoughts([CALL]), Thoughts(["Fine."])]).start()
    stage.run(stage.say("What time is it?") + 0.5)
    stage.run(stage.say("Never mind, really, forget it.") + 2.0)
    assert stage.conversation.history == (
        Message("user", "What time is it?"),
        Message("assistant", "", (CALL,)),
        Message("tool", UNANSWERED, tool_call_id="c1"),
        Message("user", "Never mind, really, forget it."),
        Message("assistant", "Fine."),
    )
    stage.do(ToolResult("c1", "12:00"))
    assert stage.conversation.history[2] == Message("tool", "12:00", tool_call_id="c1")
    stage.do(ToolResult("never called", "?"))


def test_a_filler_covers_a_slow_tool() -> None:
    config = replace(WITH_TOOL, filler="One moment.", filler_after=1.0)
    stage = Stage(config, [Thoughts([CALL]), Thoughts(["Noon."])]).start()
    stage.run(stage.say("What time is it?") + 3.0)
    assert heard(stage) == "One moment."
    stage.do(ToolResult("c1", "12:00"))
    stage.run(3.0)
    assert heard(stage) == "One moment. Noon."
    assert [message.role for message in stage.conversation.history] == [
        "user",
        "assistant",
        "tool",
        "assistant",
    ]


# -- the end ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", [0.0, 0.3, 0.9, 1.45, 1.6, 1.9, 2.5, 3.6, 4.0, 9.0])
def test_a_hang_up_at_any_moment_stops_everything(moment: float) -> None:
    stage = Stage(mind=[replace(TELLS, delay=0.4)]).start()
    stage.say("Tell me a story.", 1.0)
    stage.say("Stop", 0.5, after=3.4)
    stage.run(moment)
    stage.hang_up()
    stage.run(10.0)
    assert stage.ended()
    assert stage.conversation.due is None
    stage.do(Say("Anyone?"))
    stage.digit("#")
    stage.check_history()


def test_a_reply_that_cannot_be_spoken_is_over() -> None:
    stage = Stage(mind=[replace(TELLS, gap=0.3), Thoughts(["Fine."])]).start()
    stage.run(stage.say("Tell me a story.") + 2.0)
    assert stage.active is not None
    utterance = stage.utterance
    assert utterance is not None
    stage.spoken_of[1] = utterance.text[: utterance.told]
    stage.utterance = None
    stage.conversation.reply_over(1, "the voice broke", stage.now)
    stage.act()
    assert stage.active is None
    stage.check_history()
    stage.run(stage.say("Hello there?") + 2.0)
    assert stage.history[-1] == ("assistant", "Fine.")


def test_a_cancelled_reply_takes_the_hold_with_it() -> None:
    stage = Stage(mind=[TELLS, Thoughts(["Fine."])]).start()
    stage.run(stage.say("Tell me a story.") + 2.0)
    stage.run(stage.say("Stop it right now.") + 3.0)
    kinds = [type(action) for _, action in stage.actions if isinstance(action, Hold | Resume | CancelReply)]
    assert kinds == [Hold, CancelReply]
    assert stage.history[-1] == ("assistant", "Fine.")


def test_a_result_after_the_mind_has_failed_changes_nothing() -> None:
    stage = Stage(WITH_TOOL, [Thoughts([CALL], fails="503")]).start()
    stage.run(stage.say("What time is it?") + 0.5)
    stage.do(ToolResult("c1", "12:00"))
    stage.run(6.0)
    assert heard(stage) == CONFIG.apology
    assert len(stage.asked) == 1
