"""What was done for a request, as spans of OpenTelemetry, which is not imported without a place to send them."""

from transports.tracing.config import TracingConfig, TracingError

__all__ = ["TracingConfig", "TracingError"]
