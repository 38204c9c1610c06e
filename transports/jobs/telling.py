"""The jobs that tell of other jobs' ends."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from transports.jobs.callbacks import CallbackFailed, Callbacks
from transports.jobs.queue import Kind, Later, Queue
from transports.jobs.tables import Job

ATTEMPTS = 8
_MOST_AT_ONCE = 8
# Seconds after the first attempt, the second one, and so on: half an hour in all.
_PAUSES = (1, 4, 15, 60, 240, 600, 900)

Report = Callable[[Job], dict[str, Any]]
"""What is posted of a job that has ended."""


def telling(queue: Queue, callbacks: Callbacks, reports: Mapping[str, Report]) -> Kind:
    """Posts to the callback of a job what its kind reports of its end, until that is taken."""

    async def run(job: Job) -> dict[str, Any]:
        ended = await queue.get(orjson.loads(job.payload)["job"])
        assert ended is not None  # it is kept for longer than this is tried
        assert ended.callback_url is not None
        try:
            await callbacks.post(ended.callback_url, reports[ended.kind](ended))
        except CallbackFailed as error:
            raise Later(_PAUSES[min(job.attempts, len(_PAUSES)) - 1], str(error)) from None
        return {}

    return Kind(run, most=_MOST_AT_ONCE, attempts=ATTEMPTS)
