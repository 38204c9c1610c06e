"""What the README shows does what it says."""

import os
import re
import subprocess
import sys
from pathlib import Path

from engine.audio import decode
from tests.hearing import transcribe, word_error_rate
from tests.transports.conftest import Running

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
EXAMPLE_URL = "http://127.0.0.1:8080"


def test_the_sdk_example_speaks(server: Running, tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert EXAMPLE_URL in example
    subprocess.run([sys.executable, "-c", example.replace(EXAMPLE_URL, server.url)], cwd=tmp_path, check=True)
    heard = transcribe(*decode(tmp_path / "hello.mp3"))
    said = "Hello! I begin to speak while this sentence is still being written."
    assert word_error_rate(said, heard) <= 0.1


def test_the_curl_line_speaks(server: Running, tmp_path: Path) -> None:
    (line,) = re.findall(r"^curl .*?-o hello\.mp3$", README, re.DOTALL | re.MULTILINE)
    line = line.replace(EXAMPLE_URL, server.url)
    subprocess.run(["bash", "-c", line], cwd=tmp_path, check=True, env=os.environ)
    assert "hello" in transcribe(*decode(tmp_path / "hello.mp3")).lower()
