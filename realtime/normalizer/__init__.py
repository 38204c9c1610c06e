"""Text as it is written to text as it is said: numbers, dates, money, links and Markdown become words."""

from realtime.normalizer.draft import Origin, Spoken
from realtime.normalizer.normalizer import MULTILINGUAL, Normalizer, normalize

__all__ = ["MULTILINGUAL", "Normalizer", "Origin", "Spoken", "normalize"]
