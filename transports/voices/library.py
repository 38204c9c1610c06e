"""The voice library: who has which voices, and who may see, use and change them."""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Literal, TypeVar
from unicodedata import normalize
from uuid import uuid4

from sqlalchemy import ColumnElement, and_, case, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from engine import Reference
from engine.voices import BadRecording
from transports.accounts.tables import Account
from transports.errors import RequestError, invalid
from transports.store import Blobs, Database, StoreError, now
from transports.voices.keeping import Keeper
from transports.voices.languages import language_of
from transports.voices.pictures import picture_type
from transports.voices.recordings import prepared, reference
from transports.voices.tables import LanguageRow, SampleRow, State, TagRow, Visibility, VoiceRow

SortBy = Literal["score", "task_count", "created_at"]

MIB = 1024 * 1024
MAX_RECORDINGS = 10
MAX_RECORDING_BYTES = 20 * MIB
MAX_COVER_BYTES = 5 * MIB
MAX_TITLE = 200
MAX_DESCRIPTION = 5_000
MAX_TEXT = 10_000
MAX_TAGS = 50
MAX_TAG = 100
MAX_VOICES = 100_000
"""Voices of one account."""
MAX_PAGE = 100
MAX_PAGE_NUMBER = 1_000_000


COUNT_SECONDS = 5.0
SWEEP_SECONDS = 3600.0
_PREPARING_THREADS = 2
_PREPARING_MOST = 32  # pieces of work that may wait for them

_PARTS = selectinload(VoiceRow.tags), selectinload(VoiceRow.samples)

Source = Callable[[], Awaitable[bytes]]
"""Gives the bytes of a file, when it is its turn."""

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class NewVoice:
    """A voice to be made. ``texts[i]`` is what is said in ``recordings[i]``; where it is missing, it is heard."""

    title: str
    recordings: Sequence[Source]
    texts: Sequence[str] = ()
    description: str = ""
    tags: Sequence[str] = ()
    visibility: Visibility = "private"
    cover: bytes | None = None
    enhance: bool = True
    generate_sample: bool = False


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to be another one than it was; None leaves it as it is."""

    title: str | None = None
    description: str | None = None
    tags: Sequence[str] | None = None
    visibility: Visibility | None = None
    cover: bytes | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """Something that can be heard of a voice: ``blob`` is its FLAC file."""

    number: int
    text: str
    seconds: float
    blob: str
    generated: bool


@dataclass(frozen=True, slots=True)
class LibraryVoice:
    """A voice as it is in the library. ``failure`` says why its state is failed."""

    id: str
    account: str
    author: str
    title: str
    description: str
    visibility: Visibility
    state: State
    failure: str
    tags: tuple[str, ...]
    languages: tuple[str, ...]
    samples: tuple[Sample, ...]
    cover: str | None
    cover_type: str | None
    generate_sample: bool
    revision: int
    task_count: int
    created_at: datetime
    updated_at: datetime

    @property
    def recordings(self) -> tuple[Sample, ...]:
        """What a model learns the voice from."""
        return tuple(sample for sample in self.samples if not sample.generated)


@dataclass(frozen=True, slots=True)
class Query:
    """Which voices to find: with ``title`` in theirs, all of ``tags``, and one of each list of languages."""

    title: str = ""
    tags: Sequence[str] = ()
    mine: bool = False
    author: str | None = None
    languages: Sequence[str] = ()
    title_languages: Sequence[str] = ()
    visibility: Visibility | None = None
    sort_by: SortBy = "score"
    page_size: int = 10
    page_number: int = 1


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the voices that were asked for, of ``total``."""

    total: int
    voices: tuple[LibraryVoice, ...]
    more: bool


