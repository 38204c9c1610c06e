"""The voice library: recordings that models learn voices from."""

from transports.voices.library import (
    MAX_COVER_BYTES,
    MAX_PAGE,
    MAX_RECORDING_BYTES,
    MAX_RECORDINGS,
    Changes,
    Library,
    LibraryVoice,
    NewVoice,
    Page,
    Query,
    Sample,
    SortBy,
    Source,
)
from transports.voices.tables import State, Visibility
from transports.voices.training import Trainer, learned_id

__all__ = [
    "MAX_COVER_BYTES",
    "MAX_PAGE",
    "MAX_RECORDINGS",
    "MAX_RECORDING_BYTES",
    "Changes",
    "Library",
    "LibraryVoice",
    "NewVoice",
    "Page",
    "Query",
    "Sample",
    "SortBy",
    "Source",
    "State",
    "Trainer",
    "Visibility",
    "learned_id",
]
