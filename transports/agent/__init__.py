"""Agents: who listens, thinks, and speaks on a caller's line; and the socket for clients without WebRTC."""

from transports.agent.agents import Agents
from transports.agent.config import AgentSettings

__all__ = ["AgentSettings", "Agents"]