class Library:
    """The voices of all accounts. Raises :class:`RequestError` for what cannot be done.

    An account sees its own voices and public ones; one that is unlisted is there for who knows its id. ``made``
    is called when there is a voice to be trained.
    """

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs
        self.keeper = Keeper(database, blobs)
        self._threads = ThreadPoolExecutor(_PREPARING_THREADS, "parrotfish-recordings")
        self._waiting = 0
        self._uses: Counter[str] = Counter()
        self.made = asyncio.Event()

    async def run(self) -> None:
        """Clear away what killed processes left behind, and write down uses, until cancelled."""
        swept = -SWEEP_SECONDS
        while True:
            try:
                if monotonic() - swept >= SWEEP_SECONDS:
                    await self.keeper.sweep()
                    swept = monotonic()
                await self.count()
            except StoreError as error:
                log.warning("the voice library is not up to date: %s", error)
            await asyncio.sleep(COUNT_SECONDS)

    async def close(self) -> None:
        """Write down what is not written yet."""
        try:
            await self.count()
        finally:
            await asyncio.to_thread(self._threads.shutdown)

    # -- what its users do ---------------------------------------------------------------------------

    async def create(self, account: str, new: NewVoice) -> LibraryVoice:
        """Make a voice of recordings, which are prepared before this returns. Training it follows."""
        _check_words(new.title, new.description, new.tags)
        if not new.recordings:
            raise RequestError("voices: got no file; expected 1 to 10 recordings", field="voices")
        if len(new.recordings) > MAX_RECORDINGS:
            raise invalid("voices", f"{len(new.recordings)} files", f"at most {MAX_RECORDINGS}")
        if len(new.texts) > len(new.recordings):
            raise invalid(
                "texts", f"{len(new.texts)} texts", f"at most one for each of {len(new.recordings)} voices"
            )
        for text in new.texts:
            if len(text) > MAX_TEXT:
                raise invalid("texts", f"{len(text)} characters", f"at most {MAX_TEXT}")
            _check_text("texts", text)
        cover_type = _check_cover(new.cover)
        if new.visibility == "public" and new.cover is None:
            raise _no_cover()
        claims: list[str] = []
        try:
            cover: str | None = None
            kept = [
                await self._prepared(source, f"voices[{number}]", claims)
                for number, source in enumerate(new.recordings)
            ]
            if new.cover is not None:
                claims.append(cover := await self.keeper.put(new.cover))
            texts = [*(text.strip() for text in new.texts), *[""] * len(kept)]
            voice = VoiceRow(
                id=uuid4().hex,
                account_id=account,
                description=new.description,
                visibility=new.visibility,
                enhance=new.enhance,
                generate_sample=new.generate_sample,
                cover=cover,
                cover_type=cover_type,
                state="created",
                tags=_tags(new.tags),
                languages=[LanguageRow(language=language) for language in languages_of(texts)],
                samples=[
                    SampleRow(number=number, text=text, audio=blob, seconds=seconds, generated=False)
                    for number, ((blob, seconds), text) in enumerate(zip(kept, texts, strict=False))
                ],
                **_title(new.title),
            )
            async with self._database.session() as session:
                mine = select(func.count()).select_from(VoiceRow).where(VoiceRow.account_id == account)
                if (await session.scalar(mine) or 0) >= MAX_VOICES:
                    raise RequestError(f"the account has {MAX_VOICES} voices, as many as it may", 403)
                session.add(voice)
                await self.keeper.settle(session, claims)
        except BaseException:
            await asyncio.shield(self.keeper.release(claims))
            raise
        self.made.set()
        return await self.get(account, voice.id)

    async def find(self, account: str, query: Query) -> Page:
        """A page of the voices that the account sees."""
        for field, texts in (
            ("title", [query.title]),
            ("tag", query.tags),
            ("author_id", [query.author or ""]),
            ("language", query.languages),
            ("title_language", query.title_languages),
        ):
            for text in texts:
                _check_text(field, text)
        where = _filters(account, query)
        popular = (VoiceRow.task_count.desc(), VoiceRow.created_at.desc(), VoiceRow.id.desc())
        newest = (VoiceRow.created_at.desc(), VoiceRow.id.desc())
        start = (query.page_number - 1) * query.page_size
        # First which ones, if possible from an index alone, and then all about these.
        total = select(func.count()).select_from(VoiceRow).where(*where)
        # Where all have to be looked at, they are counted on the way.
        counted = func.count().over() if len(where) > 1 else total.scalar_subquery()
        page = (
            select(VoiceRow.id, counted)
            .where(*where)
            .order_by(*(newest if query.sort_by == "created_at" else popular))
            .offset(start)
            .limit(query.page_size)
        )
        async with self._database.reading() as session:
            rows = list(await session.execute(page))
            found = rows[0][1] if rows else await session.scalar(total) or 0
            voices = await self._loaded(session, [row[0] for row in rows])
        return Page(found, voices, start + len(voices) < found)

    async def get(self, account: str, voice: str) -> LibraryVoice:
        """One voice. 404 if there is none, 403 if it is another account's private one."""
        _check_id(voice)
        async with self._database.reading() as session:
            loaded = await self._loaded(session, [voice])
        if not loaded:
            raise _unknown(voice)
        if loaded[0].visibility == "private" and loaded[0].account != account:
            raise _not_yours(voice)
        return loaded[0]

    async def update(self, account: str, voice: str, changes: Changes) -> LibraryVoice:
        """Change one of the account's own voices."""
        _check_words(changes.title, changes.description, changes.tags)
        cover_type = _check_cover(changes.cover)
        await self._owned(account, voice)
        claims: list[str] = []
        try:
            if changes.cover is not None:
                claims.append(await self.keeper.put(changes.cover))
            async with self._database.session() as session:
                row = await _found(session, voice)
                former = row.cover if claims else None
                if claims:
                    row.cover, row.cover_type = claims[0], cover_type
                if changes.title is not None:
                    for name, value in _title(changes.title).items():
                        setattr(row, name, value)
                if changes.description is not None:
                    row.description = changes.description
                if changes.tags is not None:
                    row.tags.clear()
                    await session.flush()  # the new ones have the numbers of the old ones
                    row.tags.extend(_tags(changes.tags))
                if changes.visibility is not None:
                    row.visibility = changes.visibility
                if row.visibility == "public" and row.cover is None:
                    raise _no_cover()
                row.updated_at = now()
                await self.keeper.settle(session, claims)
        except BaseException:
            await asyncio.shield(self.keeper.release(claims))
            raise
        if former is not None:
            await self.keeper.collect([former])
        return await self.get(account, voice)

    async def delete(self, account: str, voice: str) -> None:
        """Delete one of the account's own voices, with its recordings."""
        await self._owned(account, voice)
        async with self._database.session() as session:
            row = await _found(session, voice)
            blobs = [sample.audio for sample in row.samples] + ([row.cover] if row.cover else [])
            await session.execute(delete(VoiceRow).where(VoiceRow.id == voice))
        await self.keeper.collect(blobs)

    # -- what those who speak with a voice need -------------------------------------------------------

    async def usable(self, account: str, voice: str) -> LibraryVoice | None:
        """A voice that the account may speak with; None if it sees none of that id."""
        try:
            return await self.get(account, voice)
        except RequestError:
            return None

    async def references(self, voice: LibraryVoice) -> tuple[Reference, ...]:
        """The recordings of a voice, for a model to learn from. Raises BlobMissing if it was deleted."""
        flacs = [await self._blobs.get(sample.blob) for sample in voice.recordings]
        return await self.in_thread(
            lambda: tuple(
                reference(flac, sample.text) for flac, sample in zip(flacs, voice.recordings, strict=True)
            )
        )

    async def in_thread(self, work: Callable[[], _Result]) -> _Result:
        """Do what takes long with recordings, where it keeps nobody from speaking: on one of few threads."""
        if self._waiting >= _PREPARING_MOST:
            raise RequestError("as many recordings are being prepared as this server can", 503, retry_after=5)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1

    def used(self, voice: str) -> None:
        """Somebody speaks with the voice. Is written down later, with others: see :meth:`count`."""
        self._uses[voice] += 1

    async def count(self) -> None:
        """Write down how often voices have been used since the last time."""
        uses = Counter(self._uses)
        if uses:
            async with self._database.session() as session:
                for voice in sorted(uses):  # in this order for all, lest two wait for each other
                    row = update(VoiceRow).where(VoiceRow.id == voice)
                    await session.execute(row.values(task_count=VoiceRow.task_count + uses[voice]))
            self._uses -= uses

    # -- inside ---------------------------------------------------------------------------------------

    async def _prepared(self, source: Source, field: str, claims: list[str]) -> tuple[str, float]:
        """Prepare a recording and keep it: its blob, and its length in seconds."""
        data = await source()
        if len(data) > MAX_RECORDING_BYTES:
            raise RequestError(
                f"{field}: got {len(data)} bytes; expected at most {MAX_RECORDING_BYTES}", 413, field=field
            )
        try:
            flac, seconds = await self.in_thread(lambda: prepared(data))
        except BadRecording as error:
            raise RequestError(f"{field}: {error}", field=field) from None
        blob = await self.keeper.put(flac)
        claims.append(blob)
        return blob, seconds

    async def _owned(self, account: str, voice: str) -> None:
        """404 if there is no such voice, 403 if it is another account's."""
        _check_id(voice)
        async with self._database.reading() as session:
            owner = await session.scalar(select(VoiceRow.account_id).where(VoiceRow.id == voice))
        if owner is None:
            raise _unknown(voice)
        if owner != account:
            raise _not_yours(voice)

    async def _loaded(self, session: AsyncSession, ids: Sequence[str]) -> tuple[LibraryVoice, ...]:
        """The voices of these ids that there are, in this order."""
        if not ids:
            return ()
        tags, languages = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
        samples = defaultdict[str, list[Sample]](list)
        for voice, tag in await session.execute(
            select(TagRow.voice_id, TagRow.tag).where(TagRow.voice_id.in_(ids)).order_by(TagRow.number)
        ):
            tags[voice].append(tag)
        for voice, language in await session.execute(
            select(LanguageRow.voice_id, LanguageRow.language)
            .where(LanguageRow.voice_id.in_(ids))
            .order_by(LanguageRow.language)
        ):
            languages[voice].append(language)
        for row in await session.execute(
            select(*SampleRow.__table__.columns).where(SampleRow.voice_id.in_(ids)).order_by(SampleRow.number)
        ):
            sample = Sample(row.number, row.text, row.seconds, row.audio, row.generated)
            samples[row.voice_id].append(sample)
        loaded = {
            row.id: LibraryVoice(
                id=row.id,
                account=row.account_id,
                author=row.name,
                title=row.title,
                description=row.description,
                visibility=row.visibility,
                state=row.state,
                failure=row.failure,
                tags=tuple(tags[row.id]),
                languages=tuple(languages[row.id]),
                samples=tuple(samples[row.id]),
                cover=row.cover,
                cover_type=row.cover_type,
                generate_sample=row.generate_sample,
                revision=row.revision,
                task_count=row.task_count + self._uses[row.id],
                created_at=row.created_at,
                updated_at=row.updated_at,
            )
            for row in await session.execute(
                select(*VoiceRow.__table__.columns, Account.name)
                .join(Account, Account.id == VoiceRow.account_id)
                .where(VoiceRow.id.in_(ids))
            )
        }
        return tuple(loaded[voice] for voice in ids if voice in loaded)


