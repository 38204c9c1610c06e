"""Any server with OpenAI's ``/audio/speech`` as a model: it makes the speech, all else is done here."""

from engine.models.openai_speech.config import CLONING, Cloning, OpenAISpeechConfig
from engine.models.openai_speech.discovery import EndpointError, discover
from engine.models.openai_speech.model import OpenAISpeechModel, voices_of

__all__ = [
    "CLONING",
    "Cloning",
    "EndpointError",
    "OpenAISpeechConfig",
    "OpenAISpeechModel",
    "discover",
    "voices_of",
]
