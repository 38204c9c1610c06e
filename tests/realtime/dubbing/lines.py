"""Lines as a voice may speak them."""

from hypothesis import strategies as st

from realtime.dubbing.fitting import Measured


@st.composite
def measured_lines(draw: st.DrawFn) -> Measured:
    """Words and pauses in turn."""
    at = 0.0
    pauses, stops = [], []
    words = draw(st.integers(1, 8))
    for number in range(words):
        at += draw(st.floats(0.1, 1.0))
        if number < words - 1:
            stops.append(at)
            if (pause := draw(st.sampled_from([0.0, 0.11, 0.3, 1.5]))) > 0:
                pauses.append((at, at + pause))
                at += pause
    return Measured(at, tuple(pauses), tuple(stops))
