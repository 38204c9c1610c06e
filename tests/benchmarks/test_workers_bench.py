"""The benchmark of workers, with a model that takes no time."""

from benchmarks.texts import SHORT
from benchmarks.workers import measure
from engine import Models
from tests.engine.process.models import SPEC
from tests.tones import ToneModel


async def test_all_that_is_said_is_counted_on_a_thread_and_in_a_worker() -> None:
    kinds: list[Models] = [ToneModel, [SPEC]]
    for models in kinds:
        speed = await measure(models, streams=2, rounds=1)
        assert speed.max_streams >= 1
        assert speed.factor > 0
        assert speed.late_p99 >= 0
        # A character is a frame of 0.1 s.
        assert round(speed.factor * speed.seconds, 6) == round(sum(map(len, SHORT[:2])) / 10, 6)
