"""Models in processes of their own: a crash of one ends its own streams, and it is started again."""

from engine.process.config import ProcessConfig
from engine.process.placing import shares, threads_each
from engine.process.pool import Pool
from engine.process.spec import ModelSpec

__all__ = ["ModelSpec", "Pool", "ProcessConfig", "shares", "threads_each"]
