from realtime.line import LinePlayed
from transports.telephony.marks import EVERY, Marks


def sent(marks: Marks, packets: int) -> list[str]:
    return [name for _ in range(packets) if (name := marks.sent()) is not None]


def test_the_first_packet_and_every_few_after_it_are_marked() -> None:
    marks = Marks()
    names = [marks.sent() for _ in range(11)]
    assert [name is not None for name in names] == [n % EVERY == 0 for n in range(11)]
    assert len(set(names)) == 4


def test_marks_that_come_back_say_how_much_was_played() -> None:
    marks = Marks()
    first, second, _ = sent(marks, 15)
    assert marks.back(first) == LinePlayed(0.02, 0)
    assert marks.back(second) == LinePlayed(0.12, 0)


def test_a_mark_that_a_clear_sends_back_was_not_played() -> None:
    marks = Marks()
    names = sent(marks, 30)
    assert marks.back(names[0]) == LinePlayed(0.02, 0)
    marks.cleared()
    assert [marks.back(name) for name in names] == [None] * len(names)
    (name,) = sent(marks, 5)
    assert name not in names
    assert marks.back(name) == LinePlayed(0.02, 1)


def test_strange_and_repeated_marks_say_nothing() -> None:
    marks = Marks()
    first, second, third = sent(marks, 15)
    assert marks.back("0.15") is marks.back("") is None
    assert marks.back(second) == LinePlayed(0.12, 0)
    assert marks.back(first) is marks.back(second) is None
    assert marks.back(third) == LinePlayed(0.22, 0)


def test_marks_that_never_come_back_are_forgotten() -> None:
    marks = Marks()
    names = sent(marks, 10_000)
    assert marks.back(names[0]) is None
    assert marks.back(names[-1]) is not None
