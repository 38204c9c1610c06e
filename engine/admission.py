"""Whether one more stream can be carried: the rule by which the scheduler, and who spreads streams, lets in."""

OVERBOOKING = 4
"""How many times as many streams may be open as may speak: most of the time of a conversation, the other
side speaks."""


def refusal(speaking: int, open_streams: int, limit: int) -> str | None:
    """Why no further stream is let in; None if one is.

    ``limit`` may speak at a time; ``speaking`` of the ``open_streams`` have something to say.
    """
    if speaking >= limit:
        return f"{speaking} of {limit} streams are speaking"
    if open_streams >= OVERBOOKING * limit:
        return f"{open_streams} streams are open, though only {speaking} of them speak"
    return None
