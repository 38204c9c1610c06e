"""A conversation: who speaks when, what was heard, and what is thought about."""

from realtime.conversation.config import AgentConfig
from realtime.conversation.conversation import Conversation

__all__ = ["AgentConfig", "Conversation"]
