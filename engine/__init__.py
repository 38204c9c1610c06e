"""Text in, audio frames out: the engine's public face. It knows no socket, no HTTP and no user."""

from engine.engine import Engine, EngineConfig, EngineState, Models, Utterance
from engine.errors import (
    EngineError,
    EngineStopped,
    ModelUnavailable,
    Overloaded,
    SpeechBusy,
    SpeechError,
    UnknownVoice,
    UnusableVoice,
)
from engine.models.base import SpeechModel
from engine.process import ModelSpec, ProcessConfig
from engine.speech import (
    PLAIN,
    Frame,
    ModelInfo,
    Reference,
    Sampling,
    Segment,
    StreamId,
    StreamOptions,
    Style,
    Voice,
    WordTime,
)

__all__ = [
    "PLAIN",
    "Engine",
    "EngineConfig",
    "EngineError",
    "EngineState",
    "EngineStopped",
    "Frame",
    "ModelInfo",
    "ModelSpec",
    "ModelUnavailable",
    "Models",
    "Overloaded",
    "ProcessConfig",
    "Reference",
    "Sampling",
    "Segment",
    "SpeechBusy",
    "SpeechError",
    "SpeechModel",
    "StreamId",
    "StreamOptions",
    "Style",
    "UnknownVoice",
    "UnusableVoice",
    "Utterance",
    "Voice",
    "WordTime",
]
