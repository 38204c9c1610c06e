"""How an agent converses."""

from dataclasses import dataclass, field

from realtime.mind.base import Tool
from realtime.request import SpeechRequest
from realtime.turns import PauseSettings


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """What holds for a conversation from its first word on. All times are seconds.

    It speaks as ``speech`` says, in the line's format, and hears ``language`` (a code; None: found out). The mind
    gets ``instructions`` and ``tools``. A voice stops the agent if it is ``interruptible``, a pressed key if
    ``digits_interrupt``; keys become a turn after ``digits_pause``, or with "#". ``greeting`` comes first; if it
    is ``greeting_protected`` neither stops it.

    A mind that has not begun after ``filler_after`` is covered by ``filler``, and given up after ``mind_seconds``
    without a thought; ``apology`` is said when it fails. Neither is in the history, of which the last
    ``max_history`` messages are kept. Tools have ``tool_seconds``; they may be called ``max_tool_rounds`` times
    in one reply.

    A voice without words holds the agent no longer than ``max_hold``. One shorter than ``cough`` interrupts it
    only with a word that people interrupt with: recognisers hear words in a cough.
    """

    speech: SpeechRequest
    language: str | None = None
    instructions: str = ""
    greeting: str = ""
    greeting_protected: bool = False
    pauses: PauseSettings = field(default_factory=PauseSettings)
    interruptible: bool = True
    digits_interrupt: bool = True
    digits_pause: float = 2.0
    filler: str = ""
    filler_after: float = 1.5
    apology: str = "I am sorry, something went wrong. Could you say that again?"
    mind_seconds: float = 30.0
    tools: tuple[Tool, ...] = ()
    tool_seconds: float = 30.0
    max_tool_rounds: int = 8
    max_history: int = 200
    max_hold: float = 3.0
    cough: float = 0.5
