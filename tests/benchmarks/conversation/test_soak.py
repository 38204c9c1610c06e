import random

import numpy as np

from benchmarks.conversation.acts import deck
from benchmarks.conversation.soak import HELD, growth
from benchmarks.conversation.voices import Line, Repertoire


def samples(count: int = 30, **changing: list[float]) -> list[dict[str, float]]:
    steady = dict.fromkeys(HELD, 10.0)
    return [
        {"at": 60.0 * index, **steady, **{name: values[index] for name, values in changing.items()}}
        for index in range(count)
    ]


def test_what_is_steady_does_not_grow() -> None:
    assert [one.name for one in growth(samples())] == list(HELD)
    assert not any(one.grows or one.slope for one in growth(samples()))


def test_what_is_used_for_the_first_time_is_no_growth() -> None:
    warming = [100e6 + 10e6 * min(index, 9) for index in range(30)]
    assert not any(one.grows for one in growth(samples(memory=warming)))


def test_a_leak_grows() -> None:
    leaks = {
        one.name: one
        for one in growth(
            samples(
                memory=[100e6 + 1e6 * index for index in range(30)],
                tasks=[10.0 + index // 8 for index in range(30)],
            )
        )
    }
    assert [name for name, one in leaks.items() if one.grows] == ["memory", "tasks"]
    assert round(leaks["memory"].slope) == 60e6


def test_a_slow_leak_grows_too() -> None:
    # As a conversation's connections did that were not closed: one in thirty calls.
    [files] = [
        one
        for one in growth(samples(12, files=[37, 37, 37, 37, 37, 40, 44, 46, 46, 46, 47, 48]))
        if one.grows
    ]
    assert files.name == "files"


def test_noise_is_no_growth() -> None:
    noise = np.random.default_rng(1).integers(0, 4, 30).astype(float) + 20
    [files] = [one for one in growth(samples(files=noise.tolist())) if one.name == "files"]
    assert not files.grows
    assert files.most == max(noise[10:])


def test_what_went_up_once_is_no_growth_and_a_leak_in_noise_is_one() -> None:
    def memory(values: list[float]) -> bool:
        [found] = [one for one in growth(samples(60, memory=values)) if one.name == "memory"]
        return found.grows

    once = [560e6 if index < 25 else 570e6 for index in range(60)]
    assert not memory(once)
    noise = np.random.default_rng(1).normal(0, 2e6, 60)
    assert memory([560e6 + 0.5e6 * index + noise[index] for index in range(60)])


def test_too_few_samples_say_nothing() -> None:
    assert growth(samples(1)) == []


def test_all_lines_have_their_turn_and_half_of_all_are_plain() -> None:
    def lines(*texts: str) -> tuple[Line, ...]:
        return tuple(Line(text, np.zeros(1, np.float32)) for text in texts)

    said = deck(Repertoire(lines("a", "b", "c"), lines("i", "j"), lines("x", "y", "z")), random.Random(1))
    acts = [next(said) for _ in range(24)]
    assert sum(kind == "answer" for kind, _ in acts) == 12
    assert {line.text for _, line in acts} == set("abcijxyz")
