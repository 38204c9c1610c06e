"""What ``parrotfish top`` shows: pages of metrics, read again and again, as figures that a person can follow."""

from transports.top.figures import Figures, TransportFigures, figures
from transports.top.reading import Buckets, NoMetrics, Reading, read
from transports.top.table import View, show

__all__ = [
    "Buckets",
    "Figures",
    "NoMetrics",
    "Reading",
    "TransportFigures",
    "View",
    "figures",
    "read",
    "show",
]
