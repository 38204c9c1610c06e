"""What a client and its agent tell each other, as JSON."""

from typing import get_args

import pytest

from realtime.conversation.events import (
    Command,
    ConversationEvent,
    Instruct,
    Interrupt,
    Latencies,
    Leave,
    Say,
    SpokenWords,
    ToolResult,
    UserText,
)
from realtime.line import Digit, LineEvent, LinePlayed
from realtime.utterance import SpokenWord
from transports.agent.messages import COMMANDS, command_of, event_message, line_event_of
from transports.errors import RequestError


def test_an_event_is_named_and_has_its_fields() -> None:
    words = (SpokenWord("Hi", 0.12345, 0.5, 0, 2),)
    assert event_message(SpokenWords(3, words)) == {
        "type": "spoken_words",
        "turn": 3,
        "words": [{"text": "Hi", "start": 0.123, "end": 0.5, "start_char": 0, "end_char": 2}],
    }
    assert event_message(Latencies(1, 0.25, 0.5, 0.55019, 0.6))["first_token"] == 0.55


def test_all_events_have_names_of_their_own() -> None:
    names = {event.__name__ for event in get_args(ConversationEvent)}
    assert len(names) == len(get_args(ConversationEvent))


@pytest.mark.parametrize(
    ("message", "command"),
    [
        ({"type": "say", "text": "Hi."}, Say("Hi.")),
        ({"type": "say", "text": "Hi.", "protected": True}, Say("Hi.", protected=True)),
        ({"type": "interrupt"}, Interrupt()),
        ({"type": "user_text", "text": "Hello"}, UserText("Hello")),
        ({"type": "tool_result", "call_id": "c1", "content": ""}, ToolResult("c1", "")),
        ({"type": "instruct", "instructions": "Be brief."}, Instruct("Be brief.")),
        ({"type": "leave"}, Leave()),
    ],
)
def test_commands(message: dict[str, object], command: Command) -> None:
    assert command_of(message) == command
    assert message["type"] in COMMANDS


@pytest.mark.parametrize(
    ("message", "event"),
    [
        ({"type": "digit", "digit": "#"}, Digit("#")),
        ({"type": "played", "seconds": 1.5}, LinePlayed(1.5)),
        ({"type": "played", "seconds": 2, "clears": 3}, LinePlayed(2.0, 3)),
        ({"type": "keepalive"}, None),
        ({"type": "leave"}, Leave()),
    ],
)
def test_what_else_comes_over_a_line(message: dict[str, object], event: LineEvent | None) -> None:
    assert line_event_of(message) == event


def test_every_command_has_a_message() -> None:
    assert len(get_args(Command)) == len(COMMANDS)


@pytest.mark.parametrize(
    ("message", "wrong"),
    [
        ({"type": "say"}, "text: got None; expected a string of 1 to"),
        ({"type": "say", "text": "x" * 100_001}, "text: got"),
        ({"type": "say", "text": "Hi.", "protected": "yes"}, "protected: got 'yes'; expected true or false"),
        ({"type": "tool_result", "content": "x"}, "call_id"),
        ({"type": "digit", "digit": "11"}, r"digit: got '11'; expected one of 0123456789\*#ABCD"),
        ({"type": "played", "seconds": -1}, "seconds: got -1; expected a number, at least 0"),
        ({"type": "start"}, "type: got 'start'; expected one of say, .*, leave, played, digit, keepalive"),
    ],
)
def test_what_is_wrong_is_named(message: dict[str, object], wrong: str) -> None:
    with pytest.raises(RequestError, match=wrong):
        line_event_of(message)


def test_other_messages_are_none() -> None:
    assert command_of({"type": "start"}) is None
