"""The session as a state machine, in virtual time."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine import EngineStopped, Segment, StreamOptions
from engine.audio import output_format
from realtime.request import SpeechRequest
from realtime.session import Action, Cancel, Drain, EndSpeech, Finished, Log, Open, Say, Session

REQUEST = SpeechRequest(StreamOptions(("any",)), output_format("pcm"))


def said(actions: list[Action]) -> list[str]:
    return [action.segment.text for action in actions if isinstance(action, Say)]


def started(**kwargs: int) -> Session:
    session = Session(**kwargs)
    session.start(REQUEST, 0.0)
    assert session.actions() == [Open(REQUEST)]
    return session


def test_an_utterance_from_start_to_finish() -> None:
    session = started()
    session.text("Hello ", 0.1)
    session.text("there. ", 0.2)
    session.stop(0.3)
    assert session.actions() == [Say(Segment("Hello there."))]
    session.spoke(1.0, 1, 0.4)
    assert session.actions() == [EndSpeech()]
    session.ended()
    assert session.actions() == [Finished()]
    assert not session.active


def test_flush_speaks_and_the_utterance_goes_on() -> None:
    session = started()
    session.text("First", 0.0)
    session.flush(0.0)
    assert session.actions() == [Say(Segment("First"))]
    session.spoke(0.5, 1, 0.1)
    assert session.actions() == [Drain()]
    session.text("Second", 5.0)
    session.flush(5.0)
    assert said(session.actions()) == ["Second"]
    assert session.active


def test_the_encoder_is_drained_once_for_each_silence() -> None:
    session = started()
    session.text("One.", 0.0)
    session.flush(0.0)
    session.spoke(0.5, 1, 0.1)
    session.flush(0.2)
    session.flush(0.3)
    assert session.actions().count(Drain()) == 1


def test_flush_of_nothing_is_nothing() -> None:
    session = started()
    session.flush(0.0)
    session.text("   ", 0.0)
    session.flush(0.0)
    assert session.actions() == []


def test_stop_without_text_ends_at_once() -> None:
    session = started()
    session.stop(0.0)
    assert session.actions() == [EndSpeech()]
    session.ended()
    assert session.actions() == [Finished()]


def test_one_socket_many_utterances() -> None:
    session = Session()
    for turn in range(3):
        session.start(REQUEST, float(turn))
        session.text("Hi.", float(turn))
        session.stop(float(turn))
        session.spoke(0.5, 1, float(turn))
        session.ended()
    finished = [action for action in session.actions() if isinstance(action, Finished)]
    assert finished == [Finished()] * 3


def test_text_before_start_is_answered_and_the_next_start_is_welcome() -> None:
    session = Session()
    session.text("Hello", 0.0)
    (log, finished) = session.actions()
    assert isinstance(log, Log)
    assert "send start first" in log.message
    assert isinstance(finished, Finished)
    assert finished.error
    session.text("more", 0.0)
    session.flush(0.0)
    assert session.actions() == []  # it was told once
    session.start(REQUEST, 0.0)
    assert session.actions() == [Open(REQUEST)]


def test_a_second_start_breaks_off_the_first_utterance() -> None:
    session = started()
    session.start(REQUEST, 0.0)
    actions = session.actions()
    assert actions[0] == Cancel()
    assert isinstance(actions[-1], Finished)
    assert actions[-1].error


def test_text_after_stop_is_answered_and_does_no_harm() -> None:
    session = started()
    session.text("Hello.", 0.0)
    session.stop(0.0)
    session.actions()
    session.text("too late", 0.0)
    (log,) = session.actions()
    assert isinstance(log, Log)
    assert "after stop" in log.message
    session.spoke(0.5, 1, 0.1)
    assert session.actions() == [EndSpeech()]


def test_a_refusal_of_the_engine_reaches_the_client_with_its_cause() -> None:
    session = started()
    cause = EngineStopped("going down")
    session.failed(cause)
    assert session.actions() == [Cancel(), Log("going down"), Finished("going down", cause)]
    session.spoke(1.0, 1, 0.0)
    assert session.actions() == []


def test_a_client_that_leaves_cancels() -> None:
    session = started()
    session.text("Hello there. And so on.", 0.0)
    session.actions()
    session.disconnect()
    assert session.actions() == [Cancel()]
    assert session.due is None


def test_more_text_than_can_wait_is_refused() -> None:
    session = started(max_pending=10)
    session.text("12345678901", 0.0)
    actions = session.actions()
    assert actions[0] == Cancel()
    assert actions[1] == Log("text: more than 10 characters are waiting to be spoken")


def test_notes_of_the_request_are_told() -> None:
    session = Session()
    request = SpeechRequest(StreamOptions(("any",)), output_format("pcm"), notes=("cannot clone",))
    session.start(request, 0.0)
    assert session.actions() == [Open(request), Log("cannot clone")]


def test_only_a_few_segments_wait_in_the_engine() -> None:
    session = started(max_queued=2)
    session.text("A sentence of a good many words, long enough. " * 10, 0.0)
    session.stop(0.0)
    assert len(said(session.actions())) == 2
    session.spoke(2.0, 1, 0.1)
    assert len(said(session.actions())) == 1


def test_due_makes_a_slow_writer_heard() -> None:
    session = started()
    session.text("It costs $3.14.", 1.0)
    assert session.actions() == []
    assert session.due is not None
    session.poll(session.due)
    assert said(session.actions()) == ["It costs $3.14."]


class Conversation(RuleBasedStateMachine):
    """A client, an engine and a listener that do anything in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.session = Session(max_queued=3)
        self.now = 0.0
        self.written = ""
        self.spoken = ""
        self.queued = 0
        self.open = False
        self.finishing = False

    def settle(self) -> None:
        for action in self.session.actions():
            match action:
                case Open():
                    assert not self.open
                    self.open, self.written, self.spoken, self.queued = True, "", "", 0
                    self.finishing = False
                case Say(segment):
                    assert self.open
                    assert not self.finishing
                    self.spoken += segment.text
                    self.queued += 1
                case EndSpeech():
                    assert self.open
                    assert self.queued == 0
                    self.finishing = True
                    assert "".join(self.spoken.split()) == "".join(self.written.split())
                case Cancel():
                    assert self.open
                    self.open, self.queued = False, 0
                case Finished(error):
                    assert error is not None or not self.open
                case Drain():
                    assert self.queued == 0

    @rule()
    def start(self) -> None:
        self.session.start(REQUEST, self.now)
        self.settle()

    @rule(text=st.text(alphabet="ab .,!", max_size=30))
    def text(self, text: str) -> None:
        if self.session._state.name == "OPEN":
            self.written += text
        self.session.text(text, self.now)
        self.settle()

    @rule()
    def flush(self) -> None:
        self.session.flush(self.now)
        self.settle()

    @rule()
    def stop(self) -> None:
        self.session.stop(self.now)
        self.settle()

    @rule()
    def nonsense(self) -> None:
        self.session.reject("nonsense")
        self.settle()

    @precondition(lambda self: self.queued)
    @rule(seconds=st.floats(0.05, 2.0), last=st.booleans())
    def frame(self, seconds: float, last: bool) -> None:
        self.queued -= last
        self.session.spoke(seconds, int(last), self.now)
        self.settle()

    @precondition(lambda self: self.finishing and self.open)
    @rule()
    def end(self) -> None:
        self.open = self.finishing = False
        self.session.ended()
        self.settle()

    @rule(seconds=st.floats(0.0, 5.0))
    def wait(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := self.session.due) is not None and due <= end:
            assert due > self.now
            self.now = due
            self.session.poll(due)
            self.settle()
        self.now = end

    @invariant()
    def few_segments_wait(self) -> None:
        assert self.queued <= 3

    @invariant()
    def an_open_stream_belongs_to_an_open_session(self) -> None:
        assert self.open == self.session.active


TestConversation = Conversation.TestCase
TestConversation.settings = settings(max_examples=60, stateful_step_count=40)
