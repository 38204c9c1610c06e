"""The queue on both databases: every job ends once, whoever dies."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import select, update

from engine import SpeechError
from transports.accounts.tables import LOCAL_ACCOUNT, Account
from transports.errors import RequestError
from transports.jobs import CALLBACK, Job, Kind, Later, Queue
from transports.jobs import queue as queue_module
from transports.store import Database, now

ENOUGH = 10.0


@contextlib.asynccontextmanager
async def working(
    database: Database, run: Callable[[Job], Awaitable[dict[str, Any]]], *, lease: float = 30.0, **limits: int
) -> AsyncIterator[Queue]:
    queue = Queue(database, lambda: True, lease)
    queue.start({"any": Kind(run, **limits)})
    yield queue
    await queue.close()


async def ended(queue: Queue, id_: str) -> Job:
    async with asyncio.timeout(ENOUGH):
        while True:
            job = await queue.get(id_)
            assert job is not None
            if job.finished_at is not None:
                return job
            await asyncio.sleep(0.02)


async def callbacks(database: Database) -> list[Any]:
    async with database.reading() as session:
        jobs = await session.scalars(select(Job).where(Job.kind == CALLBACK))
        return [orjson.loads(job.payload)["job"] for job in jobs]


async def echo(job: Job) -> dict[str, Any]:
    return {"got": orjson.loads(job.payload)}


async def test_a_job_is_done_and_its_caller_alone_can_ask_for_it(either: Database) -> None:
    async with working(either, echo) as queue:
        job = await queue.add(LOCAL_ACCOUNT, "any", {"text": "hello"}, "https://example.com")
        assert job.state == "queued"
        job = await ended(queue, job.id)
        assert (job.state, job.attempts, job.error) == ("done", 1, None)
        assert job.result is not None
        assert orjson.loads(job.result) == {"got": {"text": "hello"}}
        assert await queue.get(job.id, LOCAL_ACCOUNT) is not None
        assert await queue.get(job.id, "somebody else") is None
        assert await queue.get("no such job") is None
    assert await callbacks(either) == [job.id]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RequestError("text: too silly"), ("text: too silly", 400)),
        (SpeechError("no breath"), ("no breath", 500)),
        (RequestError("a \0 in it"), ("a \ufffd in it", 400)),
        (ZeroDivisionError("a secret"), ("internal error", 500)),
    ],
    ids=repr,
)
async def test_what_fails_is_reported_once(either: Database, error: Exception, told: tuple[str, int]) -> None:
    async def fail(_: Job) -> dict[str, Any]:
        raise error

    async with working(either, fail) as queue:
        job = await queue.add(LOCAL_ACCOUNT, "any", {}, "https://example.com")
        job = await ended(queue, job.id)
    assert (job.state, job.error, job.error_status, job.result) == ("failed", *told, None)
    assert await callbacks(either) == [job.id]


async def test_later_is_tried_again_until_there_were_enough_attempts(database: Database) -> None:
    async def run(job: Job) -> dict[str, Any]:
        if orjson.loads(job.payload)["good"] and job.attempts == 3:
            return {}
        raise Later(0.01, "not yet")

    async with working(database, run, attempts=3) as queue:
        good, bad = [await queue.add(LOCAL_ACCOUNT, "any", {"good": good}) for good in (True, False)]
        assert (await ended(queue, good.id)).state == "done"
        job = await ended(queue, bad.id)
    assert (job.state, job.error, job.attempts) == ("failed", "not yet", 3)


async def test_waiting_for_room_is_no_attempt(database: Database) -> None:
    tries: Counter[str] = Counter()

    async def run(job: Job) -> dict[str, Any]:
        tries[job.id] += 1
        if tries[job.id] < 5:
            raise Later(0.01, "full", counts=False)
        return {}

    async with working(database, run, attempts=1) as queue:
        job = await ended(queue, (await queue.add(LOCAL_ACCOUNT, "any", {})).id)
    assert (job.state, job.attempts) == ("done", 1)


async def test_several_processes_share_the_work_and_do_each_job_once(either: Database) -> None:
    runs: Counter[str] = Counter()
    running = 0

    async def run(job: Job) -> dict[str, Any]:
        nonlocal running
        running += 1
        assert running <= 6
        runs[job.id] += 1
        await asyncio.sleep(0.01)
        running -= 1
        return {}

    async with contextlib.AsyncExitStack() as stack:
        queues = [await stack.enter_async_context(working(either, run, most=2)) for _ in range(3)]
        jobs = [await queues[index % 3].add(LOCAL_ACCOUNT, "any", {}, "https://e.com") for index in range(30)]
        for job in jobs:
            assert (await ended(queues[0], job.id)).state == "done"
    assert runs == {job.id: 1 for job in jobs}
    assert sorted(await callbacks(either)) == sorted(job.id for job in jobs)


async def test_what_a_dead_process_held_is_done_by_another_and_the_dead_cannot_end_it(
    either: Database,
) -> None:
    begun, free = asyncio.Event(), asyncio.Event()

    async def stuck(_: Job) -> dict[str, Any]:
        begun.set()
        await free.wait()
        return {"by": "the dead"}

    async def alive(_: Job) -> dict[str, Any]:
        return {"by": "the living"}

    async with working(either, stuck) as dead:
        job = await dead.add(LOCAL_ACCOUNT, "any", {}, "https://example.com")
        await begun.wait()
        async with either.session() as session:  # its lease runs out: it has not renewed it for long
            await session.execute(update(Job).values(due_at=now() - timedelta(seconds=1)))
        async with working(either, alive) as other:
            job = await ended(other, job.id)
            free.set()
            await asyncio.sleep(0.1)
            again = await other.get(job.id)
    assert again is not None
    assert again.result == orjson.dumps({"by": "the living"})
    assert (again.attempts, again.finished_at) == (2, job.finished_at)
    assert await callbacks(either) == [job.id]


async def test_a_lease_is_renewed_as_long_as_the_work_takes(either: Database) -> None:
    runs = 0

    async def slow(_: Job) -> dict[str, Any]:
        nonlocal runs
        runs += 1
        await asyncio.sleep(1.0)
        return {}

    async with working(either, slow, lease=0.5) as queue, working(either, slow, lease=0.5):
        job = await ended(queue, (await queue.add(LOCAL_ACCOUNT, "any", {})).id)
    assert (job.state, runs) == ("done", 1)


async def test_what_crashes_every_process_is_given_up(
    either: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "POLL_SECONDS", 0.05)  # nobody wakes us
    async with working(either, echo, attempts=3) as queue:
        async with either.session() as session:
            held = Job(
                account_id=LOCAL_ACCOUNT, kind="any", payload=b"{}", state="running", attempts=3, owner="gone"
            )
            session.add(held)
        job = await ended(queue, held.id)
    assert job.state == "failed"
    assert job.error == "the server ended 3 times in the middle of it"


async def test_what_is_under_way_at_the_end_is_left_to_the_next_process(database: Database) -> None:
    begun = asyncio.Event()

    async def endless(_: Job) -> dict[str, Any]:
        begun.set()
        await asyncio.Event().wait()
        return {}

    async with working(database, endless) as queue:
        job = await queue.add(LOCAL_ACCOUNT, "any", {})
        await begun.wait()
    left = await queue.get(job.id)
    assert left is not None
    assert (left.state, left.attempts) == ("queued", 0)
    async with working(database, echo) as queue:
        assert (await ended(queue, job.id)).state == "done"


async def test_nobody_can_fill_the_queue(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_module, "MAX_OPEN", 3)
    queue = Queue(database, lambda: False)
    async with database.session() as session:
        session.add(Account(id="other", name="other", limited=False, credit_micros=0))
    for _ in range(3):
        await queue.add(LOCAL_ACCOUNT, "any", {})
    with pytest.raises(RequestError, match="are waiting already") as caught:
        await queue.add(LOCAL_ACCOUNT, "any", {})
    assert caught.value.status == 429
    await queue.add("other", "any", {})
    with pytest.raises(RequestError, match="more than") as caught:
        await queue.add("other", "any", {"text": "x" * queue_module.MAX_PAYLOAD})
    assert caught.value.status == 413


async def test_of_a_large_request_nothing_is_kept_after_the_end(database: Database) -> None:
    async with working(database, echo) as queue:
        job = await queue.add(LOCAL_ACCOUNT, "any", {"text": "x" * 100_000})
        assert (await ended(queue, job.id)).payload == b""
