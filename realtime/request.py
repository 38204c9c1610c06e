"""What a caller asks for, in our own terms: the wire formats are translated into this at the edge."""

from dataclasses import dataclass
from enum import StrEnum

from engine import StreamOptions
from engine.audio import OutputFormat


class Latency(StrEnum):
    """How the first audio is traded against prosody."""

    LOW = "low"
    BALANCED = "balanced"
    NORMAL = "normal"


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """Everything that holds for one utterance, from the first word to the last byte of its container.

    ``chunk_length`` and ``min_chunk_length`` bound a segment, in characters; ``volume_db`` is added after the
    optional loudness normalisation; ``normalize`` says numbers and markup as a person would, in ``language``
    (as the normaliser takes it; None: by script); ``reads_tags`` that the model takes tags inside the text.
    ``manner`` is how all of it is to be spoken, in a few words without brackets, like those of a tag.
    ``notes`` tell the client what could not be done as asked; ``events`` are those beyond the usual that the
    client wants to be told of.
    """

    options: StreamOptions
    output: OutputFormat
    latency: Latency = Latency.BALANCED
    chunk_length: int = 200
    min_chunk_length: int = 50
    volume_db: float = 0.0
    normalize_loudness: bool = True
    normalize: bool = True
    language: str | None = None
    reads_tags: bool = False
    manner: str = ""
    notes: tuple[str, ...] = ()
    events: frozenset[str] = frozenset()
