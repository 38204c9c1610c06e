"""The voice library: who has which voices, and who may see, use and change them."""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any, Literal, TypeVar
from unicodedata import normalize
from uuid import uuid4

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Select,
    String,
    Text,
    and_,
    any_,
    case,
    delete,
    false,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from engine import Reference
from engine.voices import BadRecording
from transports.accounts.tables import Account
from transports.errors import RequestError, invalid
from transports.store import Blobs, Database, StoreError, now
from transports.voices.keeping import Keeper
from transports.voices.languages import LANGUAGES, language_of
from transports.voices.pictures import BadPicture, picture_type
from transports.voices.recordings import prepared, reference
from transports.voices.tables import SampleRow, State, Texts, Visibility, VoiceRow, Within

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

_VOICE = VoiceRow.__table__.columns
_MANY = 10
"""Of so many times as many voices as are looked for, the first ones are found soon."""

_SHOWN = (
    *(_VOICE.id, _VOICE.account_id, _VOICE.title, _VOICE.description, _VOICE.visibility, _VOICE.state),
    *(_VOICE.failure, _VOICE.tags, _VOICE.languages, _VOICE.cover, _VOICE.cover_type, _VOICE.generate_sample),
    *(_VOICE.revision, _VOICE.task_count, _VOICE.created_at, _VOICE.updated_at),
)
_SAMPLE = SampleRow.__table__.columns
_ACCOUNT = Account.__table__.columns
_AUTHOR = select(_ACCOUNT.name).where(_ACCOUNT.id == _VOICE.account_id).scalar_subquery().label("author")

Source = Callable[[], Awaitable[bytes]]
"""Gives the bytes of a file, when it is its turn."""

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class NewVoice:
    """A voice to be made. ``texts[i]`` is what is said in ``recordings[i]``; where it is missing, it is heard.

    ``enhance`` takes steady noise out of them.
    """

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
                await self._prepared(source, f"voices[{number}]", claims, enhance=new.enhance)
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
                languages=languages_of(texts),
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
        total = select(func.count()).select_from(VoiceRow.__table__).where(*where)
        start = (query.page_number - 1) * query.page_size
        async with self._database.reading() as session:
            found = await session.scalar(total) or 0
            if start >= found:
                return Page(found, (), False)
            order = _order(query, few=len(where) > 1 and found < _MANY * (start + query.page_size))
            page = select(_VOICE.id).where(*where).order_by(*order).offset(start).limit(query.page_size)
            voices = await self._loaded(session, page, order)
        return Page(found, voices, start + len(voices) < found)

    async def get(self, account: str, voice: str) -> LibraryVoice:
        """One voice. 404 if there is none, 403 if it is another account's private one."""
        _check_id(voice)
        async with self._database.reading() as session:
            loaded = await self._loaded(session, select(_VOICE.id).where(_VOICE.id == voice))
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
                    row.tags = _tags(changes.tags)
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

    async def _prepared(
        self, source: Source, field: str, claims: list[str], *, enhance: bool
    ) -> tuple[str, float]:
        """Prepare a recording and keep it: its blob, and its length in seconds."""
        data = await source()
        if len(data) > MAX_RECORDING_BYTES:
            raise RequestError(
                f"{field}: got {len(data)} bytes; expected at most {MAX_RECORDING_BYTES}", 413, field=field
            )
        try:
            flac, seconds = await self.in_thread(lambda: prepared(data, enhance=enhance))
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

    async def _loaded(
        self, session: AsyncSession, chosen: Select[str], order: Sequence[ColumnElement[Any]] = ()
    ) -> tuple[LibraryVoice, ...]:
        """The voices whose ids were chosen."""
        page = chosen.subquery()
        rows = (
            await session.execute(
                select(*_SHOWN, _AUTHOR).join(page, page.c.id == _VOICE.id).order_by(*order)
            )
        ).all()
        samples = defaultdict[str, list[Sample]](list)
        if rows:
            ids = [row.id for row in rows]
            for voice, number, text, seconds, blob, generated in await session.execute(
                select(
                    *(_SAMPLE.voice_id, _SAMPLE.number, _SAMPLE.text, _SAMPLE.seconds),
                    *(_SAMPLE.audio, _SAMPLE.generated),
                )
                .where(_one_of(session, _SAMPLE.voice_id, ids))
                .order_by(_SAMPLE.voice_id, _SAMPLE.number)
            ):
                samples[voice].append(Sample(number, text, seconds, blob, generated))
        return tuple(
            LibraryVoice(
                id=row.id,
                account=row.account_id,
                author=row.author,
                title=row.title,
                description=row.description,
                visibility=row.visibility,
                state=row.state,
                failure=row.failure,
                tags=row.tags,
                languages=row.languages,
                samples=tuple(samples[row.id]),
                cover=row.cover,
                cover_type=row.cover_type,
                generate_sample=row.generate_sample,
                revision=row.revision,
                task_count=row.task_count + self._uses[row.id],
                created_at=row.created_at,
                updated_at=row.updated_at,
            )
            for row in rows
        )


