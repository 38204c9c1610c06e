"""What becomes of a new voice: its missing texts are heard, and a model learns it."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TypeVar
from uuid import uuid4

import numpy as np
from sqlalchemy import or_, select, update

from engine import Engine, EngineStopped, Overloaded, Segment, SpeechError, StreamOptions
from engine.speech import Pcm
from realtime.ears import Ears, HearingError, HearingOverloaded
from transports.store import BlobMissing, Blobs, Database, StoreError, now
from transports.voices.languages import language_of
from transports.voices.library import Library, LibraryVoice, languages_of
from transports.voices.recordings import flac
from transports.voices.tables import SampleRow, VoiceRow

LEASE = timedelta(seconds=60)
"""Who trains a voice and has not been heard of for so long is dead."""

POLL_SECONDS = 5.0
MAX_ATTEMPTS = 3
_RETRIES = 20  # of what the engine or the recogniser is too busy for

# What is said for a generated sample, in the first language of the recordings that is here.
_SAMPLE_TEXTS = {
    "en": "This is how I sound. I hope that you like my voice.",
    "zh": "这就是我的声音，希望你会喜欢。",
    "ja": "これが私の声です。気に入ってもらえるとうれしいです。",
}

_Result = TypeVar("_Result")

log = logging.getLogger(__name__)


def learned_id(voice: LibraryVoice) -> str:
    """By what name the engine knows a voice of the library."""
    return f"{voice.id}@{voice.revision}"


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What training made of a voice."""

    voice: LibraryVoice
    failure: str = ""
    generated: tuple[str, str, float] | None = None  # text, blob, seconds


