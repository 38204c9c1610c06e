"""The library on both databases: who sees what, what training makes of a voice, and what is left behind."""

import asyncio
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from engine import Engine, SpeechError
from engine.audio import decode
from realtime.ears import Ears
from tests.tones import ToneModel
from tests.transports.voices.recordings import JPEG, PNG, SENTENCE, SVG, recording
from transports.accounts.tables import LOCAL_ACCOUNT, Account
from transports.errors import RequestError
from transports.store import Blobs, Database, database_url, now
from transports.voices import Changes, Library, LibraryVoice, NewVoice, Query, Trainer, keeping, training
from transports.voices.tables import KeptBlobRow, SampleRow, VoiceRow

OTHER = "other"


class House:
    """A library with all that is around it."""

    def __init__(self, url: str, folder: Path) -> None:
        self.database = Database(database_url(url, folder))
        self.blobs = Blobs(folder / "blobs")
        self.library = Library(self.database, self.blobs)
        self.folder = folder

    def files(self) -> int:
        """How many blobs there are."""
        return len(list(self.folder.glob("blobs/??/??/*")))

    def trainer(self, engine: Engine) -> Trainer:
        return Trainer(self.database, self.blobs, self.library, engine, Ears(None))


@asynccontextmanager
async def opened(url: str, folder: Path) -> AsyncIterator[House]:
    house = House(url, folder)
    await house.database.start()
    await house.blobs.start()
    try:
        yield house
    finally:
        await house.library.close()
        await house.database.close()


@pytest.fixture
async def house(db_url: str, tmp_path: Path) -> AsyncIterator[House]:
    async with opened(db_url, tmp_path) as house:
        async with house.database.session() as session:
            session.add(Account(id=OTHER, name="Other", limited=False))
        yield house


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    async with Engine(ToneModel) as engine:
        yield engine


def of(*files: bytes) -> list[Callable[[], Any]]:
    """Files as they are uploaded."""

    def source(data: bytes) -> Callable[[], Any]:
        async def read() -> bytes:
            return data

        return read

    return [source(data) for data in files]


def new(title: str = "Walter", *files: bytes, **more: Any) -> NewVoice:
    return NewVoice(title, of(*(files or (recording("opus"),))), **({"texts": [SENTENCE]} | more))


async def until(house: House, voice: str, *states: str) -> LibraryVoice:
    async with asyncio.timeout(20):
        while True:
            found = await house.library.get(LOCAL_ACCOUNT, voice)
            if found.state in states:
                return found
            await asyncio.sleep(0.01)


async def run(trainer: Trainer, *until_done: Any) -> None:
    """Have a trainer run until something has happened."""
    running = asyncio.create_task(trainer.run())
    try:
        await asyncio.gather(*until_done)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def refused(work: Any) -> int:
    """With which status."""
    with pytest.raises(RequestError) as raised:
        await work
    return raised.value.status


async def test_who_sees_and_changes_what(house: House, engine: Engine) -> None:
    library = house.library
    made = {
        visibility: await library.create(LOCAL_ACCOUNT, new(visibility, visibility=visibility, cover=PNG))
        for visibility in ("public", "unlist", "private")
    }
    assert (await library.find(OTHER, Query())).total == 0, "no voice of others that is still to be trained"
    await run(house.trainer(engine), *(until(house, voice.id, "trained") for voice in made.values()))
    listed = await library.find(OTHER, Query())
    assert [voice.title for voice in listed.voices] == ["public"]
    assert (await library.find(LOCAL_ACCOUNT, Query())).total == 3
    assert (await library.find(OTHER, Query(mine=True))).total == 0
    assert (await library.find(OTHER, Query(author=LOCAL_ACCOUNT))).total == 1
    assert (await library.get(OTHER, made["unlist"].id)).title == "unlist"
    assert await refused(library.get(OTHER, made["private"].id)) == 403
    assert await library.usable(OTHER, made["private"].id) is None
    for voice in made.values():
        assert await refused(library.update(OTHER, voice.id, Changes(title="mine"))) == 403
        assert await refused(library.delete(OTHER, voice.id)) == 403
    assert await refused(library.get(OTHER, "0" * 32)) == 404
    assert await refused(library.update(OTHER, "0" * 32, Changes())) == 404
    assert await refused(library.delete(OTHER, "0" * 32)) == 404


