"""What the engine is made of tells nobody that it is used."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOAD = (
    "from engine.models.hibari import HibariModel; import realtime.turns.smart_turn;"
    "model = HibariModel(); model.warm(); model.close()"
)


def test_onnxruntime_keeps_no_account_of_its_use(tmp_path):
    # Where it reports, it keeps an id of the machine and what it has not sent yet in the user's cache.
    places = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / ".cache")}
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    subprocess.run([sys.executable, "-c", LOAD], cwd=ROOT, env=environment | places, check=True)
    assert not list(tmp_path.rglob("*"))
