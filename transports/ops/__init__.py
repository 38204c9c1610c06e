"""What operators and balancers ask: is it alive, is it ready."""

from transports.ops.health import router as health_router

__all__ = ["health_router"]
