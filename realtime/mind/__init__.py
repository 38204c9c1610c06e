"""Minds: what thinks of replies."""

from realtime.mind.base import Message, Mind, MindError, TextDelta, Thought, Tool, ToolCall
from realtime.mind.chat import Chat, ChatConfig

__all__ = [
    "Chat",
    "ChatConfig",
    "Message",
    "Mind",
    "MindError",
    "TextDelta",
    "Thought",
    "Tool",
    "ToolCall",
]
