"""SGLang's process, where there is no SGLang."""

import queue
import sys
import threading
from pathlib import Path

import pytest

from engine.errors import ModelGone
from engine.models.dual_ar import DualAROptions
from engine.models.dual_ar.config import Layout
from engine.models.sglang import SGLangFailed, SGLangOptions, load_sglang
from engine.models.sglang.client import Client
from engine.models.sglang.messages import Abort, Ready, Speak
from tests.engine.models.dual_ar.babble import folder

ROOT = Path(__file__).parents[4]
DIES_ONCE_ASKED = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from multiprocessing.connection import Connection
from engine.models.sglang.messages import Ready
connection = Connection(int(sys.argv[-1]))
connection.recv()
connection.send(Ready("1.2", 100))
connection.recv()
"""


def script(tmp_path: Path, text: str) -> Path:
    """An interpreter that does something else."""
    path = tmp_path / "python"
    path.write_text(f"#!{sys.executable}\n{text}\n")
    path.chmod(0o755)
    return path


def wait_for_news(client: Client, request: str) -> None:
    while not client.take([request], 1.0):
        pass


@pytest.mark.parametrize(
    ("does", "told"),
    [
        ("raise SystemExit(3)", r"SGLang did not start \(exit status 3\)"),
        ("import os; os.kill(os.getpid(), 9)", r"SGLang did not start \(exit status -9\)"),
    ],
)
def test_a_process_that_dies_at_the_start_leaves_nothing_behind(tmp_path: Path, does: str, told: str) -> None:
    before = set(threading.enumerate())
    with pytest.raises(SGLangFailed, match=told):
        load_sglang(
            folder(Layout.S2_PRO),
            DualAROptions(device="cpu", max_streams=1),
            SGLangOptions(python=script(tmp_path, does)),
        )
    assert {thread for thread in set(threading.enumerate()) - before if thread.is_alive()} == set()


def test_what_only_our_own_engine_does_is_refused() -> None:
    with pytest.raises(ValueError, match="compile is for the engine of our own"):
        load_sglang(folder(Layout.S2_PRO), DualAROptions(device="cpu", compile=True))


def test_a_process_that_dies_while_it_speaks_is_told_of_and_ends(tmp_path: Path) -> None:
    client = Client({}, {}, script(tmp_path, DIES_ONCE_ASKED))
    try:
        assert client.wait_ready() == Ready("1.2", 100)
        told: queue.Queue[ModelGone] = queue.Queue()
        client.watch(told.put)
        client.send(Speak("a", [1], "key", {}, 5))
        with pytest.raises(SGLangFailed, match="SGLang has ended"):
            wait_for_news(client, "a")
        with pytest.raises(SGLangFailed, match="SGLang has ended"):
            client.send(Speak("b", [1], "key", {}, 5))
        late: list[ModelGone] = []
        client.watch(late.append)
        assert [type(error) for error in (told.get(timeout=10), *late)] == [SGLangFailed] * 2
        client.send(Abort("a"))  # as a stream is released that it took with it
    finally:
        client.close()
