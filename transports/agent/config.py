"""What an operator sets of the agents."""

from dataclasses import dataclass, field
from pathlib import Path

from realtime.mind import Chat, ChatConfig, Mind
from realtime.mind.parrot import Parrot
from realtime.turns import PauseSettings, SmartTurn, TurnJudge

INSTRUCTIONS = (
    "You are a friendly assistant on a voice call. What you write is spoken: answer in one to three short "
    "sentences, in the language of the caller, without lists, headings, links or emoji."
)


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """How agents converse unless their client says otherwise.

    They think with the language model at ``chat``; without one they say back what they understood. ``voice`` is
    an id as in ``reference_id``, "" the model's default. ``pauses`` end a caller's turn, by which ``turn_model``
    may be asked, too: the path of smart-turn's ONNX file, or "" to look for it where it is installed. For
    ``filler`` and ``apology`` see :class:`realtime.conversation.AgentConfig`. ``max_agents`` may converse at a
    time, each for ``max_seconds``.
    """

    chat: ChatConfig | None = None
    instructions: str = INSTRUCTIONS
    greeting: str = ""
    voice: str = ""
    language: str | None = None
    pauses: PauseSettings = field(default_factory=PauseSettings)
    turn_model: Path | None = None
    filler: str = ""
    filler_after: float = 1.5
    apology: str = "I am sorry, something went wrong. Could you say that again?"
    max_agents: int = 32
    max_seconds: float = 4 * 3600.0

    def mind(self) -> Mind:
        """What thinks."""
        return Chat(self.chat) if self.chat else Parrot()

    def judge(self) -> TurnJudge | None:
        """What is asked whether a turn is complete; loading it takes a moment. Raises OSError or ValueError."""
        if self.turn_model is None:
            return None
        return SmartTurn(None if self.turn_model == Path() else self.turn_model)
