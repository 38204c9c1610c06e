"""What docs/agent.md shows does what it says, and says all there is."""

import re
import subprocess
import sys
import wave
from pathlib import Path
from typing import get_args

import numpy as np

from engine.audio import decode
from realtime.conversation.events import ConversationEvent
from tests.hearing import transcribe, word_error_rate
from tests.transports.agent.client import MIC_RATE, speech
from tests.transports.conftest import Running
from transports.agent.messages import COMMANDS, event_message
from transports.agent.wishes import AgentWishes

PAGE = (Path(__file__).parents[3] / "docs" / "agent.md").read_text(encoding="utf-8")


def test_the_example_asks_and_gets_its_answer(server: Running, tmp_path: Path) -> None:
    said = "The quick brown fox jumps over the lazy dog."
    with wave.open(str(tmp_path / "question.wav"), "wb") as file:
        file.setparams((1, 2, MIC_RATE, 0, "NONE", ""))
        file.writeframes((speech(said) * 32767).astype(np.int16).tobytes())
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    address = "ws://127.0.0.1:8080"
    assert address in example
    example = example.replace(address, server.url.replace("http", "ws"))
    subprocess.run([sys.executable, "-c", example], cwd=tmp_path, check=True)
    assert word_error_rate(said, transcribe(*decode(tmp_path / "answer.wav"))) <= 0.12


def test_every_message_and_field_is_described() -> None:
    described = set(re.findall(r"`([a-z_]+)`", PAGE))
    for kind in get_args(ConversationEvent):
        fields = dict.fromkeys(kind.__dataclass_fields__, 0)
        message = event_message(kind(**fields))
        assert {message["type"], *fields} <= described, kind
    assert {*COMMANDS, *AgentWishes.model_fields} <= described