def languages_of(texts: Iterable[str]) -> tuple[str, ...]:
    """The languages that texts are in, as far as their letters tell."""
    return tuple(sorted({language for text in texts if (language := language_of(text))}))


def _filters(account: str, query: Query) -> list[ColumnElement[bool]]:
    mine = _VOICE.account_id == account
    ready = and_(_VOICE.visibility == "public", _VOICE.state == "trained")
    # As a case, lest SQLite looks for these two one after the other, and then sorts all that it has found.
    seen = case((mine, 1), (ready, 1), else_=0) == 1
    where: list[ColumnElement[bool]] = [mine if query.mine else seen]
    if query.author is not None and not query.mine:
        where.append(_VOICE.account_id == query.author)
    if query.visibility is not None:
        where.append(_VOICE.visibility == query.visibility)
    if query.title:
        where.append(_within(_VOICE.folded_title, _folded(query.title)))
    if query.title_languages:
        where.append(_VOICE.title_language.in_(query.title_languages))
    if query.languages:
        known = sorted(LANGUAGES.intersection(query.languages))
        where.append(or_(false(), *(_within(_VOICE.languages, Texts.line(language)) for language in known)))
    where += [_within(_VOICE.tags, Texts.line(tag)) for tag in dict.fromkeys(query.tags)]
    return where


def _order(query: Query, *, few: bool) -> list[ColumnElement[Any]]:
    """In which order voices come, the last one made first among equals.

    An index has them in this order, so that a page is complete soon if many of the voices are to be found. Of
    ``few`` it is quicker to find them all and sort them. SQLite cannot know which it is: then no index has the
    first of these.
    """
    columns = [_VOICE.created_at, _VOICE.id]
    if query.sort_by != "created_at":
        columns.insert(0, _VOICE.task_count)
    first = func.coalesce(columns[0], columns[0]) if few else columns[0]
    return [column.desc() for column in (first, *columns[1:])]


def _within(column: ColumnElement[Any], part: str) -> Within:
    return Within(column, literal(part, Text))


def _one_of(session: AsyncSession, column: ColumnElement[str], texts: Sequence[str]) -> ColumnElement[bool]:
    """Whether a column's text is one of these: for PostgreSQL one parameter, which is half the time of many."""
    if session.get_bind().dialect.name == "postgresql":
        return column == any_(literal(texts, ARRAY(String)))
    return column.in_(texts)


async def _found(session: AsyncSession, voice: str) -> VoiceRow:
    row = (
        await session.scalars(
            select(VoiceRow).options(selectinload(VoiceRow.samples)).where(VoiceRow.id == voice)
        )
    ).first()
    if row is None:
        raise _unknown(voice)
    return row


def _folded(text: str) -> str:
    """For comparing: without case, and one way of writing for what looks the same."""
    return normalize("NFKC", text).casefold()


def _title(title: str) -> dict[str, str]:
    """The columns that follow from a title."""
    return {"title": title, "folded_title": _folded(title), "title_language": language_of(title) or ""}


def _tags(tags: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tags))


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
    try:
        return picture_type(cover)
    except BadPicture as error:
        raise RequestError(f"cover_image: {error}", field="cover_image") from None


def _no_cover() -> RequestError:
    return RequestError("cover_image: missing; a public voice needs one", field="cover_image")


def _unknown(voice: str) -> RequestError:
    return RequestError(f"model: there is none of the id {voice[:100]!r}", 404)


def _not_yours(voice: str) -> RequestError:
    return RequestError(f"model: {voice!r} belongs to another account", 403)
