"""Text in, audio frames out: the engine's public face. It knows no socket, no HTTP and no user."""

import os

# Since 1.31 onnxruntime counts what its sessions do and reports it to its maker, unless this is set before it is
# loaded. A server that speaks for its users tells nobody; who wants to may set it to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

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
