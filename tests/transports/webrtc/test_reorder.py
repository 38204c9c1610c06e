"""Packets in their order, whatever the network does to them."""

import random

from hypothesis import given
from hypothesis import strategies as st

from transports.webrtc.reorder import Reorder, RtpPayload


def payload(sequence: int) -> RtpPayload:
    return RtpPayload(sequence * 960, bytes([sequence % 256]))


def through(order: list[int]) -> list[int]:
    reorder = Reorder()
    return [one.timestamp // 960 for at in order for one in reorder.push(at & 0xFFFF, payload(at))]


def test_packets_in_order_leave_at_once_over_the_end_of_the_count() -> None:
    order = list(range(65_530, 65_550))
    assert through(order) == order


def test_two_that_changed_places_are_put_right_and_a_second_copy_is_dropped() -> None:
    assert through([1, 3, 2, 2, 3, 4, 1]) == [1, 2, 3, 4]


def test_a_lost_packet_is_not_waited_for_in_vain() -> None:
    assert through([1, 3, 4, 5, 6, 7]) == [1]
    assert through([1, 3, 4, 5, 6, 7, 8, 2, 9]) == [1, 3, 4, 5, 6, 7, 8, 9]


def test_a_sender_that_begins_anew_is_followed() -> None:
    assert through([1, 2, 4, 30_000, 30_001, 30_002]) == [1, 2, 4, 30_000, 30_001, 30_002]


@given(st.integers(0, 2**31), st.integers(0, 65_535))
def test_every_packet_leaves_once_and_in_order_however_they_are_mixed(seed: int, first: int) -> None:
    chance = random.Random(seed)
    sequence = list(range(first, first + 200))
    # Each is late by up to 4 places, some come twice, and the first is the first.
    arriving = sorted(sequence[1:], key=lambda at: at + chance.uniform(0, 4))
    arriving = [at for one in [first, *arriving] for at in [one] * chance.choice((1, 1, 1, 2))]
    assert through(arriving) == sequence


@given(st.lists(st.integers(0, 65_535), max_size=300))
def test_no_order_of_numbers_keeps_more_than_a_few(numbers: list[int]) -> None:
    reorder = Reorder()
    left = 0
    for pushed, number in enumerate(numbers, 1):
        left += len(reorder.push(number, payload(number)))
        assert left <= pushed
        assert len(reorder._held) <= 6