def languages_of(texts: Iterable[str]) -> tuple[str, ...]:
    """The languages that texts are in, as far as their letters tell."""
    return tuple(sorted({language for text in texts if (language := language_of(text))}))


def _filters(account: str, query: Query) -> list[ColumnElement[bool]]:
    mine = VoiceRow.account_id == account
    ready = and_(VoiceRow.visibility == "public", VoiceRow.state == "trained")
    # As a case, lest SQLite looks for these two one after the other, and then sorts all that it has found.
    seen = case((mine, 1), (ready, 1), else_=0) == 1
    where: list[ColumnElement[bool]] = [mine if query.mine else seen]
    if query.author is not None and not query.mine:
        where.append(VoiceRow.account_id == query.author)
    if query.visibility is not None:
        where.append(VoiceRow.visibility == query.visibility)
    if query.title:
        where.append(VoiceRow.folded_title.contains(_folded(query.title), autoescape=True))
    for tag in query.tags:
        where.append(VoiceRow.id.in_(select(TagRow.voice_id).where(TagRow.tag == tag)))
    if query.languages:
        spoken = select(LanguageRow.voice_id).where(LanguageRow.language.in_(query.languages))
        where.append(VoiceRow.id.in_(spoken))
    if query.title_languages:
        where.append(VoiceRow.title_language.in_(query.title_languages))
    return where


