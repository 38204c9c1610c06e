"""The queue of jobs: whoever was promised one learns of its end, once, whatever dies in between.

Any number of processes may work on one database. A job that is taken has a lease, which its process renews; when
that dies, the lease runs out and somebody else takes the job. Only who holds it may end it, in one transaction,
so that it ends once, and whoever waits for a callback gets one.
"""

import asyncio
import contextlib
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from transports.errors import Failure, RequestError, failure
from transports.jobs.tables import Job, new_id
from transports.store import Database, StoreError, now

LEASE_SECONDS = 30.0
# Another process may have left us something: looked for this often.
POLL_SECONDS = 2.0
KEEP = timedelta(days=7)
"""How long a job that has ended can be asked for."""
MAX_AGE = timedelta(hours=24)
"""A job that could not be done in this time, for want of room, is given up."""
MAX_OPEN = 200
"""Jobs of one account that have not ended."""
MAX_PAYLOAD = 4 * 1024 * 1024
"""Bytes that a job may be described with: a text, or half a minute of a voice to clone."""
KEPT_PAYLOAD = 64 * 1024
"""Bytes of that which are kept after its end."""
CALLBACK = "callback"
"""The kind of job that tells of another one's end."""
_SWEEP_SECONDS = 600.0
_ID = re.compile(r"[0-9a-f-]{36}")
_OPEN = ("queued", "running")

log = logging.getLogger(__name__)


class Later(Exception):
    """A job cannot be done now, but perhaps in ``seconds``. ``counts`` says that this was one of its attempts."""

    def __init__(self, seconds: float, reason: str, *, counts: bool = True) -> None:
        super().__init__(reason)
        self.seconds = seconds
        self.counts = counts


@dataclass(frozen=True, slots=True)
class Kind:
    """What to do with the jobs of a kind: ``run`` returns the result as JSON has it.

    It raises :class:`Later`, or what the job fails with. ``most`` run at a time in this process. A job that was
    begun ``attempts`` times without an end is given up.
    """

    run: Callable[[Job], Awaitable[dict[str, Any]]]
    most: int = 2
    attempts: int = 3