async def test_pages_filters_and_orders(house: House, engine: Engine) -> None:
    library = house.library
    titles = ["Ångström", "50% off_", "声の名前", "plain", "Plain too"]
    for number, title in enumerate(titles):
        await library.create(LOCAL_ACCOUNT, new(title, tags=["all", f"tag {number}", "all"]))
    page = await library.find(LOCAL_ACCOUNT, Query(page_size=2, page_number=2, sort_by="created_at"))
    assert ([voice.title for voice in page.voices], page.total, page.more) == (
        ["声の名前", "50% off_"],
        5,
        True,
    )
    assert not (await library.find(LOCAL_ACCOUNT, Query(page_size=2, page_number=3))).more
    assert not (await library.find(LOCAL_ACCOUNT, Query(page_number=1000))).voices

    async def found(**query: Any) -> set[str]:
        return {voice.title for voice in (await library.find(LOCAL_ACCOUNT, Query(**query))).voices}

    assert await found(title="PLAIN") == {"plain", "Plain too"}
    assert await found(title="å") == {"Ångström"}
    assert await found(title="%") == {"50% off_"}
    assert await found(title="_") == {"50% off_"}
    assert await found(tags=["all", "tag 3"]) == {"plain"}
    assert await found(tags=["all", "none"]) == set()
    assert await found(title_languages=["ja", "zh"]) == {"声の名前"}
    assert await found(languages=["de", "en"]) == set(titles)
    assert await found(languages=["de"]) == set()
    (voice,) = (await library.find(LOCAL_ACCOUNT, Query(title="off"))).voices
    assert voice.tags == ("all", "tag 1")
    library.used(voice.id)
    assert (await library.get(LOCAL_ACCOUNT, voice.id)).task_count == 1
    await library.count()
    assert (await library.find(LOCAL_ACCOUNT, Query(sort_by="task_count"))).voices[0].id == voice.id
    assert (await library.get(LOCAL_ACCOUNT, voice.id)).task_count == 1


async def test_tags_are_whole_tags(house: House) -> None:
    """Whatever is in them: other tags, quotes, lines, and letters that differ in their case only."""
    odd = ["calm", "very calm", 'a", "b', '"', "\\", "\\n", "two\nlines", "Calm voice", "%", "ü", "{}", "[]"]
    for tag in odd:
        await house.library.create(LOCAL_ACCOUNT, new(f"has {tag}", tags=["first", tag, "last"]))
    for tag in odd:
        page = await house.library.find(LOCAL_ACCOUNT, Query(tags=[tag, "first", tag]))
        assert [voice.tags for voice in page.voices] == [("first", tag, "last")]
    for none in ("b", "a", "cal", "alm", "calm voice", "lines", "n", "", "first\nlast", '"first"', "Ü"):
        page = await house.library.find(LOCAL_ACCOUNT, Query(tags=[none]))
        assert (page.total, page.voices) == (0, ()), none
    (voice,) = (await house.library.find(LOCAL_ACCOUNT, Query(tags=["%"]))).voices
    assert (await house.library.update(LOCAL_ACCOUNT, voice.id, Changes(tags=[]))).tags == ()
    assert (await house.library.find(LOCAL_ACCOUNT, Query(tags=["%"]))).total == 0
    assert (await house.library.find(LOCAL_ACCOUNT, Query(tags=["first"]))).total == len(odd) - 1


class DeafModel(ToneModel):
    """Learns nothing."""

    def learn(self, voice: str, references: Any) -> None:
        raise SpeechError("that is nobody's voice")


async def test_what_no_database_can_hold_is_asked_for_in_vain(house: House) -> None:
    for ask in (house.library.get, house.library.delete):
        with pytest.raises(RequestError) as refusal:
            await ask(LOCAL_ACCOUNT, "a\0b")
        assert refusal.value.status == 404
    for query in (Query(title="\0"), Query(tags=["\0"]), Query(author="\0"), Query(languages=["\0"])):
        with pytest.raises(RequestError, match="NUL"):
            await house.library.find(LOCAL_ACCOUNT, query)


