"""What was heard, by what was sent."""

from transports.webrtc.ledger import Ledger


def sent(ledger: Ledger, first: int, pattern: str) -> None:
    for number, kind in enumerate(pattern):
        ledger.sent((first + number) * 960, speech=kind == "s")


def test_speech_counts_and_silence_does_not() -> None:
    ledger = Ledger()
    sent(ledger, 0, "..ss.s")
    assert [ledger.heard(at * 960) for at in range(6)] == [0.0, 0.0, 0.02, 0.04, 0.04, 0.06]


def test_after_a_clear_it_counts_anew_and_what_was_before_is_nothing() -> None:
    ledger = Ledger()
    sent(ledger, 0, "sss")
    ledger.clear()
    sent(ledger, 3, "ss")
    assert [ledger.heard(at * 960) for at in range(5)] == [0.0, 0.0, 0.0, 0.02, 0.04]


def test_what_was_never_sent_or_long_ago_is_not_known() -> None:
    ledger = Ledger()
    sent(ledger, 10, "s" * 300)
    assert ledger.heard(10 * 960) is None
    assert ledger.heard(-960) is None
    assert ledger.heard(309 * 960) == 6.0
    assert ledger.heard(310 * 960) is None
    assert ledger.heard(309 * 960 - 1) is None
