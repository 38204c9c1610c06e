import base64
import re

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from transports.jobs import Signer
from transports.telephony.signatures import (
    TICKET_SECONDS,
    Ticket,
    Tickets,
    check_telnyx_key,
    telnyx_signed,
    twilio_signature,
    twilio_signed,
)

# Examples that Twilio has published: two of its documentation, one of the tests of its library.
CALL = {"CallSid": "CA1234567890ABCDE", "Digits": "1234", "To": "+18005551212"}
EXAMPLES = [
    (
        "12345",
        "https://mycompany.com/myapp.php?foo=1&bar=2",
        CALL | {"Caller": "+14158675309", "From": "+14158675309"},
        "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
    ),
    (
        "12345",
        "https://mycompany.com/myapp.php?foo=1&bar=2",
        CALL | {"Caller": "+12349013030", "From": "+12349013030"},
        "0/KCTR6DLpKmkAf8muzZqo1nDgQ=",
    ),
    (
        "1c892n40nd03kdnc0112slzkl3091j20",
        "http://www.postbin.org/1ed898x",
        {
            "AccountSid": "AC9a9f9392lad99kla0sklakjs90j092j3",
            "ApiVersion": "2010-04-01",
            "CallSid": "CAd800bb12c0426a7ea4230e492fef2a4f",
            "CallStatus": "ringing",
            **{"Called": "+15306384866", "CalledCity": "OAKLAND", "CalledCountry": "US", "CalledState": "CA"},
            **{"CalledZip": "94612", "Caller": "+15306666666", "CallerCity": "SOUTH LAKE TAHOE"},
            **{"CallerCountry": "US", "CallerName": "CA Wireless Call", "CallerState": "CA"},
            **{"CallerZip": "89449", "Direction": "inbound", "From": "+15306666666"},
            **{"FromCity": "SOUTH LAKE TAHOE", "FromCountry": "US", "FromState": "CA", "FromZip": "89449"},
            **{"To": "+15306384866", "ToCity": "OAKLAND", "ToCountry": "US", "ToState": "CA"},
            "ToZip": "94612",
        },
        "fF+xx6dTinOaCdZ0aIeNkHr/ZAA=",
    ),
]


@pytest.mark.parametrize(("token", "url", "fields", "signature"), EXAMPLES)
def test_twilios_own_examples(token: str, url: str, fields: dict[str, str], signature: str) -> None:
    assert twilio_signature(token, url, fields.items()) == signature
    assert twilio_signed(token, signature, ["https://elsewhere.com/", url], fields.items())
    assert not twilio_signed("other", signature, [url], fields.items())
    assert not twilio_signed(token, signature, [url + "x"], fields.items())
    assert not twilio_signed(token, signature, [url], (fields | {"To": "+1"}).items())
    assert not twilio_signed(token, signature, [], fields.items())


@pytest.mark.parametrize("signature", [None, "", "é", "AAAA"])
def test_no_signature_is_none_of_twilios(signature: str | None) -> None:
    assert not twilio_signed("token", signature, ["https://example.com/"])


def test_telnyx_signs_the_time_and_the_body() -> None:
    private = Ed25519PrivateKey.generate()
    key = base64.b64encode(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()
    check_telnyx_key(key)
    body = b"CallSid=v3%3Aabc&From=%2B13125550100"
    signature = base64.b64encode(private.sign(b"1790000000|" + body)).decode()

    def signed(
        signature: str | None = signature,
        timestamp: str | None = "1790000000",
        body: bytes = body,
        ago: float = 3,
    ) -> bool:
        return telnyx_signed(key, signature, timestamp, body, 1_790_000_000 + ago)

    assert signed()
    assert signed(ago=299)
    assert signed(ago=-299)
    assert not signed(ago=301)
    assert not signed(ago=-301)
    assert not signed(body=body + b"&x=1")
    assert not signed(timestamp="1790000001")
    for timestamp in (None, "", "now", "1790000000 ", "٣", "-1"):
        assert not signed(timestamp=timestamp)
    for other in (None, "", "AAAA", "é", signature[:-4] + "AAA="):
        assert not signed(signature=other)


@pytest.mark.parametrize("key", ["", "no key", base64.b64encode(b"x" * 31).decode()])
def test_what_is_no_public_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="32 bytes in base64"):
        check_telnyx_key(key)


def test_a_ticket_is_taken_once() -> None:
    tickets = Tickets(Signer(b"secret"))
    ticket = Ticket(
        "telnyx", "v3:T02llQxIyaRkhfRKxgAP8nY511EhFLizdvdUKJiSw8d6A9BborherQ", {"greeting": "Grüezi!"}
    )
    text = tickets.make(ticket, 1000.5)
    assert re.fullmatch(r"[\w.-]+", text), "fit for a path"
    assert tickets.take(text, "telnyx", 1001.0) == ticket
    assert tickets.take(text, "telnyx", 1001.0) is None
    assert tickets.take(tickets.make(ticket, 1000.5), "telnyx", 1001.0) == ticket


def test_a_ticket_is_good_for_a_minute_and_one_provider() -> None:
    tickets = Tickets(Signer(b"secret"))
    ticket = Ticket("twilio", "CA1")
    text = tickets.make(ticket, 1000.0)
    assert tickets.take(text, "telnyx", 1001.0) is None
    assert tickets.take(text, "twilio", 1000.0 + TICKET_SECONDS) is None
    assert tickets.take(text, "twilio", 999.0 + TICKET_SECONDS) == ticket


def test_a_ticket_of_another_secret_or_of_nobody_is_none() -> None:
    tickets = Tickets(Signer(b"secret"))
    text = tickets.make(Ticket("twilio", "CA1"), 1000.0)
    assert Tickets(Signer(b"other")).take(text, "twilio", 1001.0) is None
    for at in range(len(text)):
        forged = text[:at] + ("1" if text[at] != "1" else "2") + text[at + 1 :]
        if forged[-43:-1] != text[-43:-1] or forged[:-43] != text[:-43]:
            assert tickets.take(forged, "twilio", 1001.0) is None, at
    for garbage in ("", "twilio", text + "x", text[:-1], text.replace(".", "..", 1), "é" * 200):
        assert tickets.take(garbage, "twilio", 1001.0) is None
    assert tickets.take(text, "twilio", 1001.0) == Ticket("twilio", "CA1")


def test_what_is_too_long_for_an_address_is_no_ticket() -> None:
    tickets = Tickets(Signer(b"secret"))
    text = tickets.make(Ticket("twilio", "CA1", {"instructions": "x" * 1400}), 1000.0)
    assert tickets.take(text, "twilio", 1000.0) is not None
    with pytest.raises(ValueError, match="too many for an address; expected at most 1500"):
        tickets.make(Ticket("twilio", "CA1", {"instructions": "x" * 1500}), 1000.0)


def test_what_was_used_is_forgotten_when_it_has_ended_anyway() -> None:
    tickets = Tickets(Signer(b"secret"))
    for second in range(1000):
        now = float(second * 10)
        assert tickets.take(tickets.make(Ticket("twilio", ""), now), "twilio", now) is not None
    assert len(tickets._used) <= TICKET_SECONDS / 10 + 1
