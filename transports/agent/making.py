"""An agent for a caller, as the operator and the client will have it."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

from engine.audio import OutputFormat
from realtime import SpeechRequest
from realtime.agent import Agent
from realtime.conversation import AgentConfig
from realtime.turns import PauseSettings
from transports.accounts import Caller
from transports.agent.config import AgentSettings
from transports.agent.meter import CallMeter
from transports.agent.wishes import AgentWishes
from transports.fish.casting import cast
from transports.fish.schema import parse_request, speech_request
from transports.services import Services


def check_room(services: Services) -> None:
    """Raise RequestError or HearingError if no conversation can begin now."""
    services.ears.check_room()
    services.check_room()


@contextlib.asynccontextmanager
async def agent_for(
    services: Services, caller: Caller, output: OutputFormat, wishes: AgentWishes | None = None
) -> AsyncIterator[Agent]:
    """An agent whose conversation the caller pays for, on a line that takes ``output``.

    Raises RequestError, EngineError, HearingError or StoreError.
    """
    wishes = wishes or AgentWishes()
    check_room(services)
    speech = await _speech(services, caller, wishes)
    config = _config(services.settings.agent, wishes, replace(speech, output=output))
    async with CallMeter(services.accounts, caller) as meter:
        agents = services.agents
        agent = Agent(
            services.speaker,
            services.ears,
            agents.mind,
            config,
            meter=meter,
            judge=agents.judge,
            observer=services.observer,
        )
        with agents.under_way(agent):
            yield agent


async def _speech(services: Services, caller: Caller, wishes: AgentWishes) -> SpeechRequest:
    """How the agent speaks."""
    fields = {"latency": "low", "reference_id": services.settings.agent.voice or None, **wishes.request}
    wire = parse_request({**fields, "text": "", "format": "pcm", "sample_rate": None}, "request")
    voices = await cast(services, caller, wire)
    return speech_request(wire, services.engine.info, voices, paced=True)


def _config(settings: AgentSettings, wishes: AgentWishes, speech: SpeechRequest) -> AgentConfig:
    pauses = settings.pauses
    if wishes.pause is not None:
        shortest, longest = min(wishes.pause, pauses.shortest), max(wishes.pause, pauses.longest)
        pauses = PauseSettings(wishes.pause, shortest, longest)
    return AgentConfig(
        speech=speech,
        language=wishes.language or settings.language,
        instructions=_given(wishes.instructions, settings.instructions),
        greeting=_given(wishes.greeting, settings.greeting),
        greeting_protected=wishes.greeting_protected,
        pauses=pauses,
        interruptible=wishes.interruptible,
        digits_interrupt=wishes.digits_interrupt,
        filler=_given(wishes.filler, settings.filler),
        filler_after=settings.filler_after if wishes.filler_after is None else wishes.filler_after,
        apology=_given(wishes.apology, settings.apology),
        tools=tuple(wish.tool for wish in wishes.tools),
    )


def _given(wished: str | None, usual: str) -> str:
    return usual if wished is None else wished
