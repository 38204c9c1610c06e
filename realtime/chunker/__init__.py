"""Tokens in, speakable chunks out, while the text is still being written.

The text is scanned once, as it arrives, for the places where it may be cut: after a word, a clause or a
sentence. What is cut where then depends on how much speech the listener still has: a silent listener gets the
first few words as soon as they are a phrase; one who has seconds left waits for whole sentences, which sound
better. Where a cut may be never depends on how the text was split into tokens.
"""

from realtime.chunker.chunker import Chunk, Chunker
from realtime.chunker.markup import MAX_TAG, SPEAKER
from realtime.chunker.pace import PACES, TOLERANCE, Pace
from realtime.chunker.words import Boundary

__all__ = ["MAX_TAG", "PACES", "SPEAKER", "TOLERANCE", "Boundary", "Chunk", "Chunker", "Pace"]