class Trainer:
    """Trains the library's voices one after the other. Of several processes on one database, one trains a voice.

    What a process that was killed had begun, is begun anew by whoever finds it.
    """

    def __init__(
        self, database: Database, blobs: Blobs, library: Library, engine: Engine, ears: Ears
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._library = library
        self._engine = engine
        self._ears = ears
        self._name = uuid4().hex

    async def run(self) -> None:
        """Train whatever there is to be trained, until cancelled. The engine is ready."""
        try:
            while self._engine.ready:
                await self._next()
        finally:
            await self._give_back()  # what was claimed a moment ago

    async def _next(self) -> None:
        """Train a voice, or wait until there may be one."""
        try:
            self._library.made.clear()
            if (voice := await self._claim()) is not None:
                await self._train(voice)
                return
        except (StoreError, EngineStopped) as error:
            log.warning("no voice can be trained: %s", error)
        except Exception:  # the others shall be trained all the same
            log.exception("training voices")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):
                await self._library.made.wait()

    async def _claim(self) -> LibraryVoice | None:
        """The next voice to be trained, which is ours as long as we renew it."""
        free = or_(VoiceRow.leased_until.is_(None), VoiceRow.leased_until < now())
        waiting = (
            select(VoiceRow)
            .where(VoiceRow.state.in_(("created", "training")), free)
            .order_by(VoiceRow.created_at)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        async with self._database.session() as session:
            row = (await session.scalars(waiting)).first()
            if row is None:
                return None
            row.attempts += 1
            row.state, row.lease, row.leased_until = "training", self._name, now() + LEASE
            if row.attempts > MAX_ATTEMPTS:
                row.state, row.failure = "failed", f"training it broke off {MAX_ATTEMPTS} times"
                row.lease = row.leased_until = None
            voice, owner = row.id, row.account_id
        found = await self._library.usable(owner, voice)
        return found if found and found.state == "training" else None

    async def _train(self, voice: LibraryVoice) -> None:
        work = asyncio.create_task(self._outcome(voice))
        renewing = asyncio.create_task(self._renew(voice.id))
        try:
            await asyncio.wait((work, renewing), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                await self._finish(_made_of(voice, work))
        finally:
            for task in (work, renewing):
                task.cancel()
            await asyncio.gather(work, renewing, return_exceptions=True)
            await self._give_back()

    async def _renew(self, voice: str) -> None:
        """Keep the lease. Returns when it is lost, because the voice was deleted or we were thought dead."""
        while True:
            await asyncio.sleep(LEASE.total_seconds() / 3)
            ours = update(VoiceRow).where(VoiceRow.id == voice, VoiceRow.lease == self._name)
            with contextlib.suppress(StoreError):
                async with self._database.session() as session:
                    renewed = await session.execute(
                        ours.values(leased_until=now() + LEASE).returning(VoiceRow.id)
                    )
                    if renewed.first() is None:
                        return

    async def _give_back(self) -> None:
        """Let another process train what we have begun and not finished."""
        ours = update(VoiceRow).where(VoiceRow.lease == self._name)
        with contextlib.suppress(StoreError):  # then it is found when the lease is over
            async with self._database.session() as session:
                await session.execute(
                    ours.values(lease=None, leased_until=None, attempts=VoiceRow.attempts - 1)
                )

    async def _outcome(self, voice: LibraryVoice) -> _Outcome:
        """Train a voice. Raises EngineStopped if that has to wait for another process."""
        voice = await self._heard(voice)
        try:
            references = await self._library.references(voice)
            await _patiently(lambda: self._engine.learn(learned_id(voice), references))
        except SpeechError as error:
            return _Outcome(voice, failure=str(error))
        generated = await self._generated(voice) if voice.generate_sample else None
        return _Outcome(voice, generated=generated)

    async def _heard(self, voice: LibraryVoice) -> LibraryVoice:
        """The voice with the texts that were missing, as far as the recogniser can tell."""
        # Of a text in Latin letters we do not know the language, the others tell.
        hint = language_of(" ".join((voice.title, *(sample.text for sample in voice.samples))))
        language = None if hint == "en" else hint
        samples = []
        for sample in voice.samples:
            if not sample.text and not sample.generated:
                file = await self._blobs.get(sample.blob)
                try:
                    heard = await _patiently(partial(self._ears.transcribe, file, language))
                    sample = replace(sample, text=heard.text.replace("\0", ""))
                except HearingError as error:  # it has no such language, for one; the voice works without
                    log.info("voice %s: sample %d was not transcribed: %s", voice.id, sample.number, error)
            samples.append(sample)
        languages = languages_of(sample.text for sample in samples)
        return replace(voice, samples=tuple(samples), languages=languages)

    async def _generated(self, voice: LibraryVoice) -> tuple[str, str, float] | None:
        """Something spoken with the voice: its text, blob and length. None if that failed."""
        known = [language for language in (*voice.languages, "en") if language in _SAMPLE_TEXTS]
        text = _SAMPLE_TEXTS[known[0]]
        try:
            pcm = await _patiently(lambda: self._spoken(learned_id(voice), text))
        except SpeechError as error:
            log.warning("voice %s: no sample could be generated: %s", voice.id, error)
            return None
        rate = self._engine.info.sample_rate
        file = await self._library.in_thread(lambda: flac(pcm, rate))
        return text, await self._library.keeper.put(file), len(pcm) / rate

    async def _spoken(self, voice: str, text: str) -> Pcm:
        utterance = self._engine.open(StreamOptions(voices=(voice,), paced=False))
        try:
            utterance.say(Segment(text))
            utterance.finish()
            return np.concatenate([np.zeros(0, np.float32), *[frame.pcm async for frame in utterance]])
        finally:
            utterance.cancel()

    async def _finish(self, outcome: _Outcome) -> None:
        """Write down what training has made, if the voice is still ours."""
        voice, generated = outcome.voice, outcome.generated
        kept = False
        async with self._database.session() as session:
            ours = select(VoiceRow).where(VoiceRow.id == voice.id, VoiceRow.lease == self._name)
            row = (await session.scalars(ours.with_for_update())).first()
            if row is not None:
                row.state = "failed" if outcome.failure else "trained"
                row.failure, row.lease, row.leased_until, row.updated_at = outcome.failure, None, None, now()
                for sample in voice.samples:
                    of_it = SampleRow.voice_id == voice.id, SampleRow.number == sample.number
                    await session.execute(update(SampleRow).where(*of_it).values(text=sample.text))
                row.languages = voice.languages
                if generated is not None:
                    text, blob, seconds = generated
                    session.add(
                        SampleRow(
                            voice_id=voice.id,
                            number=len(voice.samples),
                            text=text,
                            audio=blob,
                            seconds=seconds,
                            generated=True,
                        )
                    )
                    await self._library.keeper.settle(session, [blob])
                kept = True
        if generated is not None and not kept:
            await self._library.keeper.release([generated[1]])


def _made_of(voice: LibraryVoice, work: asyncio.Task[_Outcome]) -> _Outcome:
    """What a finished task made of a voice; bugs and missing files are failures, too."""
    match work.exception():
        case None:
            return work.result()
        case (EngineStopped() | StoreError()) as error:
            raise error
        case BlobMissing():
            return _Outcome(voice, failure="a recording is missing")
        case error:
            log.error("the voice %s could not be trained", voice.id, exc_info=error)
            return _Outcome(voice, failure="internal error")


async def _patiently(work: Callable[[], Awaitable[_Result]]) -> _Result:
    """Try again while there is too much else to do."""
    for _ in range(_RETRIES):
        try:
            return await work()
        except (Overloaded, HearingOverloaded) as error:
            await asyncio.sleep(error.retry_after)
    return await work()
