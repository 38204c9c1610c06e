"""The Fish Audio API: HTTP text-to-speech and the live WebSocket."""

from transports.fish.asr import router as asr_router
from transports.fish.asr_live import router as asr_live_router
from transports.fish.http import router as http_router
from transports.fish.live import router as live_router
from transports.fish.models import router as models_router

ROUTERS = (http_router, asr_router, models_router, live_router, asr_live_router)

__all__ = ["ROUTERS"]
