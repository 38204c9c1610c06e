"""What can tell by the sound of a turn whether it is complete."""

from typing import Protocol

from engine.speech import Pcm

JUDGED_SECONDS = 8.0
"""How much of a turn, up to its end, a judge is given at the most."""


class TurnJudge(Protocol):
    """A semantic end-of-turn model. Loaded when it is made; may be called from any thread."""

    def complete(self, pcm: Pcm) -> float:
        """How probable it is that the speaker is done, from 0 to 1.

        ``pcm`` is the last of his turn, with the silence by now: mono at ``HEARING_RATE``. Blocks.
        """
        ...
