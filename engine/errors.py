"""What can go wrong in the engine, as types that the rooms above translate for their own wires."""


class EngineError(Exception):
    """Base of every error that the engine raises on purpose. Its text is fit to be shown to a client."""


class Overloaded(EngineError):
    """The machine carries no more: nothing was admitted, come back after ``retry_after`` seconds."""

    def __init__(self, reason: str, retry_after: float = 1.0) -> None:
        super().__init__(f"{reason}; try again in {retry_after:g} s")
        self.brief = reason
        self.retry_after = retry_after


class EngineStopped(EngineError):
    """The engine is not running (not started, draining, or its worker has died)."""


class ModelGone(EngineError):
    """What computes for a model has ended, and does not come back: its engine has to be replaced."""


class ModelUnavailable(EngineError):
    """A model cannot be loaded as it was asked for; the text tells whoever asked what to change."""


class UnknownVoice(EngineError):
    """A voice id that the model does not have."""

    def __init__(self, voice: str, known: tuple[str, ...]) -> None:
        super().__init__(f"unknown voice {voice!r}; this model has {', '.join(known)}")
        self.voice = voice


class SpeechError(EngineError):
    """The model could not speak one segment. Ends that stream and no other."""


class SpeechBusy(SpeechError):
    """What makes the speech is too busy for this segment, which may succeed after ``retry_after`` seconds."""

    def __init__(self, reason: str, retry_after: float = 1.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class UnusableVoice(SpeechError):
    """The voices of a stream leave the model no room to speak: their recordings are too long or too many."""
