"""What clients are told of STUN and TURN."""

import base64
import hashlib
import hmac

from transports.webrtc import WebRtcConfig
from transports.webrtc.servers import credentials, links


def test_turn_credentials_are_those_that_coturn_makes() -> None:
    user, password = credentials("north", "alice", 1_433_895_918.7)
    assert user == "1433895918:alice"
    # printf %s 1433895918:alice | openssl dgst -sha1 -hmac north -binary | base64
    assert password == base64.b64encode(hmac.digest(b"north", user.encode(), hashlib.sha1)).decode()


def test_a_stun_server_needs_no_password_and_a_turn_server_gets_one_that_ends() -> None:
    servers = ("stun:stun.example.net", "turn:turn.example.net?transport=udp")
    told = links(WebRtcConfig(ice_servers=servers, turn_secret="north", turn_seconds=60), 'a"b', 1000.0)
    assert told[0] == '<stun:stun.example.net>; rel="ice-server"'
    assert told[1].startswith(
        '<turn:turn.example.net?transport=udp>; rel="ice-server"; username="1060:a%22b"; '
    )
    assert told[1].endswith('; credential-type="password"')


def test_without_a_secret_there_are_no_credentials_and_without_servers_no_links() -> None:
    assert links(WebRtcConfig(ice_servers=("turns:x",)), "a", 0.0) == ['<turns:x>; rel="ice-server"']
    assert links(WebRtcConfig(), "a", 0.0) == []


def test_the_secret_is_not_in_what_is_logged() -> None:
    assert "north" not in repr(WebRtcConfig(turn_secret="north"))
