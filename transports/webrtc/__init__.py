"""WebRTC: speech to browsers and other peers, and from them, with the least delay that a network allows."""

from transports.webrtc.config import WebRtcConfig
from transports.webrtc.peers import Peers

__all__ = ["Peers", "WebRtcConfig"]