async def test_training_tells_its_outcome(house: House, engine: Engine) -> None:
    voice = await house.library.create(LOCAL_ACCOUNT, new(texts=[], generate_sample=True))
    assert voice.state == "created"
    await run(house.trainer(engine), until(house, voice.id, "trained"))
    heard, generated = (await house.library.get(LOCAL_ACCOUNT, voice.id)).samples
    assert heard.text == "", "there is no recogniser, and the voice does without"
    assert generated.generated
    pcm, rate = decode(await house.blobs.get(generated.blob))
    assert len(pcm) / rate == pytest.approx(generated.seconds, abs=0.1)

    async with Engine(DeafModel) as deaf:
        voice = await house.library.create(LOCAL_ACCOUNT, new())
        await run(house.trainer(deaf), until(house, voice.id, "failed"))
    assert (await house.library.get(LOCAL_ACCOUNT, voice.id)).failure == "that is nobody's voice"


async def test_several_trainers_train_each_voice_once(house: House, db_url: str, tmp_path: Path) -> None:
    models = [ToneModel(), ToneModel()]
    async with (
        opened(db_url, tmp_path) as second,
        Engine(lambda: models[0]) as one,
        Engine(lambda: models[1]) as other,
    ):
        voices = [await house.library.create(LOCAL_ACCOUNT, new(f"voice {number}")) for number in range(6)]
        done = asyncio.gather(*(until(house, voice.id, "trained") for voice in voices))
        await asyncio.gather(run(house.trainer(one), done), run(second.trainer(other), done))
    lessons = [voice for model in models for what, voice in model.log if what == "learn"]
    assert sorted(lessons) == sorted(f"{voice.id}@1" for voice in voices)


async def test_a_trainer_that_ends_gives_its_voice_back(house: House) -> None:
    model = ToneModel()
    async with Engine(lambda: model) as engine:
        model.lessons.clear()
        voice = await house.library.create(LOCAL_ACCOUNT, new())
        await run(house.trainer(engine), until(house, voice.id, "training"))
        model.lessons.set()
        await run(house.trainer(engine), until(house, voice.id, "trained"))


async def test_who_deletes_a_voice_while_it_is_trained_ends_that(house: House) -> None:
    model = ToneModel()
    async with Engine(lambda: model) as engine:
        model.lessons.clear()
        voice = await house.library.create(LOCAL_ACCOUNT, new())
        trainer = house.trainer(engine)

        async def deleted() -> None:
            await until(house, voice.id, "training")
            await house.library.delete(LOCAL_ACCOUNT, voice.id)
            model.lessons.set()
            other = await house.library.create(LOCAL_ACCOUNT, new())
            await until(house, other.id, "trained")

        await run(trainer, deleted())
    assert house.files() == 1


async def test_the_same_recording_is_kept_once_and_as_long_as_it_is_wanted(house: House) -> None:
    library = house.library
    one, other = [await library.create(LOCAL_ACCOUNT, new(cover=PNG)) for _ in range(2)]
    assert house.files() == 2
    await library.delete(LOCAL_ACCOUNT, one.id)
    assert house.files() == 2
    await library.update(LOCAL_ACCOUNT, other.id, Changes(cover=JPEG))
    assert house.files() == 2
    await library.delete(LOCAL_ACCOUNT, other.id)
    assert house.files() == 0
    await asyncio.gather(*(coming_and_going(library) for _ in range(4)))
    assert house.files() == 0


async def coming_and_going(library: Library) -> None:
    """Make and delete voices of the same recording, as others do meanwhile."""
    for _ in range(3):
        voice = await library.create(LOCAL_ACCOUNT, new())
        assert await library.references(voice)
        await library.delete(LOCAL_ACCOUNT, voice.id)


