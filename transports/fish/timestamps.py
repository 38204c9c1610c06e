"""When each word is heard, as the ``with-timestamp`` endpoints tell it."""

from dataclasses import dataclass, field
from typing import Any

from realtime import Audio, SpokenWord


@dataclass(slots=True)
class Alignment:
    """The words of the chunk that is being spoken, a cumulative snapshot: the latest one holds.

    Times are seconds from the beginning of the chunk's audio; ``chunk_audio_offset_sec`` says where that lies in
    the stream. The words are those of the original text.
    """

    _chunk: int = -1
    _seconds: float = 0.0
    _words: list[SpokenWord] = field(default_factory=list)

    def snapshot(self, audio: Audio) -> dict[str, Any]:
        """The fields that go with a piece of audio."""
        if audio.chunk is None:  # the end of the container: nothing is said in it
            return {
                "content": "",
                "alignment": None,
                "chunk_seq": self._chunk,
                "chunk_audio_offset_sec": None,
            }
        if audio.chunk.number != self._chunk:
            self._chunk, self._seconds, self._words = audio.chunk.number, 0.0, []
        self._seconds += audio.seconds
        for word in audio.words:
            if self._words and self._words[-1].start_char == word.start_char:
                self._words.pop()  # it has become longer
            self._words.append(word)
        return {
            "content": audio.chunk.text,
            "alignment": {
                "segments": segments(self._words, audio.chunk.offset),
                "audio_duration": round(self._seconds, 3),
            },
            "chunk_seq": audio.chunk.number,
            "chunk_audio_offset_sec": round(audio.chunk.offset, 3),
        }


def segments(words: list[SpokenWord] | tuple[SpokenWord, ...], offset: float = 0.0) -> list[dict[str, Any]]:
    """Words as the API writes them, in seconds from ``offset`` on."""
    return [
        {"text": word.text, "start": round(word.start - offset, 3), "end": round(word.end - offset, 3)}
        for word in words
    ]
