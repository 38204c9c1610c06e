"""What the listener has heard by now: the clock behind pacing, chunking and truncation."""

from dataclasses import dataclass


@dataclass(slots=True)
class PlayoutClock:
    """Follows a listener who plays what is sent at once and without a break. Times are seconds.

    When the listener runs dry, playing stands still until more is sent. Where a transport knows what was really
    played, :meth:`report` corrects the clock.
    """

    sent: float = 0.0
    dry_at: float | None = None

    def send(self, seconds: float, now: float) -> None:
        """``seconds`` of audio leave for the listener."""
        self.dry_at = (now if self.dry_at is None else max(self.dry_at, now)) + seconds
        self.sent += seconds

    def report(self, heard: float, now: float) -> None:
        """The listener has heard ``heard`` seconds in all; more than was sent counts as all of it."""
        self.dry_at = now + max(0.0, self.sent - heard)

    def ahead(self, now: float) -> float:
        """Seconds of audio that the listener has not heard yet."""
        return 0.0 if self.dry_at is None else max(0.0, self.dry_at - now)

    def heard(self, now: float) -> float:
        """Seconds of audio that the listener has heard."""
        return self.sent - self.ahead(now)
