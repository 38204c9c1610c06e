"""A real server is killed in the middle of its jobs, and another one ends each of them once."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from engine import EngineConfig
from engine.audio import decode
from tests.transports.conftest import run_server
from tests.transports.listener import Listener, listening
from tests.transports.voices.recordings import SENTENCE, recording
from transports.settings import Settings

ROOT = Path(__file__).parents[3]
LEASE = 1.0
SERVE = """
import sys
from pathlib import Path
from engine import EngineConfig
from engine.models.hibari import HibariModel
from transports.server import Server
from transports.settings import Settings

settings = Settings(port=0, engine=EngineConfig(max_streams=4), data=Path(sys.argv[1]), asr=None,
    private_callbacks=True, job_lease_seconds={lease}, database_url=sys.argv[2] or None)
server = Server(settings, HibariModel, lambda _: print(port, flush=True))
listener = server.bind()
port = listener.getsockname()[1]
server.serve_on(listener)
"""


running_server = contextlib.contextmanager(run_server)


@contextlib.contextmanager
def served(data: Path, database: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE.format(lease=LEASE), str(data), database],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}", process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(30)
        process.stdout.close()


def tasks(url: str, ids: list[str]) -> dict[str, Any]:
    body = {"ids": ids, "action": "retrieve_batch"}
    return {task["id"]: task for task in httpx.post(f"{url}/fish/tasks", json=body).json()["items"]}


def until(met: Any) -> None:
    end = time.monotonic() + 60
    while not met():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_after_a_kill_every_job_ends_once(tmp_path: Path, db_url: str) -> None:
    # One long enough to be in the middle of, some behind it, and one that cannot end well: its voice goes.
    texts = ["This is a sentence of a long story. " * 15, "Short.", "Shorter.", "Shortest."]
    with listening() as listener:
        with served(tmp_path, db_url) as (url, process):
            voice = new_voice(url)
            ids = [promised(url, text, listener) for text in texts]
            ids.append(promised(url, "Never to be heard.", listener, reference_id=voice))
            assert httpx.delete(f"{url}/model/{voice}").is_success
            until(lambda: any("response" in task for task in tasks(url, ids).values()))
            process.kill()
            process.wait()
        assert len(listener.got) < len(ids)
        with contextlib.ExitStack() as stack:
            url, _ = stack.enter_context(served(tmp_path, db_url))
            if db_url.startswith("postgresql"):
                stack.enter_context(served(tmp_path, db_url))
            until(lambda: len({body["task_id"] for body in listener.got}) == len(ids))
            ended = tasks(url, ids)
            assert [ended[id_]["response"]["success"] for id_ in ids] == [True] * 4 + [False]
            time.sleep(2 * LEASE)  # whoever would do one again would have begun by now
            assert tasks(url, ids) == ended
            for id_ in ids[:4]:
                audio, rate = decode(httpx.get(_here(url, ended[id_]["response"]["audio_url"])).content)
                assert len(audio) / rate > 0.2
        for id_ in ids:
            (body, *again) = [body for body in listener.got if body["task_id"] == id_]
            # Who is killed between a callback and the note of it makes it again; it says the same.
            assert again in ([], [body])
            assert body.get("audio_url") == ended[id_]["response"].get("audio_url")
    assert not list((tmp_path / "results" / "parts").iterdir())


def test_a_server_that_is_stopped_leaves_its_jobs_to_the_next(tmp_path: Path) -> None:
    settings = Settings(
        port=0,
        engine=EngineConfig(max_streams=4),
        data=tmp_path,
        asr=None,
        private_callbacks=True,
        grace_seconds=0.5,
    )
    with listening() as listener:
        with running_server(settings) as running:
            ids = [promised(running.url, "A sentence of a long story. " * 12, listener) for _ in range(4)]
            until(lambda: running.engine.open_streams > 0)
            running.interrupt()
        assert len(listener.got) < len(ids)
        with running_server(settings) as running:
            until(lambda: len(listener.got) == len(ids))
            assert all(task["response"]["success"] for task in tasks(running.url, ids).values())
        assert sorted(body["task_id"] for body in listener.got) == sorted(ids)


def new_voice(url: str) -> str:
    """The id of one that is trained."""
    files = {"voices": ("a.wav", recording("wav", "walter"))}
    made = httpx.post(f"{url}/model", data={"title": "Walter", "texts": [SENTENCE]}, files=files).json()
    until(lambda: httpx.get(f"{url}/model/{made['_id']}").json()["state"] == "trained")
    return str(made["_id"])


def promised(url: str, text: str, listener: Listener, **more: str) -> str:
    body = {"text": text, "format": "mp3", "callback_url": listener.url, **more}
    task: str = httpx.post(f"{url}/fish/tts", json=body).json()["task_id"]
    return task


def _here(url: str, address: str) -> httpx.URL:
    """The address at this server: the one that made the file is gone, with its port."""
    here = httpx.URL(url)
    return httpx.URL(address).copy_with(host=here.host, port=here.port)