async def _found(session: AsyncSession, voice: str) -> VoiceRow:
    row = (await session.scalars(select(VoiceRow).options(*_PARTS).where(VoiceRow.id == voice))).first()
    if row is None:
        raise _unknown(voice)
    return row


def _folded(text: str) -> str:
    """For comparing: without case, and one way of writing for what looks the same."""
    return normalize("NFKC", text).casefold()


def _title(title: str) -> dict[str, str]:
    """The columns that follow from a title."""
    return {"title": title, "folded_title": _folded(title), "title_language": language_of(title) or ""}


def _tags(tags: Sequence[str]) -> list[TagRow]:
    return [TagRow(number=number, tag=tag) for number, tag in enumerate(dict.fromkeys(tags))]


def _check_words(title: str | None, description: str | None, tags: Sequence[str] | None) -> None:
    for field, text, most in (("title", title, MAX_TITLE), ("description", description, MAX_DESCRIPTION)):
        if text is not None and len(text) > most:
            raise invalid(field, text, f"at most {most} characters; got {len(text)}")
        _check_text(field, text or "")
    if title is not None and not title.strip():
        raise invalid("title", title, "a name for the voice")
    if tags is not None and len(tags) > MAX_TAGS:
        raise invalid("tags", f"{len(tags)} tags", f"at most {MAX_TAGS}")
    for tag in tags or ():
        if not 0 < len(tag) <= MAX_TAG:
            raise invalid("tags", tag, f"tags of 1 to {MAX_TAG} characters")
        _check_text("tags", tag)


def _check_id(voice: str) -> None:
    if "\0" in voice:
        raise _unknown(voice)


def _check_text(field: str, text: str) -> None:
    if "\0" in text:  # PostgreSQL takes none
        raise invalid(field, text, "text without NUL characters")


def _check_cover(cover: bytes | None) -> str | None:
    """The type of a cover picture."""
    if cover is None:
        return None
    if len(cover) > MAX_COVER_BYTES:
        raise RequestError(
            f"cover_image: got {len(cover)} bytes; expected at most {MAX_COVER_BYTES}",
            413,
            field="cover_image",
        )
    if (kind := picture_type(cover)) is None:
        raise RequestError("cover_image: expected a picture as PNG, JPEG or WebP", field="cover_image")
    return kind


def _no_cover() -> RequestError:
    return RequestError("cover_image: missing; a public voice needs one", field="cover_image")


def _unknown(voice: str) -> RequestError:
    return RequestError(f"model: there is none of the id {voice[:100]!r}", 404)


def _not_yours(voice: str) -> RequestError:
    return RequestError(f"model: {voice!r} belongs to another account", 403)
