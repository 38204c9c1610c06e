"""Recordings of voices: made fit for a model to learn from, and measured."""

from engine.voices.traits import Traits, measure

__all__ = ["Traits", "measure"]
