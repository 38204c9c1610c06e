"""``/metrics``: what happens on this server in numbers, for Prometheus and whoever reads its format."""

from transports.metrics.config import MetricsConfig
from transports.metrics.metrics import Metrics

__all__ = ["Metrics", "MetricsConfig"]
