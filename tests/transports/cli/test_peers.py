"""The options that say how WebRTC peers reach the server."""

import click
import pytest
from click.testing import CliRunner

from transports.cli.peers import peer_options
from transports.webrtc import WebRtcConfig


def chosen(*arguments: str, **environment: str) -> WebRtcConfig | str:
    """What the options make; or what is said of them."""
    made: list[WebRtcConfig] = []

    @click.command()
    @peer_options
    def command(webrtc: WebRtcConfig) -> None:
        made.append(webrtc)

    result = CliRunner(env=environment).invoke(command, arguments)
    return made[0] if made else result.output


def test_by_default_no_server_is_asked_and_any_port_taken() -> None:
    assert chosen() == WebRtcConfig()


def test_every_option_arrives() -> None:
    made = chosen(
        *("--announced-ip", "203.0.113.9", "--announced-ip", "2001:db8::9", "--webrtc-ports", "40000-40099"),
        *(
            "--ice-server",
            "stun:stun.example.net",
            "--ice-server",
            "turns:turn.example.net:443",
            "--max-peers",
            "3",
        ),
        PARROTFISH_TURN_SECRET="north",
    )
    assert made == WebRtcConfig(
        announced=("203.0.113.9", "2001:db8::9"),
        ports=(40_000, 40_099),
        ice_servers=("stun:stun.example.net", "turns:turn.example.net:443"),
        turn_secret="north",
        max_peers=3,
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--announced-ip", "example.net"), "'example.net' is no IP address"),
        (("--webrtc-ports", "40000"), "FIRST-LAST"),
        (("--webrtc-ports", "5-4"), "FIRST-LAST"),
        (("--webrtc-ports", "0-4"), "FIRST-LAST"),
        (("--webrtc-ports", "1-70000"), "FIRST-LAST"),
        (("--ice-server", "stun.example.net"), "is not of the form stun:"),
        (("--max-peers", "-1"), "--max-peers"),
    ],
)
def test_a_wrong_value_is_named(arguments: tuple[str, ...], said: str) -> None:
    assert said in str(chosen(*arguments))
