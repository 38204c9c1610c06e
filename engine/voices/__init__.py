"""Recordings of voices: made fit for a model to learn from, and measured (:mod:`engine.voices.traits`)."""

from engine.voices.recording import BadRecording, Recording, prepare

__all__ = ["BadRecording", "Recording", "prepare"]
