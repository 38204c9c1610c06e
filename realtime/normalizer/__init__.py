"""Text as it is written to text as it is said: numbers, dates, money, links and Markdown become words."""

from realtime.normalizer.draft import Origin, Spoken
from realtime.normalizer.normalizer import Normalizer, normalize

__all__ = ["Normalizer", "Origin", "Spoken", "normalize"]
