"""A token bucket: so many a second, and so many at once. No clock of its own."""


class Bucket:
    """Holds up to ``most`` tokens, of which ``rate`` a second come back."""

    __slots__ = ("_left", "_most", "_rate", "_then")

    def __init__(self, rate: float, most: float, now: float) -> None:
        self._rate = rate
        self._most = most
        self._left = most
        self._then = now

    def take(self, now: float) -> bool:
        """Take a token; false if there is none."""
        self._fill(now)
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def wait(self, now: float) -> float:
        """Seconds until there is a token."""
        self._fill(now)
        return max(0.0, 1.0 - self._left) / self._rate

    def full(self, now: float) -> bool:
        """Whether nothing has been taken that has not come back."""
        self._fill(now)
        return self._left >= self._most

    def _fill(self, now: float) -> None:
        self._left = min(self._most, self._left + (now - self._then) * self._rate)
        self._then = now
