"""How one line is made to fit its time."""

from dataclasses import dataclass

from realtime.dubbing.captions import Limits


@dataclass(frozen=True, slots=True)
class Measured:
    """A line at its natural pace, from its audible onset to its audible end; all times count from that onset.

    ``seconds`` is 0 if nothing can be heard of it. ``pauses`` are the silences in it, from and to; ``stops``
    where it may be broken off without cutting a word in two, in their order.
    """

    seconds: float
    pauses: tuple[tuple[float, float], ...] = ()
    stops: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Fit:
    """What is done to a line: first its pauses are left as long as ``pauses`` says, then it is sped up.

    With ``cut`` it is broken off there, in seconds of the natural line. It then takes ``seconds``.
    """

    speed: float
    pauses: tuple[float, ...]
    seconds: float
    cut: float | None = None

    def trimmed(self, measured: Measured) -> float:
        """Seconds of pauses that are left out."""
        return sum(
            end - start - kept for (start, end), kept in zip(measured.pauses, self.pauses, strict=True)
        )

    def heard_at(self, measured: Measured, moment: float) -> float:
        """When a moment of the natural line is heard, in seconds from the beginning of the fitted one."""
        left_out = 0.0
        for (start, end), kept in zip(measured.pauses, self.pauses, strict=True):
            if moment > start + kept:
                left_out += min(moment, end) - start - kept
        return (moment - left_out) / self.speed

    def cut_before(self, measured: Measured, limit: float, earliest: float = 0.0) -> "Fit | None":
        """The same line, broken off at the last stop within ``limit`` seconds; None if there is none.

        What is heard before ``earliest`` cannot be taken back.
        """
        best = None
        for stop in measured.stops:
            heard = self.heard_at(measured, stop)
            if heard > limit:
                break
            if heard >= earliest and 0 < stop < measured.seconds:
                best = Fit(self.speed, self.pauses, heard, stop)
        return best


def fit(measured: Measured, room: float, limit: float, limits: Limits) -> Fit | None:
    """Make a line fit into ``room`` seconds, as gently as possible: with shorter pauses first, then faster.

    If it still does not fit it is longer, but never longer than ``limit`` seconds: it is then broken off behind a
    word. None if not even the first word fits.
    """
    spare = [max(0.0, end - start - limits.pause_floor) for start, end in measured.pauses]
    total = sum(spare)
    excess = min(max(0.0, measured.seconds - room), total)
    share = excess / total if total else 0.0
    pauses = tuple(
        end - start - share * extra for (start, end), extra in zip(measured.pauses, spare, strict=True)
    )
    shortened = measured.seconds - excess
    speed = min(max(1.0, shortened / room), limits.max_speed) if room > 0 else limits.max_speed
    fitted = Fit(speed, pauses, shortened / speed)
    return fitted if fitted.seconds <= limit else fitted.cut_before(measured, limit)
