"""What leaves for a listener, and when, in virtual time."""

import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from realtime.player import Player

PACKET = 0.02


def packets(first: int, count: int) -> list[bytes]:
    return [str(number).encode() for number in range(first, first + count)]


class Listener:
    """Plays what a player sends, at once and without a break; can be told to drop what it has not played."""

    def __init__(self, player: Player) -> None:
        self.player = player
        self.now = 100.0
        self.got: list[int] = []
        self.played: list[float] = []  # when each of them is played to its end
        self.pushed = 0

    def push(self, count: int) -> None:
        self.player.push(packets(self.pushed, count))
        self.pushed += count

    def run(self, until: float, late: float = 0.0) -> None:
        """Send what is due, up to ``late`` seconds after its time."""
        while (due := self.player.due) is not None and max(due, self.now) <= until:
            self.now = max(due + late, self.now)
            self.take()
        self.now = max(self.now, until)

    def take(self) -> None:
        for packet in self.player.take(self.now):
            self.got.append(int(packet))
            self.played.append(max(self.now, self.played[-1] if self.played else 0.0) + PACKET)

    def hold(self) -> None:
        self.player.hold(self.now)
        heard = sum(end <= self.now + 1e-6 for end in self.played)
        del self.got[heard:], self.played[heard:]


def test_packets_leave_in_real_time_and_no_more_than_the_lead_before_they_are_heard() -> None:
    listener = Listener(Player(lead=0.1))
    listener.push(100)
    listener.run(100.0)
    assert listener.got == [0, 1, 2, 3, 4]
    listener.run(101.0)
    assert len(listener.got) == 55
    assert listener.player.queued == pytest.approx(45 * PACKET)
    listener.run(110.0)
    assert listener.got == list(range(100))
    assert listener.player.due is None
    assert listener.player.heard(101.5) == pytest.approx(1.5)
    assert not listener.player.idle(101.99)
    assert listener.player.idle(102.0)
    assert listener.player.idle_at() == pytest.approx(102.0)


def test_a_listener_who_ran_dry_hears_the_rest_when_it_comes() -> None:
    listener = Listener(Player())
    listener.push(10)
    listener.run(105.0)
    assert listener.player.heard(105.0) == pytest.approx(0.2)
    listener.push(10)
    listener.run(105.0)
    assert listener.player.heard(105.1) == pytest.approx(0.3)


def test_who_is_asked_late_catches_up_and_does_not_drift() -> None:
    listener = Listener(Player(lead=PACKET))
    listener.push(180_000)
    listener.run(100.0 + 3600.0, late=0.005)
    assert len(listener.got) == pytest.approx(180_000, abs=1)
    assert listener.player.heard(100.0 + 1800.0) == pytest.approx(1800.0, abs=0.03)


def test_a_machine_that_slept_does_not_catch_up_in_a_burst() -> None:
    listener = Listener(Player())
    listener.push(1000)
    listener.run(101.0)
    listener.now = 105.0
    before = len(listener.got)
    listener.take()
    assert len(listener.got) - before == 5


def test_what_was_sent_and_not_heard_is_sent_again_after_a_hold() -> None:
    listener = Listener(Player(lead=0.1))
    listener.push(50)
    listener.run(100.505)
    listener.hold()
    assert listener.player.held
    assert listener.player.due is None
    assert listener.player.take(101.0) == []
    assert listener.player.heard(103.0) == pytest.approx(0.505)
    assert listener.got == list(range(25))
    listener.now = 103.0
    listener.player.resume(103.0)
    assert listener.player.heard(103.0) == pytest.approx(0.505)
    listener.run(110.0)
    assert listener.got == list(range(50))


def test_a_report_corrects_the_clock_and_holds_go_back_by_it() -> None:
    player = Player(lead=0.1)
    player.push(packets(0, 100))
    listener = Listener(player)
    listener.run(101.0)
    player.report(0.7, 101.0)  # 0.3 s on the way
    assert player.heard(101.0) == pytest.approx(1.0)  # what was said is not taken back,
    assert player.heard(101.2) == pytest.approx(1.0)  # but it waits for the listener
    assert player.heard(101.4) == pytest.approx(1.1)
    player.drop()
    player.push(packets(0, 100))
    listener.run(102.0)
    assert player.heard(101.5) == pytest.approx(0.2)
    player.hold(102.0)
    assert player.sent == pytest.approx(0.7)


def test_a_report_of_all_is_believed() -> None:
    player = Player()
    player.push(packets(0, 5))
    player.take(10.0)
    player.report(0.0, 10.06)
    assert not player.idle(10.15)
    player.report(0.1, 10.12)
    assert player.idle(10.12)


def test_a_lead_shorter_than_a_packet_is_refused() -> None:
    with pytest.raises(ValueError, match=r"lead is 0\.01, expected at least a packet of 0\.02 s"):
        Player(lead=0.01)


steps = st.lists(
    st.one_of(
        st.tuples(st.just("push"), st.integers(1, 120)),
        st.tuples(st.just("run"), st.floats(0.0, 2.0)),
        st.tuples(st.just("late"), st.floats(0.0, 0.09)),
        st.tuples(st.just("hold"), st.just(0)),
        st.tuples(st.just("resume"), st.just(0)),
        st.tuples(st.just("report"), st.floats(-0.3, 0.05)),
    ),
    max_size=40,
)


@given(steps, st.floats(PACKET, 0.5))
@example([("push", 14), ("run", 0.0), ("late", 0.03125), ("run", 0.25), ("hold", 0)], 0.03125)
@settings(max_examples=300, deadline=None)
def test_whatever_happens_nothing_is_lost_or_doubled(script: list[tuple[str, float]], lead: float) -> None:
    player = Player(lead=lead)
    listener = Listener(player)
    reported = False
    heard = 0.0
    for action, amount in script:
        match action:
            case "push":
                listener.push(int(amount))
            case "run":
                listener.run(listener.now + amount)
            case "late":
                listener.now += amount
                listener.take()
            case "hold":
                if not reported:
                    listener.hold()
            case "resume":
                player.resume(listener.now)
            case "report":
                reported = True  # from now on it is not this listener that is spoken of
                player.report(max(0.0, player.heard(listener.now) + amount), listener.now)
        assert player.heard(listener.now) >= heard - 1e-9
        heard = player.heard(listener.now)
        assert heard <= listener.pushed * PACKET + 1e-6
        assert listener.got == list(range(len(listener.got)))
        assert len(listener.got) * PACKET + player.queued == pytest.approx(listener.pushed * PACKET)
        if not reported and listener.played:
            assert listener.played[-1] - listener.now <= lead + PACKET + 1e-5
    player.resume(listener.now)
    listener.run(listener.now + 1000.0)
    assert listener.got == list(range(listener.pushed))
    assert player.idle(listener.now + 1000.0)


@given(st.lists(st.floats(0.001, 3.0), min_size=1, max_size=20), st.floats(PACKET, 0.4))
@settings(max_examples=200, deadline=None)
def test_resuming_goes_back_no_further_than_to_what_was_not_heard(holds: list[float], lead: float) -> None:
    player = Player(lead=lead)
    listener = Listener(player)
    listener.push(5000)
    for after in holds:
        listener.run(listener.now + after)
        listener.hold()
        assert player.heard(listener.now) - player.sent <= PACKET + 1e-6  # less than the packet it was in
        assert math.isclose(player.sent, len(listener.got) * PACKET, abs_tol=1e-6)
        listener.now += 1.0
        player.resume(listener.now)
