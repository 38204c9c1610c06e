"""Pressed keys, collected until they are a turn."""

_ENTER = "#"
_MOST = 64


class Keypad:
    """Digits become one turn after a pause of ``pause`` seconds, or with "#"."""

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._digits = ""
        self.due: float | None = None

    def press(self, digit: str, now: float) -> None:
        """One more."""
        self._digits += digit
        self.due = now if digit == _ENTER or len(self._digits) >= _MOST else now + self._pause

    def take(self, now: float) -> str | None:
        """The turn that is over by now, as the mind is told."""
        if self.due is None or now < self.due:
            return None
        digits, self._digits, self.due = self._digits, "", None
        return f"[keypad: {digits}]"
