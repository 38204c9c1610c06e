"""From a chunk as it was written to the lines that a voice is given, and from its words back to what was written.

Tags become pauses and styles (unless the model reads them itself), numbers and markup become words, what looks
like a control token of a model is taken apart, and every spoken word keeps the place that it came from.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass, replace

from engine import PLAIN, Segment, Style, WordTime
from realtime.chunker import Chunk
from realtime.normalizer import Normalizer, Origin
from realtime.tags import Mood, Pause, Words, blend, parse, style_of

# What is heard of a chunk without words: clients take a flush without any audio for a failure.
WORDLESS_PAUSE = 0.2
_SENTENCE_END = re.compile(r"[.!?…。！？]+[\"'”’)\]]*(?=\s)|\n")


@dataclass(frozen=True, slots=True)
class Line:
    """One segment, and where its text was written: ``start`` is where in the stream the text of its chunk begins.

    ``origins`` maps its words to characters of the chunk.
    """

    segment: Segment
    chunk: Chunk
    origins: tuple[Origin, ...]
    last: bool  # of its chunk

    def written(self, word: WordTime) -> tuple[int, int]:
        """The characters of the stream, from and to, that a word of the segment was written as."""
        index = max(bisect_right(self.origins, word.start_char, key=lambda origin: origin.start) - 1, 0)
        first = last = self.origins[index]
        while index + 1 < len(self.origins) and self.origins[index + 1].start < word.end_char:
            index += 1
            last = self.origins[index]
        return self.chunk.start + first.source_start, self.chunk.start + last.source_end


class Script:
    """Turns the chunks of one stream into lines, in their order. Sans-I/O.

    A mood holds until the end of its sentence, so it may outlast its chunk. ``manner`` is there all the time,
    and moods come on top of it.
    """

    def __init__(
        self, *, reads_tags: bool, normalize: bool, language: str | None = None, manner: str = ""
    ) -> None:
        self._reads_tags = reads_tags
        self._normalizer = Normalizer() if normalize else None
        self._language = language
        self._lead = f"[{manner}] " if manner and reads_tags else ""
        self._manner = PLAIN if reads_tags else style_of(manner) or PLAIN
        self._style = self._manner
        self._speaker = 0

    def lines(self, chunk: Chunk) -> list[Line]:
        """The lines of a chunk: at least one, which is a short silence if there are no words in it."""
        if chunk.speaker != self._speaker:
            self._speaker, self._style = chunk.speaker, self._manner
        lines: list[Line] = []
        pause = 0.0
        spans = (Words(chunk.text, 0, len(chunk.text)),) if self._reads_tags else parse(chunk.text)
        fresh = True  # no words since the last mood: moods add up
        for span in spans:
            match span:
                case Words():
                    for start, end in self._sentences(span):
                        style = self._style
                        if chunk.text[start:end].strip():
                            fresh = False
                        if line := self._line(chunk, start, end, style, pause):
                            lines.append(line)
                            pause = 0.0
                        if end < span.end:
                            self._style = self._manner
                case Pause(seconds):
                    pause += seconds
                case Mood(style):
                    plain = style == PLAIN
                    self._style = PLAIN if plain else blend(self._style if fresh else self._manner, style)
                    fresh = True
                case _:
                    pass  # a sound that the voice does not have; never read aloud
        if not chunk.open_ended:
            self._style = self._manner
        if pause or not lines:
            silence = Segment("", chunk.speaker, pause=pause or WORDLESS_PAUSE)
            lines.append(Line(silence, chunk, (), last=True))
        lines[:-1] = [self._inner(line) for line in lines[:-1]]
        lines[-1] = replace(lines[-1], last=True)
        return lines

    def _sentences(self, words: Words) -> list[tuple[int, int]]:
        """The words cut where the mood ends: behind their first sentence, if there is a mood at all."""
        if self._style == self._manner or (end := _SENTENCE_END.search(words.text)) is None:
            return [(words.start, words.end)]
        return [(words.start, words.start + end.end()), (words.start + end.end(), words.end)]

    def _line(self, chunk: Chunk, start: int, end: int, style: Style, pause: float) -> Line | None:
        raw = chunk.text[start:end]
        if self._normalizer is None:
            # As long as before, for the places of the words to stay.
            raw = raw.replace("<|", "  ").replace("|>", "  ")
            text = raw.strip()
            lead = len(raw) - len(raw.lstrip())
            origins = [
                Origin(m.start() - lead, m.end() - lead, m.start(), m.end()) for m in re.finditer(r"\S+", raw)
            ]
        else:
            spoken = self._normalizer.normalize(raw, self._language)
            text, origins = spoken.text, list(spoken.origins)
        if not text or not origins:
            return None
        lead = len(self._lead)
        shifted = tuple(
            Origin(o.start + lead, o.end + lead, o.source_start + start, o.source_end + start)
            for o in origins
        )
        segment = Segment(self._lead + text, chunk.speaker, chunk.open_ended, style, pause)
        return Line(segment, chunk, shifted, last=False)

    @staticmethod
    def _inner(line: Line) -> Line:
        """A line that another one of its chunk follows: its sentence goes on unless it ends in itself."""
        ends = line.segment.text.rstrip("\"'”’)]")[-1:] in (".", "!", "?", "…", "。", "！", "？")
        return replace(line, segment=replace(line.segment, open_ended=not ends))
