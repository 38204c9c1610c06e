"""The process that has workers: it holds no model, and none of them outlives it."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine import ModelSpec
from engine.models.dual_ar.config import Layout
from tests.engine.models.dual_ar import babble
from tests.engine.process.models import SPEC
from tests.engine.process.watching import SECONDS, ends

ROOT = Path(__file__).parents[3]


@contextmanager
def parent(spec: ModelSpec) -> Iterator[tuple[subprocess.Popen[str], list[str], float, list[int]]]:
    """An engine in a process of its own: what it has imported, how long it spoke, and its workers."""
    command = [sys.executable, "-m", "tests.engine.process.parent", spec.packed()]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            imported = process.stdout.readline().split()
            assert imported[:1] == ["imported:"]
            spoken = float(process.stdout.readline().split()[1])
            yield process, imported[1:], spoken, list(map(int, process.stdout.readline().split()))
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_its_engine(number: signal.Signals) -> None:
    with parent(SPEC) as (process, _, _, workers):
        assert len(workers) == 2
        process.send_signal(number)
        assert process.wait(SECONDS) == -number
        assert all(map(ends, workers))


SPECS = {
    "bundled": ModelSpec("engine.models.hibari:HibariModel"),
    "s2": ModelSpec("tests.engine.process.models:tiny_s2", {"folder": ""}),
}


@pytest.mark.parametrize("name", SPECS)
def test_the_engine_s_process_imports_no_model(name: str) -> None:
    spec = SPECS[name]
    if name == "s2":
        spec = ModelSpec(spec.maker, {"folder": str(babble.folder(Layout.S2_PRO))})
    with parent(spec) as (_, imported, spoken, _):
        assert imported == []
        assert spoken > 0.1
