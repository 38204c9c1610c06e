"""Recordings of voices: made fit for a model to learn from, and measured."""

from engine.voices.recording import BadRecording, Recording, prepare
from engine.voices.traits import Traits, measure

__all__ = ["BadRecording", "Recording", "Traits", "measure", "prepare"]
