"""What a client and its agent tell each other, as JSON: the same on the socket and on a WebRTC data channel."""

import re
from dataclasses import asdict
from typing import Any

from realtime.conversation.events import (
    Command,
    ConversationEvent,
    Instruct,
    Interrupt,
    Leave,
    Say,
    ToolResult,
    UserText,
)
from realtime.line import Digit, LinePlayed
from transports.errors import invalid

MAX_TEXT = 100_000
COMMANDS = ("say", "interrupt", "user_text", "tool_result", "instruct", "leave")
_KEYS = "0123456789*#ABCD"


def event_message(event: ConversationEvent) -> dict[str, Any]:
    """An event as a message: its name in ``type``, ``transcript_partial`` for one, and its fields."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(event).__name__).lower()
    return {"type": name} | {key: _rounded(value) for key, value in asdict(event).items()}


def command_of(message: dict[str, Any]) -> Command | None:
    """What a client asks of its agent; None if the message is of another type. Raises RequestError."""
    match message.get("type"):
        case "say":
            return Say(_text(message, "text"), _flag(message, "protected"))
        case "interrupt":
            return Interrupt()
        case "user_text":
            return UserText(_text(message, "text"))
        case "tool_result":
            return ToolResult(_text(message, "call_id"), _text(message, "content", least=0))
        case "instruct":
            return Instruct(_text(message, "instructions", least=0))
        case "leave":
            return Leave()
        case _:
            return None


def line_event_of(message: dict[str, Any]) -> Command | Digit | LinePlayed | None:
    """What a client does, or asks of its agent; None if it only says that it is there. Raises RequestError."""
    match message["type"]:
        case "played":
            return LinePlayed(_number(message, "seconds"), int(_number(message, "clears", 0)))
        case "digit":
            digit = message.get("digit")
            if not isinstance(digit, str) or len(digit) != 1 or digit not in _KEYS:
                raise invalid("digit", digit, f"one of {_KEYS}")
            return Digit(digit)
        case "keepalive":
            return None
        case other:
            if (command := command_of(message)) is None:
                known = ", ".join((*COMMANDS, "played", "digit", "keepalive"))
                raise invalid("type", other, f"one of {known}")
            return command


def _text(message: dict[str, Any], field: str, least: int = 1) -> str:
    value = message.get(field)
    if not isinstance(value, str) or not least <= len(value) <= MAX_TEXT:
        raise invalid(field, value, f"a string of {least} to {MAX_TEXT} characters")
    return value


def _flag(message: dict[str, Any], field: str) -> bool:
    value = message.get(field)
    if value is not None and not isinstance(value, bool):
        raise invalid(field, value, "true or false")
    return bool(value)


def _number(message: dict[str, Any], field: str, default: float | None = None) -> float:
    value = message.get(field, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < 1e9:
        raise invalid(field, value, "a number, at least 0")
    return float(value)


def _rounded(value: Any) -> Any:
    """Seconds to the millisecond."""
    match value:
        case float():
            return round(value, 3)
        case dict():
            return {key: _rounded(item) for key, item in value.items()}
        case list() | tuple():
            return [_rounded(item) for item in value]
        case _:
            return value
