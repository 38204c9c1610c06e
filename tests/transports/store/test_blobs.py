"""Blobs in a folder, and in what fsspec opens."""

import asyncio
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from transports.store import BlobMissing, Blobs, StoreError

TEXT = b"what a voice sounds like"
KEY = hashlib.sha256(TEXT).hexdigest()


@pytest.fixture(params=["folder", "file://", "memory://"])
async def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    folder = tmp_path / "blobs"
    where = {"folder": str(folder), "file://": f"file://{folder}", "memory://": f"memory://{tmp_path.name}"}
    blobs = Blobs(where[request.param])
    await blobs.start()
    return blobs


async def test_a_blob_is_named_by_what_is_in_it(blobs: Blobs, tmp_path: Path) -> None:
    (tmp_path / "upload").write_bytes(TEXT)
    assert await blobs.put(TEXT) == KEY
    assert await blobs.put(tmp_path / "upload") == KEY
    assert await blobs.get(KEY) == TEXT
    assert await blobs.size(KEY) == len(TEXT)
    assert b"".join([piece async for piece in blobs.stream(KEY)]) == TEXT
    assert b"".join([piece async for piece in blobs.stream(KEY, 5)]) == TEXT[5:]
    assert (tmp_path / "upload").exists()


async def test_a_large_file_comes_in_pieces(blobs: Blobs, tmp_path: Path) -> None:
    data = os.urandom(1_000_000)
    (tmp_path / "upload").write_bytes(data)
    key = await blobs.put(tmp_path / "upload")
    pieces = [piece async for piece in blobs.stream(key)]
    assert len(pieces) > 1
    assert b"".join(pieces) == data


async def test_what_is_deleted_is_gone(blobs: Blobs) -> None:
    await blobs.put(TEXT)
    assert await blobs.exists(KEY)
    await blobs.delete(KEY)
    await blobs.delete(KEY)
    assert not await blobs.exists(KEY)
    with pytest.raises(BlobMissing):
        await blobs.get(KEY)
    with pytest.raises(BlobMissing):
        await blobs.size(KEY)
    with pytest.raises(BlobMissing):
        _ = [piece async for piece in blobs.stream(KEY)]
    assert await blobs.put(TEXT) == KEY
    assert await blobs.get(KEY) == TEXT


@pytest.mark.parametrize("key", ["", "../../etc/passwd", KEY[:-1], KEY.upper(), KEY + "\n", "/" + KEY])
async def test_only_a_hash_is_a_key(blobs: Blobs, key: str) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        await blobs.get(key)
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        await blobs.delete(key)


async def test_many_may_put_the_same(blobs: Blobs) -> None:
    assert set(await asyncio.gather(*(blobs.put(TEXT) for _ in range(20)))) == {KEY}
    assert await blobs.get(KEY) == TEXT


def test_a_disk_that_is_full_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    code = (
        "import asyncio, resource, sys; from transports.store import Blobs\n"
        "async def main():\n"
        "    blobs = Blobs(sys.argv[1]); await blobs.start()\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "    await blobs.put(bytes(100_000))\n"
        "asyncio.run(main())"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True)
    assert f"StoreError: {tmp_path} cannot be written: File too large" in done.stderr.decode()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_killed_process_leaves_whole_files_only(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys; from pathlib import Path; from transports.store import Blobs\n"
        "async def main():\n"
        "    blobs = Blobs(sys.argv[1]); await blobs.start()\n"
        "    for number in range(10**9):\n"
        "        print(await blobs.put(number.to_bytes(8, 'big') * 100_000), flush=True)\n"
        "asyncio.run(main())"
    )
    with subprocess.Popen([sys.executable, "-c", code, tmp_path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        promised = {process.stdout.readline().decode().strip() for _ in range(20)}
        process.kill()
    found = [path for path in tmp_path.glob("??/??/*") if path.is_file()]
    for path in found:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    assert promised <= {path.name for path in found}


async def test_what_a_dead_process_left_unfinished_is_cleared_away_in_time(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    await blobs.start()
    stale, fresh = (tmp_path / "parts" / name for name in ("stale", "fresh"))
    for part in (stale, fresh):
        part.write_bytes(b"half")
    os.utime(stale, (time.time() - 7200,) * 2)
    await blobs.start()
    assert not stale.exists()
    assert fresh.exists()


async def test_a_blob_has_a_path_only_in_a_folder(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    await blobs.start()
    path = blobs.path(await blobs.put(TEXT))
    assert path is not None
    assert path.read_bytes() == TEXT
    assert Blobs("memory://x").path(KEY) is None


async def test_what_was_half_written_to_a_bucket_is_written_again() -> None:
    fsspec = pytest.importorskip("fsspec")
    fsspec.filesystem("memory").pipe_file(f"/half/{KEY[:2]}/{KEY[2:4]}/{KEY}", TEXT[:5])
    blobs = Blobs("memory://half")
    await blobs.start()
    await blobs.put(TEXT)
    assert await blobs.get(KEY) == TEXT


async def test_a_bucket_that_cannot_be_used_is_told() -> None:
    for url, told in (
        ("nosuch://key:secret@bucket", r"nosuch://\*\*\*@bucket cannot be used: Protocol not known"),
        ("memory://", "memory:// cannot be used: it names no bucket"),
        ("ftp://key:secret@127.0.0.1:1/x", r"ftp://\*\*\*@127.0.0.1:1/x cannot be used: Connection refused"),
    ):
        with pytest.raises(StoreError, match=f"--blobs-url: {told}"):
            await Blobs(url).start()
