"""Every engine draws the codes of the reference, whatever is read in parts, found in a cache, or goes on beside
it.
"""

import numpy as np
import pytest

from engine.models.dual_ar.contexts import Stop
from engine.models.dual_ar.sampling import Start
from engine.speech import Sampling
from tests.engine.conformance.conftest import STREAMS
from tests.engine.conformance.crowd import Crowd
from tests.engine.conformance.reference import frames, prompt

GREEDY = Sampling(temperature=0.0, repetition_penalty=1.0)
LENGTHS = (12, 40, 90, 300)  # the last is read in three parts
PAGE = 16  # our engine finds whole pages


def greedy(slot: int, seed: int = 0) -> Start:
    return Start(slot, GREEDY, seed)


@pytest.mark.parametrize("length", LENGTHS)
def test_greedy_codes_alone(crowd: Crowd, length: int) -> None:
    crowd.begin(prompt(length, length, voice=(3, length // 2)), greedy(0))
    crowd.run(12)
    crowd.check(0, 12)


def test_drawn_codes_are_those_of_their_seed(crowd: Crowd) -> None:
    for slot, seed in enumerate((1, 2, 1 << 70)):
        crowd.begin(prompt(7, 50, voice=(3, 20)), Start(slot, Sampling(), seed))
    crowd.run(30)
    for slot in range(3):
        crowd.check(slot, 30)
    assert not np.array_equal(crowd.said[0][:5], crowd.said[1][:5])


def test_greedy_codes_in_a_batch_whose_rows_come_and_go(crowd: Crowd) -> None:
    for slot, length in enumerate(LENGTHS):
        crowd.begin(prompt(20 + slot, length, voice=(3, length // 2)), greedy(slot))
        crowd.run(2 + slot)
    crowd.run(16)
    for slot in range(len(LENGTHS)):
        crowd.check(slot, 16)


def test_many_streams_more_than_run_at_a_time(crowd: Crowd) -> None:
    for slot in range(2 * STREAMS):
        how = GREEDY if slot % 2 else Sampling()
        crowd.begin(prompt(slot, 20 + 5 * slot), Start(slot, how, slot))
    for first in (0, STREAMS):  # as the scheduler has it: so many in a step
        for _ in range(3000):
            left = [slot for slot in range(first, first + STREAMS) if len(crowd.said[slot]) < 8]
            if not left:
                break
            crowd.step(left)
        for slot in range(first, first + STREAMS):
            crowd.contexts.stop(slot)
    for slot in range(2 * STREAMS):
        crowd.check(slot, 8)


def test_a_voice_is_found_again_and_changes_no_code(crowd: Crowd) -> None:
    voice = prompt(31, 80, voice=(2, 70))
    for slot, text in enumerate((32, 33)):
        crowd.begin(np.concatenate((voice, prompt(text, 25))), greedy(slot), public=len(voice))
        crowd.run(6)
        crowd.check(slot, 6)
    assert len(voice) - PAGE < crowd.contexts.found(1) <= len(voice)


def test_a_voice_that_differs_in_its_other_codes_only_is_another(crowd: Crowd) -> None:
    said = []
    for slot, residuals in enumerate((1, 2)):
        voice = prompt(41, 80)
        voice[2:70] = frames(41, 68, residual_seed=residuals)
        crowd.begin(np.concatenate((voice, prompt(42, 25))), greedy(slot), public=len(voice))
        crowd.run(6)
        crowd.check(slot, 6)
        said.append(crowd.said[slot])
    assert crowd.contexts.found(1) == 0
    assert not np.array_equal(*said)


def test_what_is_private_is_found_by_its_own_stream_only(crowd: Crowd) -> None:
    voice, text = prompt(51, 48, voice=(2, 40)), prompt(52, 64)
    for slot, salt in enumerate((b"one", b"other", b"one")):
        crowd.begin(np.concatenate((voice, text)), greedy(slot), public=len(voice), salt=salt)
        crowd.run(4)
        crowd.check(slot, 4)
    assert crowd.contexts.found(1) <= len(voice)
    assert crowd.contexts.found(2) >= len(voice) + len(text) - PAGE


def test_a_stream_goes_on_behind_what_it_said_without_reading_it_again(crowd: Crowd) -> None:
    first = prompt(61, 150, voice=(3, 60))
    crowd.begin(first, Start(0, Sampling(), 3))
    crowd.run(400)
    crowd.check(0, 400)
    spoken = len(crowd.said[0])
    crowd.extend(prompt(62, 30), Start(0, Sampling(), 4))
    crowd.run(10)
    crowd.check(0, 10)
    assert crowd.contexts.found(0) >= len(first) + spoken - PAGE


def test_a_cancelled_stream_leaves_its_slot_and_nobody_notices(crowd: Crowd) -> None:
    for slot in range(3):
        crowd.begin(prompt(70 + slot, 40), greedy(slot))
    crowd.run(3)
    crowd.contexts.free(1)
    crowd.begin(prompt(79, 60), greedy(1, seed=1))
    crowd.run(10)
    for slot in range(3):
        crowd.check(slot, 10)


def test_what_is_stopped_while_its_prompt_is_read_says_nothing(crowd: Crowd) -> None:
    crowd.begin(prompt(81, 300), greedy(0))
    crowd.contexts.stop(0)
    crowd.begin(prompt(82, 20), greedy(1))
    del crowd.said[0]
    crowd.run(8)
    crowd.check(1, 8)
    assert crowd.contexts.land(crowd.contexts.launch([])) == {}
    crowd.contexts.free(0)


def test_speech_comes_to_its_end(crowd: Crowd) -> None:
    for slot in range(3):
        crowd.begin(prompt(90 + slot, 30), Start(slot, Sampling(temperature=1.0), slot))
    crowd.run(400)
    assert set(crowd.stopped.values()) == {Stop.END}
    for slot in range(3):
        crowd.check(slot, 400)
        assert 20 < len(crowd.said[slot]) < 400


def test_settings_out_of_range_are_refused_and_change_nothing(crowd: Crowd) -> None:
    crowd.begin(prompt(95, 30), greedy(0))
    crowd.run(2)
    with pytest.raises(ValueError, match="temperature"):
        crowd.contexts.begin(
            prompt(96, 30), public=0, salt=b"", start=Start(0, Sampling(temperature=-1.0), 0)
        )
    crowd.run(6)
    crowd.check(0, 6)
