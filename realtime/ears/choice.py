"""Which recogniser an operator chose, and how it is loaded."""

from dataclasses import dataclass

from realtime.ears.recogniser import Recogniser

KINDS = ("moonshine", "whisper", "openai")


@dataclass(frozen=True, slots=True)
class RecogniserChoice:
    """A recogniser that is still to be loaded.

    ``kind`` is one of :data:`KINDS`. ``model`` is a folder or a name of a Whisper model, or what a remote
    endpoint calls its own; ``url`` is the endpoint's base, up to and with "/v1", and ``key_variable`` names the
    environment variable that holds its key.
    """

    kind: str = "moonshine"
    model: str = ""
    url: str = ""
    key_variable: str = ""

    def load(self) -> Recogniser:
        """Load it, which may take seconds. Raises what is wrong with it."""
        match self.kind:
            case "moonshine":
                from realtime.ears.moonshine import Moonshine

                return Moonshine()
            case _:
                raise ValueError(f"recogniser: got {self.kind!r}; expected one of {', '.join(KINDS)}")
