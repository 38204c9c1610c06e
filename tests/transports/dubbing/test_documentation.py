"""What docs/dubbing.md shows does what it says."""

import re
import subprocess
import sys
from pathlib import Path

from engine.audio import decode
from tests.hearing import transcribe, word_error_rate
from tests.transports.conftest import Running
from transports.dubbing.subtitles import read_subtitles

DOCS = Path(__file__).parents[3] / "docs"
TEXT = (DOCS / "dubbing.md").read_text(encoding="utf-8")


def test_the_client_is_dubbed(server: Running, tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert "ws://127.0.0.1:8080" in example
    script = example.replace("ws://127.0.0.1:8080", server.url.replace("http", "ws"))
    ran = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, capture_output=True)
    assert b"line_ended" in ran.stdout
    heard = transcribe(*decode(tmp_path / "dub.wav"))
    assert word_error_rate("The captions come as they are made. This is the second.", heard) <= 0.1


def test_the_example_shows_its_own_captions() -> None:
    for caption in read_subtitles((DOCS / "dubbing" / "harbour.srt").read_bytes(), "srt").captions:
        assert caption.text[:50] in TEXT
