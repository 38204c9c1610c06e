"""The bundled voice: hibari-tts (English, 24 kHz, any CPU), streamed frame by frame in many timbres."""

from engine.models.hibari.model import HibariModel

__all__ = ["HibariModel"]
