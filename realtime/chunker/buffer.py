"""The text that has come and was not taken yet."""

from io import StringIO


class Buffer:
    """A stream of text of which only the rest is kept; positions count from the start of the stream.

    ``text`` is a part of the stream, which begins at ``base``; ``end`` is how long the stream is by now. What
    comes is joined to ``text`` only once it is needed, and what was taken is dropped only then: with a megabyte
    waiting, a token more costs no copy of the megabyte. ``keep`` characters of what was taken stay.
    """

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self.text = ""
        self.base = 0
        self.end = 0
        self._fresh = StringIO()

    def push(self, text: str) -> None:
        """Append to the stream."""
        self._fresh.write(text)
        self.end += len(text)

    def gather(self, start: int, until: int) -> None:
        """Have ``text`` reach from ``start``, or before, to ``until`` or what there is of the stream."""
        joined = self.base + len(self.text)
        if joined < self.end and joined < until:
            first = max(start - self._keep, self.base)
            self.text = self.text[first - self.base :] + self._fresh.getvalue()
            self.base = first
            self._fresh = StringIO()
