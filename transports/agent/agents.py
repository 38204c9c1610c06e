"""The agents of a server: how many converse, and with what mind."""

import asyncio
import contextlib
from collections.abc import Iterator

from realtime.agent import Agent
from realtime.conversation.events import Leave
from realtime.mind import Chat
from realtime.turns import TurnJudge
from transports.agent.config import AgentSettings
from transports.errors import RequestError


class Agents:
    """What the agents of a server share. Started once, closed once; ``judge`` is there after the start."""

    def __init__(self, settings: AgentSettings) -> None:
        self.settings = settings
        self.mind = settings.mind()
        self.judge: TurnJudge | None = None
        self._open = 0
        self._agents: set[Agent] = set()
        self._left = asyncio.Event()  # somebody has

    async def start(self) -> None:
        """Load what judges turns, if anything does. Raises OSError or ValueError."""
        self.judge = await asyncio.to_thread(self.settings.judge)

    async def drain(self, seconds: float) -> None:
        """Have everybody hang up when what is being said has been heard; wait for that, but no longer."""
        for agent in self._agents:
            agent.command(Leave())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._agents:
                    self._left.clear()
                    await self._left.wait()

    @contextlib.contextmanager
    def under_way(self, agent: Agent) -> Iterator[None]:
        """For as long as an agent converses, or is about to."""
        self._agents.add(agent)
        try:
            yield
        finally:
            self._agents.remove(agent)
            self._left.set()

    async def close(self) -> None:
        """Let go of connections. No conversation may be open."""
        if isinstance(self.mind, Chat):
            await self.mind.close()

    @property
    def mind_name(self) -> str:
        """What the mind is called."""
        return self.settings.chat.model if self.settings.chat else "parrot"

    @property
    def open(self) -> int:
        """How many conversations there are, or are about to begin."""
        return self._open

    @contextlib.contextmanager
    def place(self) -> Iterator[None]:
        """A conversation's place among those there may be. Raises RequestError if there is none."""
        if self._open >= self.settings.max_agents:
            raise RequestError(
                f"{self._open} conversations are under way; there may be no more", 503, retry_after=10
            )
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1
