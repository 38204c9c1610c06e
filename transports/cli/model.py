"""Which model the command line speaks with."""

from engine import SpeechModel


def bundled_model() -> SpeechModel:
    """The voice that comes with parrotfish. Raises whatever keeps it from loading."""
    from engine.models.hibari import HibariModel  # inside: its import is the slowest part of loading it

    return HibariModel()
