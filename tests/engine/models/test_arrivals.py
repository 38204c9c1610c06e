"""Boxes for what arrives from elsewhere: filled by one thread, emptied by another."""

import threading

import pytest

from engine import SpeechError
from engine.models.arrivals import Arrivals


def test_items_come_out_in_order_up_to_a_size_and_one_at_least() -> None:
    box = Arrivals().box(100, lambda: None)
    for item, size in (("a", 4), ("b", 4), ("c", 4), ("d", 20)):
        assert box.put(item, size)
    assert box.take(10) == (["a", "b"], False)
    assert box.take(10) == (["c"], False)
    assert box.take(10) == (["d"], False)
    assert box.take(10) == ([], False)


def test_the_end_comes_with_the_last_item_or_alone() -> None:
    box = Arrivals().box(100, lambda: None)
    box.put("a", 6)
    box.put("b", 6)
    box.end()
    assert box.take(10) == (["a"], False)
    assert box.take(10) == (["b"], True)
    assert box.take(10) == ([], True)


def test_an_error_comes_after_all_that_came_before_it() -> None:
    box = Arrivals().box(100, lambda: None)
    box.put("a", 1)
    box.end(SpeechError("cut"))
    assert box.take(10) == (["a"], False)
    for _ in range(2):
        with pytest.raises(SpeechError, match="cut"):
            box.take(10)


def test_a_full_box_asks_for_a_pause_and_once_for_more() -> None:
    resumed: list[str] = []
    box = Arrivals().box(10, lambda: resumed.append("more"))
    assert box.put("a", 4)
    assert box.put("b", 4)
    assert not box.put("c", 4)
    box.take(4)  # 8 are left
    assert resumed == []
    box.take(4)  # 4 are left
    assert resumed == ["more"]
    box.take(4)
    assert resumed == ["more"]


def test_who_waits_is_woken_by_any_of_its_boxes_and_by_no_other() -> None:
    arrivals = Arrivals()
    mine, other = arrivals.box(10, lambda: None), arrivals.box(10, lambda: None)
    silent = arrivals.box(10, lambda: None)
    returned = threading.Event()

    def wait() -> None:
        arrivals.wait([silent, mine], 60)
        returned.set()

    thread = threading.Thread(target=wait)
    thread.start()
    other.put("x", 1)
    assert not returned.wait(0.05)
    mine.put("y", 1)
    assert returned.wait(10)
    thread.join()


@pytest.mark.parametrize("error", [None, SpeechError("cut")])
def test_an_end_wakes_too(error: SpeechError | None) -> None:
    arrivals = Arrivals()
    box = arrivals.box(10, lambda: None)
    threading.Timer(0.01, box.end, [error]).start()
    arrivals.wait([box], 60)
    assert box.ready


def test_a_wait_ends_by_itself() -> None:
    arrivals = Arrivals()
    arrivals.wait([arrivals.box(10, lambda: None)], 0.001)
    arrivals.wait([], 0.001)


def test_nothing_is_lost_between_two_threads() -> None:
    arrivals = Arrivals()
    room = threading.Event()
    box = arrivals.box(16, room.set)
    count = 5_000

    def fill() -> None:
        for number in range(count):
            if not box.put(number, 1):
                assert room.wait(10)
                room.clear()
        box.end()

    thread = threading.Thread(target=fill)
    thread.start()
    got: list[int] = []
    last = False
    while not last:
        arrivals.wait([box], 1)
        items, last = box.take(7)
        got += items
    thread.join()
    assert got == list(range(count))