@pytest.mark.parametrize(
    ("bad", "status", "says"),
    [
        ({"recordings": of()}, 400, "voices: got no file"),
        ({"recordings": of(*[b""] * 11)}, 400, "voices: got '11 files'; expected at most 10"),
        ({"recordings": of(recording("wav"), bytes(21_000_000))}, 413, "voices[1]: got 21000000 bytes"),
        ({"recordings": of(recording("opus"), SVG)}, 400, "voices[1]: the recording cannot be read"),
        ({"texts": ["a", "b"]}, 400, "texts: got '2 texts'"),
        ({"title": " "}, 400, "title: got ' '"),
        ({"title": "x" * 201}, 400, "title"),
        ({"tags": ["x" * 101]}, 400, "tags"),
        ({"description": "a\0b"}, 400, "description"),
        ({"visibility": "public"}, 400, "cover_image: missing; a public voice needs one"),
        ({"cover": SVG}, 400, "cover_image: expected a picture as PNG, JPEG or WebP"),
        ({"cover": PNG + bytes(5 << 20)}, 413, "cover_image: got"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_what_cannot_be_is_refused_and_leaves_nothing(
    tmp_path: Path, bad: dict[str, Any], status: int, says: str
) -> None:
    async with opened(f"sqlite:///{tmp_path}/p.db", tmp_path) as house:
        with pytest.raises(RequestError, match=re.escape(says)) as raised:
            await house.library.create(LOCAL_ACCOUNT, replace(new(), **bad))
        assert raised.value.status == status
        await empty(house)


async def empty(house: House) -> None:
    """Nothing is left in a library."""
    assert house.files() == 0
    async with house.database.reading() as session:
        for table in (VoiceRow, SampleRow, KeptBlobRow):
            assert await session.scalar(select(func.count()).select_from(table)) == 0


KILLED = """
import asyncio, sys, time
from pathlib import Path
from engine import Engine
from tests.tones import ToneModel
from tests.transports.voices.test_library import House, LOCAL_ACCOUNT, new, of, recording, run, until
from transports.voices import NewVoice

async def hang():
    print("now", flush=True)
    time.sleep(60)

async def main(url, folder, when):
    house = House(url, folder)
    await house.database.start()
    await house.blobs.start()
    if when == "creating":
        files = of(recording("opus"), recording("opus", "zoe"))
        await house.library.create(LOCAL_ACCOUNT, NewVoice("Walter", [*files, hang]))
    model = ToneModel()
    model.lessons.clear()
    async with Engine(lambda: model) as engine:
        voice = await house.library.create(LOCAL_ACCOUNT, new())
        training = asyncio.create_task(house.trainer(engine).run())
        await until(house, voice.id, "training")
        await hang()

asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
"""


@pytest.mark.parametrize("when", ["creating", "training"])
async def test_kill_9_leaves_a_consistent_library(
    house: House, engine: Engine, db_url: str, tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, db_url, str(tmp_path), when, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"now\n"
    process.send_signal(signal.SIGKILL)
    await process.wait()
    if when == "creating":
        assert (await house.library.find(LOCAL_ACCOUNT, Query())).total == 0
        assert house.files() == 2
        await house.library.keeper.sweep()
        assert house.files() == 2, "somebody might still refer to them"
        monkeypatch.setattr(keeping, "GRACE", timedelta(0))
        await house.library.keeper.sweep()
        await empty(house)
    else:
        (voice,) = (await house.library.find(LOCAL_ACCOUNT, Query())).voices
        assert voice.state == "training"
        async with house.database.session() as session:  # as time does
            await session.execute(update(VoiceRow).values(leased_until=now()))
        await run(house.trainer(engine), until(house, voice.id, "trained"))


async def test_what_breaks_off_again_and_again_is_given_up(house: House, engine: Engine) -> None:
    voice = await house.library.create(LOCAL_ACCOUNT, new())
    async with house.database.session() as session:
        await session.execute(update(VoiceRow).values(state="training", attempts=training.MAX_ATTEMPTS))
    await run(house.trainer(engine), until(house, voice.id, "failed"))
    assert "broke off" in (await house.library.get(LOCAL_ACCOUNT, voice.id)).failure
