"""OpenAI's audio API: speech, transcriptions and the list of models."""

from transports.openai.errors import OpenAIErrorJson, tell
from transports.openai.models import router as models_router
from transports.openai.speech import router as speech_router
from transports.openai.transcriptions import router as transcriptions_router

PREFIXES = ("/v1/audio/", "/v1/models", "/compat/v1/")
"""Where its paths begin, and errors are told in its shape."""

ROUTERS = (speech_router, transcriptions_router, models_router)

__all__ = ["PREFIXES", "ROUTERS", "OpenAIErrorJson", "tell"]
