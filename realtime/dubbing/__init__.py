"""Dubbing: timed captions in, speech on the same timeline out."""

from realtime.dubbing.captions import Caption, Limits, LineReport, Outcome
from realtime.dubbing.dubber import Dubber, Made, Started, Unspeakable
from realtime.dubbing.file import dub
from realtime.dubbing.live import ListenerTooSlow, LiveDub
from realtime.dubbing.planner import Ended, Note, Planner

__all__ = [
    "Caption",
    "Dubber",
    "Ended",
    "Limits",
    "LineReport",
    "ListenerTooSlow",
    "LiveDub",
    "Made",
    "Note",
    "Outcome",
    "Planner",
    "Started",
    "Unspeakable",
    "dub",
]
