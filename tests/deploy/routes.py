"""The routes of the server, as a balancer sees them."""

import re

from starlette.routing import WebSocketRoute

from engine.models.hibari import HibariModel
from tests.transports.accounts.test_routes import leaves
from transports.app import create_app
from transports.settings import Settings

# A route that speaks has one of these in its path.
SPEAKING = re.compile(r"/(tts|speech|dub|agent|telephony)(/|$)")


def paths() -> set[str]:
    """Of every route one, but for WebRTC, which has a rule of its own, and what is for operators."""
    app = create_app(Settings(), HibariModel)
    found = {route.path for route in leaves(app.routes) if isinstance(route, WebSocketRoute)}
    found |= set(app.openapi()["paths"]) - {"/metrics"}
    return {re.sub(r"\{[^}]*\}", "x", path) for path in found if not path.startswith("/v1/webrtc")}
