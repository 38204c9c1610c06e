"""Counting strangers, without any."""

import pytest

from transports.security import Limits
from transports.security.addresses import networks, whose, within
from transports.security.buckets import Bucket
from transports.security.gate import REMEMBERED, TOLD, Gate
from transports.security.refusals import QUIET_SECONDS, RefusalLog


@pytest.mark.parametrize(
    ("host", "counted"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
    ],
)
def test_what_an_address_counts_as(host: str, counted: str) -> None:
    assert whose(host) == counted


def test_networks_are_read_and_compared() -> None:
    trusted = networks(["10.0.0.0/8", "::1", "192.0.2.1"])
    assert within("10.20.30.40", trusted)
    assert within("::ffff:10.20.30.40", trusted)
    assert within("::1", trusted)
    assert not within("192.0.2.2", trusted)
    assert not within("unix:", trusted)
    with pytest.raises(ValueError, match=r"'10.0.0.1/8' is no network such as 10.0.0.0/8"):
        networks(["10.0.0.1/8"])


def test_a_bucket_fills_again_and_never_beyond() -> None:
    bucket = Bucket(rate=2.0, most=3.0, now=0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert bucket.wait(0.25) == 0.25
    assert bucket.take(0.5)
    assert not bucket.take(0.5)
    assert bucket.full(100.0)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_beyond_what_is_told_connections_are_cut_off() -> None:
    gate = Gate(Limits(connections=1))
    entries = [gate.connect("203.0.113.7", 0.0) for _ in range(1 + TOLD + 1)]
    assert entries[0] is not None
    assert entries[0].refusal is None
    assert entries[-1] is None
    for entry in entries[:-1]:
        assert entry is not None
        gate.disconnect(entry)
    assert gate.connections == 0


def test_a_flood_of_addresses_does_not_fill_the_memory() -> None:
    gate = Gate(Limits(request_rate=1.0, request_burst=2))
    kept = gate.connect("198.51.100.1", 0.0)
    for number in range(2 * REMEMBERED):
        with gate.request(f"host-{number}", 0.0):
            pass
    assert len(gate._strangers) <= REMEMBERED
    assert kept is not None
    gate.disconnect(kept)  # who is here was not forgotten


def test_a_flood_of_refusals_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    log = RefusalLog()
    for _ in range(1000):
        log.note(429, "203.0.113.7", "too many", 0.0)
    log.note(408, None, "too slow", 0.0)
    log.note(429, "203.0.113.7", "too many", QUIET_SECONDS)
    assert [record.getMessage() for record in caplog.records] == [
        "refused 203.0.113.7 with 429: too many",
        "refused somebody with 408: too slow",
        "refused 203.0.113.7 with 429: too many (and 999 more since the last line like this)",
    ]
