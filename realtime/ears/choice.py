"""Which recogniser an operator chose, and how it is loaded."""

import os
from dataclasses import dataclass

from realtime.ears.recogniser import Recogniser

KINDS = ("moonshine", "whisper", "openai")
DEFAULT_WHISPER = "small"
DEFAULT_URL = "https://api.openai.com/v1"
DEFAULT_REMOTE = "whisper-1"


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
    key_variable: str = "OPENAI_API_KEY"

    def load(self) -> Recogniser:
        """Load it, which may take seconds. Raises what is wrong with it."""
        match self.kind:
            case "moonshine":
                from realtime.ears.moonshine import Moonshine

                return Moonshine()
            case "whisper":
                from realtime.ears.whisper import Whisper

                return Whisper(self.model or DEFAULT_WHISPER)
            case "openai":
                from realtime.ears.remote import Remote

                return Remote(
                    self.url or DEFAULT_URL, self.model or DEFAULT_REMOTE, os.environ.get(self.key_variable)
                )
            case _:
                raise ValueError(f"recogniser: got {self.kind!r}; expected one of {', '.join(KINDS)}")
