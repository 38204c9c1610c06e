"""Who may read the metrics."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MetricsConfig:
    """Whoever bears the ``token`` may read ``/metrics``; without one, programs of this machine, if only they can
    reach the server. A ``port`` is another one, on the loopback address, where there is nothing else and
    nobody is asked for a token.
    """

    token: str | None = field(default=None, repr=False)
    port: int | None = None
