"""A peer that converses with an agent: ``?agent=true``."""

import asyncio

from engine import EngineError
from realtime.agent import Agent
from realtime.ears import HearingError
from realtime.line import LinePlayed
from transports.agent.making import agent_for
from transports.agent.messages import event_message, line_event_of
from transports.agent.wishes import AgentWishes
from transports.errors import Failure, RequestError, failure, invalid
from transports.fields import check
from transports.services import Services
from transports.store import StoreError
from transports.webrtc.peer import Peer

# As the agent socket has it.
_START_SECONDS = 30.0
_REFUSALS = (RequestError, EngineError, HearingError, StoreError)


async def converse(services: Services, peer: Peer) -> None:
    """Until either of the two hangs up.

    With a data channel the conversation begins with the client's ``start``, as on ``/v1/agent``; what is said
    there goes over the channel here. Without one it begins at once, as the operator has set it.
    """
    try:
        with services.agents.place():
            wishes = await _wishes(peer) if peer.has_channel else None
            async with agent_for(services, peer.caller, peer.line.format.output, wishes) as agent:
                peer.channel.tell({"type": "ready", "mind": services.agents.mind_name})
                await _run(agent, peer)
    except _REFUSALS as error:
        services.turned_away(_refuse(peer, error))


async def _run(agent: Agent, peer: Peer) -> None:
    peer.line.on_event = lambda event: peer.channel.tell(event_message(event))
    commands = asyncio.create_task(_commands(peer))
    try:
        await agent.run(peer.line)
    finally:
        commands.cancel()
        await asyncio.gather(commands, return_exceptions=True)


async def _wishes(peer: Peer) -> AgentWishes:
    """What the client's first message asks for. Raises RequestError."""
    try:
        async with asyncio.timeout(_START_SECONDS):
            async for message in peer.channel:
                if isinstance(message, RequestError):
                    raise message
                if message["type"] != "start":
                    raise invalid("type", message["type"], "start in the first message")
                return check(AgentWishes, AgentWishes.fields_of(message))
    except TimeoutError:
        pass
    raise RequestError(f"start: nothing came within {_START_SECONDS:g} s", 408)


async def _commands(peer: Peer) -> None:
    """Hand on what the client asks of its agent, and the keys that are pressed."""
    async for message in peer.channel:
        try:
            if isinstance(message, RequestError):
                raise message
            event = line_event_of(message)
            if event is not None and not isinstance(event, LinePlayed):  # that is known of receiver reports
                peer.line.ask(event)
        except RequestError as error:
            _refuse(peer, error)


def _refuse(peer: Peer, error: Exception) -> Failure:
    """Tell it why something cannot be done."""
    failed = failure(error)
    peer.channel.tell({"type": "error", "message": failed.message, "status": failed.status})
    return failed
