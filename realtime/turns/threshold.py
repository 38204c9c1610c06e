"""How long a speaker's silence is before his turn counts as over. Decides; does no I/O."""

from dataclasses import dataclass

# A speaker pauses now and then a little longer than he did.
_ROOM = 1.3
# How much is learned of one pause; of one turn that had none.
_SLOWER, _FASTER = 0.6, 0.1


@dataclass(frozen=True, slots=True)
class PauseSettings:
    """Seconds of silence that end a turn: ``pause`` at first, then by the speaker's own, within the bounds.

    ``shortest`` also ends a turn that a judge thinks complete, ``longest`` one that it does not.
    """

    pause: float = 0.5
    shortest: float = 0.3
    longest: float = 1.2

    def __post_init__(self) -> None:
        if not 0.1 <= self.shortest <= self.pause <= self.longest <= 10.0:
            raise ValueError(
                f"pause is {self.pause!r} within [{self.shortest!r}, {self.longest!r}], "
                "expected seconds in that order, from 0.1 to 10"
            )


class PauseThreshold:
    """Adapts to one speaker: pauses within his turns make it longer, turns without any make it shorter."""

    def __init__(self, settings: PauseSettings) -> None:
        self._settings = settings
        self.seconds = settings.pause

    def went_on(self, pause: float) -> None:
        """He paused within a turn, and it was not its end."""
        if pause <= self._settings.longest:
            longer = min(self._settings.longest, pause * _ROOM)
            self.seconds += _SLOWER * max(0.0, longer - self.seconds)

    def fluent(self) -> None:
        """He spoke a whole turn without such a pause."""
        self.seconds -= _FASTER * (self.seconds - self._settings.shortest)