class Queue:
    """The jobs of a database, and this process's share in them. ``ready`` says whether any can be run now."""

    def __init__(
        self, database: Database, ready: Callable[[], bool], lease_seconds: float = LEASE_SECONDS
    ) -> None:
        self._database = database
        self._ready = ready
        self._lease = timedelta(seconds=lease_seconds)
        self._kinds: Mapping[str, Kind] = {}
        self._running: dict[str, tuple[Job, asyncio.Task[None]]] = {}  # by owner
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, kinds: Mapping[str, Kind]) -> None:
        """Begin to work."""
        self._kinds = kinds
        heart = self._lease.total_seconds() / 3
        self._tasks = [
            asyncio.create_task(self._work()),
            asyncio.create_task(_every(heart, self._renew)),
            asyncio.create_task(_every(_SWEEP_SECONDS, self._sweep)),
        ]

    async def close(self) -> None:
        """Take no more; what runs is put back, for the next process."""
        running = list(self._running.values())
        for task in (*self._tasks, *(task for _, task in running)):
            task.cancel()
        await asyncio.gather(*self._tasks, *(task for _, task in running), return_exceptions=True)

    async def add(
        self, account: str, kind: str, payload: dict[str, Any], callback_url: str | None = None
    ) -> Job:
        """Promise a job; it is kept when this returns. Raises RequestError if it, or what waits, is too much."""
        data = await asyncio.to_thread(orjson.dumps, payload)  # it may hold recordings
        if len(data) > MAX_PAYLOAD:
            raise RequestError(f"body: more than {MAX_PAYLOAD} bytes for a task that is done later", 413)
        waiting = select(func.count()).where(Job.account_id == account, Job.state.in_(_OPEN))
        job = Job(id=new_id(), account_id=account, kind=kind, payload=data, callback_url=callback_url)
        async with self._database.session() as session:
            if (await session.scalar(waiting) or 0) >= MAX_OPEN:
                raise RequestError(
                    f"{MAX_OPEN} tasks of this account are waiting already", 429, retry_after=10
                )
            session.add(job)
        self._wake.set()
        return job

    async def get(self, id_: str, account: str | None = None) -> Job | None:
        """A job by its id, that of another account for nobody."""
        if not _ID.fullmatch(id_):
            return None
        async with self._database.reading() as session:
            job = await session.get(Job, id_)
        return job if job and account in (None, job.account_id) else None

    # -- this process's share ----------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            self._wake.clear()
            pause = POLL_SECONDS
            try:
                if self._ready():
                    pause = await self._take()
            except StoreError as error:
                log.error("jobs wait: %s", error)
            except Exception:
                log.exception("jobs wait")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def _take(self) -> float:
        """Begin what is due and there is room for. Returns the seconds until something else may be due."""
        pause = POLL_SECONDS
        for name, kind in self._kinds.items():
            room = kind.most - sum(job.kind == name for job, _ in self._running.values())
            if room <= 0:
                continue  # whatever ends wakes us
            due = select(Job).where(Job.kind == name, Job.state.in_(_OPEN)).order_by(Job.due_at)
            async with self._database.reading() as session:
                first = await session.scalar(due.with_only_columns(Job.due_at).limit(1))
            if first is None:
                continue
            if (wait := (first - now()).total_seconds()) > 0:
                pause = min(pause, wait)
                continue
            async with self._database.session() as session:
                query = due.where(Job.due_at <= now()).limit(room).with_for_update(skip_locked=True)
                taken = [job for job in await session.scalars(query) if self._lease_out(session, job, kind)]
            for job in taken:
                assert job.owner is not None
                self._running[job.owner] = job, asyncio.create_task(self._run(job, kind))
        return pause

    def _lease_out(self, session: AsyncSession, job: Job, kind: Kind) -> bool:
        """Make a job this process's own, unless it is to be given up."""
        if job.attempts >= kind.attempts:
            _end(session, job, Failure(f"the server ended {job.attempts} times in the middle of it", 500))
        elif now() - job.created_at > MAX_AGE:
            _end(session, job, Failure("the server had no room for it all day", 503))
        else:
            job.state, job.owner = "running", new_id()
            job.attempts += 1
            job.due_at = now() + self._lease
            return True
        return False

    async def _run(self, job: Job, kind: Kind) -> None:
        owner = job.owner
        assert owner is not None
        try:
            try:
                outcome: dict[str, Any] | Failure = await kind.run(job)
            except asyncio.CancelledError:
                await self._put_back(job, Later(0, "", counts=False))
                raise
            except Later as later:
                if not later.counts or job.attempts < kind.attempts:
                    await self._put_back(job, later)
                    return
                outcome = Failure(str(later), 500)
            except Exception as error:
                outcome = failure(error)
                if outcome.status >= 500:
                    log.exception("job %s failed", job.id)
            async with self._database.session() as session:
                if held := await self._held(session, job):
                    _end(session, held, outcome)
        except StoreError as error:
            log.error("job %s will be done again, for its end could not be kept: %s", job.id, error)
        finally:
            del self._running[owner]
            self._wake.set()

    async def _held(self, session: AsyncSession, job: Job) -> Job | None:
        """The job as it is now, if it is still this process's own."""
        query = select(Job).where(Job.id == job.id, Job.owner == job.owner, Job.state == "running")
        held: Job | None = await session.scalar(query.with_for_update())
        return held

    async def _put_back(self, job: Job, later: Later) -> None:
        async with self._database.session() as session:
            if held := await self._held(session, job):
                held.state, held.owner = "queued", None
                held.due_at = now() + timedelta(seconds=later.seconds)
                held.attempts -= not later.counts

    async def _renew(self) -> None:
        """Say that what runs here still does; stop what somebody else has taken."""
        if not self._running:
            return
        mine = select(Job.owner).where(Job.owner.in_(self._running), Job.state == "running")
        async with self._database.session() as session:
            held = set(await session.scalars(mine))
            due = now() + self._lease
            await session.execute(update(Job).where(Job.owner.in_(held)).values(due_at=due))
        for owner, (_, task) in list(self._running.items()):
            if owner not in held:
                task.cancel()

    async def _sweep(self) -> None:
        """Forget what ended long ago."""
        async with self._database.session() as session:
            await session.execute(delete(Job).where(Job.finished_at < now() - KEEP))


def _end(session: AsyncSession, job: Job, outcome: dict[str, Any] | Failure) -> None:
    """The one end of a job. Whoever waits to be told is promised it in the same transaction."""
    job.owner, job.finished_at = None, now()
    if len(job.payload) > KEPT_PAYLOAD:
        job.payload = b""
    if isinstance(outcome, Failure):
        told = outcome.message.replace("\0", "\ufffd")  # PostgreSQL's texts hold no NUL
        job.state, job.error, job.error_status = "failed", told, outcome.status
    else:
        job.state, job.result = "done", orjson.dumps(outcome)
    if job.callback_url is not None:
        payload = orjson.dumps({"job": job.id})
        session.add(Job(id=new_id(), account_id=job.account_id, kind=CALLBACK, payload=payload))


async def _every(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await work()
        except StoreError as error:
            log.error("jobs: %s", error)
        except Exception:
            log.exception("jobs")
