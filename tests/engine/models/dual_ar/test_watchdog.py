import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.models.dual_ar.watchdog import FRAME_SECONDS, LOOP_SECONDS, SILENT_SECONDS, Watchdog

LOUD = 0.1


def frames(seconds: float) -> int:
    return round(seconds / FRAME_SECONDS)


def stopped_after(codes: list[int], levels: list[float]) -> tuple[float, str] | None:
    watchdog = Watchdog()
    for number, (code, level) in enumerate(zip(codes, levels, strict=True), 1):
        if reason := watchdog.push(code, level):
            return number * FRAME_SECONDS, reason
    return None


def babble(seconds: float, seed: int = 0) -> list[int]:
    draw = random.Random(seed)
    return [draw.randrange(4096) for _ in range(frames(seconds))]


@pytest.mark.parametrize("period", range(1, 9))
def test_a_loop_is_stopped(period: int) -> None:
    codes = babble(2) + [number % period for number in range(frames(10))]
    when, reason = stopped_after(codes, [LOUD] * len(codes)) or (0.0, "")
    assert 2 + LOOP_SECONDS <= when <= 2 + LOOP_SECONDS + 9 * FRAME_SECONDS
    assert "repeated the same sound for 3 s" in reason
    assert f"after {when:.1f} s" in reason
    assert "another seed" in reason


def test_silence_is_stopped() -> None:
    codes = babble(10)
    levels = [LOUD] * frames(2) + [1e-4] * (len(codes) - frames(2))
    when, reason = stopped_after(codes, levels) or (0.0, "")
    assert when == pytest.approx(2 + SILENT_SECONDS, abs=2 * FRAME_SECONDS)
    assert "silent for 4 s" in reason


def test_silence_from_the_beginning_is_stopped() -> None:
    codes = babble(5)
    assert stopped_after(codes, [0.0] * len(codes))


def test_silence_with_the_noise_of_a_recording_is_stopped() -> None:
    codes = babble(10)
    levels = [0.2] * frames(1) + [0.003] * (len(codes) - frames(1))
    assert stopped_after(codes, levels)


def test_the_silent_token_again_and_again_is_silence_not_a_loop() -> None:
    codes = babble(1) + [7] * frames(6)
    when, reason = stopped_after(codes, [LOUD] * frames(1) + [0.0] * frames(6)) or (0.0, "")
    assert when == pytest.approx(1 + SILENT_SECONDS, abs=2 * FRAME_SECONDS)
    assert "silent" in reason


@settings(deadline=None)
@given(seed=st.integers(0, 2**32))
def test_speech_is_left_alone(seed: int) -> None:
    """Syllables of a few frames, vowels of up to a second, pauses of up to two: for a minute."""
    draw = random.Random(seed)
    codes: list[int] = []
    levels: list[float] = []
    while len(codes) < frames(60):
        match draw.choice(["syllable", "syllable", "syllable", "vowel", "laugh", "pause"]):
            case "syllable":
                new = [draw.randrange(4096) for _ in range(draw.randint(2, 6))]
                level = LOUD * draw.uniform(0.1, 1)
            case "vowel":
                new = [draw.randrange(4096)] * frames(draw.uniform(0.1, 1.0))
                level = LOUD
            case "laugh":
                new = [draw.randrange(4096) for _ in range(3)] * draw.randint(2, 7)  # ha ha ha
                level = LOUD
            case _:
                new = [draw.randrange(2)] * frames(draw.uniform(0.1, 2.0))
                level = draw.choice([0.0, 0.0005, 0.0015])
        codes += new
        levels += [level] * len(new)
        if levels[-1] < 0.01:  # speech comes after a pause
            codes += [draw.randrange(4096) for _ in range(3)]
            levels += [LOUD] * 3
    assert stopped_after(codes, levels) is None


def test_a_quiet_voice_is_not_silent() -> None:
    codes = babble(20)
    assert stopped_after(codes, [0.004] * len(codes)) is None


def test_a_frame_beside_breaks_a_loop() -> None:
    codes = babble(1)
    for number in range(20):
        codes += [5] * frames(2.5) + [100 + number]
    assert stopped_after(codes, [LOUD] * len(codes)) is None
