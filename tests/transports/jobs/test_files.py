"""Files at signed addresses, on both databases, in a folder and in a bucket."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update
from starlette.responses import Response
from starlette.types import Message

from transports.errors import RequestError
from transports.jobs import Files, Kept, Signer, load_secret
from transports.jobs.tables import File
from transports.store import Blobs, Database, StoreError, now


@asynccontextmanager
async def started(database: Database, place: Path | str) -> AsyncIterator[Files]:
    files = Files(database, Blobs(place), Signer(b"secret"), 3600)
    await files.start()
    yield files
    await files.close()


@pytest.fixture
async def files(either: Database, tmp_path: Path) -> AsyncIterator[Files]:
    async with started(either, tmp_path / "results") as files:
        yield files


def written(tmp_path: Path, content: bytes = b"sound") -> Path:
    path = tmp_path / "made.part"
    path.write_bytes(content)
    return path


async def fetched(response: Response) -> tuple[dict[str, str], bytes]:
    """A response's headers and body, as a server sends them."""
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    async def receive() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    await response({"type": "http", "method": "GET", "headers": [], "extensions": {}}, receive, send)
    headers = {name.decode(): value.decode() for name, value in messages[0]["headers"]}
    return headers, b"".join(message.get("body", b"") for message in messages[1:])


def signature(files: Files, kept: Kept) -> str:
    return files.url("https://x/", kept).rpartition("signature=")[2]


@pytest.mark.parametrize("place", ["results", "memory://results"])
async def test_what_is_kept_is_served(database: Database, place: str, tmp_path: Path) -> None:
    async with started(database, tmp_path / place if "://" not in place else place) as files:
        await check_serving(files, tmp_path)


async def check_serving(files: Files, tmp_path: Path) -> None:
    kept = await files.keep(written(tmp_path), "audio/mpeg", ".mp3")
    url = files.url("https://voice.example/", kept)
    assert url.startswith(f"https://voice.example/files/{kept.name}?expires={kept.expires}&signature=")
    headers, body = await fetched(await files.response(kept, signature(files, kept)))
    assert body == b"sound"
    assert headers["content-type"] == "audio/mpeg"
    assert headers["content-length"] == "5"
    assert headers["x-content-type-options"] == "nosniff"


async def test_the_same_content_is_one_file_and_lives_as_long_as_any(
    files: Files, either: Database, tmp_path: Path
) -> None:
    first = await files.keep(written(tmp_path), "audio/mpeg", ".mp3")
    async with either.session() as session:
        await session.execute(update(File).values(expires_at=now() - timedelta(seconds=5)))
    second, third = await asyncio.gather(
        *(files.keep(written(tmp_path), "audio/mpeg", ".mp3") for _ in range(2))
    )
    await files.sweep()
    assert first.name == second.name == third.name
    assert (await fetched(await files.response(second, signature(files, second))))[1] == b"sound"


async def test_what_has_expired_is_deleted(files: Files, either: Database, tmp_path: Path) -> None:
    kept = [await files.keep(written(tmp_path, bytes([n])), "audio/mpeg", ".mp3") for n in range(5)]
    async with either.session() as session:
        gone = select(File.key).limit(4).scalar_subquery()
        await session.execute(
            update(File).where(File.key.in_(gone)).values(expires_at=now() - timedelta(seconds=5))
        )
    await asyncio.gather(files.sweep(), files.sweep())
    async with either.reading() as session:
        assert await session.scalar(select(func.count()).select_from(File)) == 1
    outcomes = [
        await asyncio.gather(files.response(one, signature(files, one)), return_exceptions=True)
        for one in kept
    ]
    refused = [error for (error,) in outcomes if isinstance(error, RequestError)]
    assert [error.status for error in refused] == [404] * 4


async def test_however_much_has_expired_it_is_all_deleted(database: Database, tmp_path: Path) -> None:
    """Files that come faster than they are deleted would fill the disk."""
    async with started(database, tmp_path / "results") as files, database.session() as session:
        old = now() - timedelta(seconds=5)
        session.add_all(File(key=f"{n:064x}", mime="x", size=1, expires_at=old) for n in range(250))
    await files.sweep()
    async with database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(File)) == 0


async def test_what_cannot_be_deleted_holds_up_no_other(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = type(pytest.importorskip("fsspec").filesystem("memory"))
    remove, stuck = memory.rm_file, f"{0:064x}"

    def fail(self: Any, path: str) -> None:
        if path.endswith(stuck):
            raise RuntimeError("the bucket says no")  # as those of clouds do, in classes of their own
        remove(self, path)

    monkeypatch.setattr(memory, "rm_file", fail)
    async with started(database, "memory://stuck") as files:
        async with database.session() as session:
            old = now() - timedelta(seconds=5)
            session.add_all(File(key=f"{n:064x}", mime="x", size=1, expires_at=old) for n in range(150))
        await files.sweep()
        async with database.reading() as session:
            assert list(await session.scalars(select(File.key))) == [stuck]
        monkeypatch.undo()
        await files.sweep()
        async with database.reading() as session:
            assert list(await session.scalars(select(File.key))) == []


async def test_only_a_whole_address_that_still_holds_is_good(database: Database, tmp_path: Path) -> None:
    files = Files(database, Blobs(tmp_path / "results"), Signer(b"secret"), 3600)
    await files.start()
    kept = await files.keep(written(tmp_path), "audio/mpeg", ".mp3")
    good = signature(files, kept)
    for wrong in (Kept(kept.name, kept.expires + 1), Kept(kept.name.replace(".mp3", ".html"), kept.expires)):
        with pytest.raises(RequestError, match="signature") as caught:
            await files.response(wrong, good)
        assert caught.value.status == 403
    old = Kept(kept.name, int(now().timestamp()) - 1)
    with pytest.raises(RequestError, match="no longer") as caught:
        await files.response(old, signature(files, old))
    assert caught.value.status == 410
    await files.close()


def test_a_secret_is_made_once_and_is_its_owners_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    secret = load_secret(folder)
    assert len(secret) == 32
    assert load_secret(folder) == secret
    assert (folder / "secret").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == ["secret"]
    assert load_secret(tmp_path / "other") != secret
    monkeypatch.setenv("PARROTFISH_SECRET", "of several servers, 32 or longer")
    assert load_secret(folder) == load_secret(tmp_path / "third") != secret


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("x", "got 1 characters; expected at least 32"),
        ("x" * 31, "got 31 characters; expected at least 32"),
        ("CHANGE-ME", "got the placeholder of an example; expected at least 32"),
        ("CHANGE-ME-to-something-that-nobody-can-guess", "got the placeholder of an example"),
    ],
)
def test_a_secret_that_can_be_guessed_is_refused(
    given: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARROTFISH_SECRET", given)
    with pytest.raises(StoreError, match=f"PARROTFISH_SECRET: {told}") as refused:
        load_secret(tmp_path)
    assert "such as openssl rand" in str(refused.value)


def test_a_secret_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"short")
    with pytest.raises(StoreError, match="got 5 bytes; expected 32"):
        load_secret(tmp_path)
    (tmp_path / "secret").unlink()
    (tmp_path / "secret").mkdir()
    with pytest.raises(StoreError, match="secret"):
        load_secret(tmp_path)


def test_signatures() -> None:
    one, other = Signer(b"one"), Signer(b"other")
    assert one.knows(one.sign("a", 1), "a", 1)
    for signature_ in (other.sign("a", 1), one.sign("a", 2), "", "é", os.urandom(8).hex()):
        assert not one.knows(signature_, "a", 1)
