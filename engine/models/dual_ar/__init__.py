"""Fish Audio S2-Pro and its kin: a slow transformer that hears the text, a fast one that fills in each frame.

Imports torch: only those who run such a model import this.
"""

from engine.models.dual_ar.config import CheckpointError
from engine.models.dual_ar.load import DType, DualAROptions, load_dual_ar
from engine.models.dual_ar.model import DualARModel
from engine.models.dual_ar.voices import VoiceFolderError
from engine.models.lane import NotEnoughMemory

__all__ = [
    "CheckpointError",
    "DType",
    "DualARModel",
    "DualAROptions",
    "NotEnoughMemory",
    "VoiceFolderError",
    "load_dual_ar",
]
