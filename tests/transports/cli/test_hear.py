import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from engine.audio import AudioStream, output_format
from tests.engine.models.speaking import RATE, speak
from tests.hearing import word_error_rate
from transports.cli import main

TEXTS = ("The harbour was quiet when the last boat came in.", "Her answer was short, but it was kind.")


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both texts, with a second before each."""
    stream = AudioStream(RATE, output_format("mp3"))
    silence = np.zeros(RATE, np.float32)
    pcm = np.concatenate([part for text in TEXTS for part in (silence, speak(text).pcm)])
    path = tmp_path_factory.mktemp("talk") / "talk.mp3"
    path.write_bytes(stream.write(pcm) + stream.finish())
    return path


def test_a_line_for_each_phrase(talk):
    done = CliRunner().invoke(main, ["hear", str(talk)])
    assert done.exit_code == 0, done.output
    heard = done.output.splitlines()
    assert len(heard) == 2
    assert word_error_rate(" ".join(TEXTS), " ".join(heard)) <= 0.2


def test_json_from_stdin(talk):
    done = CliRunner().invoke(main, ["hear", "-", "--json", "--language", "en"], input=talk.read_bytes())
    assert done.exit_code == 0, done.output
    answer = json.loads(done.output)
    assert answer["text"] == " ".join(part["text"] for part in answer["segments"])
    assert answer["duration"] == pytest.approx(2 + sum(speak(text).seconds() for text in TEXTS), abs=0.2)
    assert answer["segments"][0]["start"] == pytest.approx(1.0, abs=0.3)


def test_subtitles(talk):
    done = CliRunner().invoke(main, ["hear", str(talk), "--srt"])
    assert done.exit_code == 0, done.output
    cues = done.output.strip().split("\n\n")
    assert len(cues) == 2
    assert re.fullmatch(r"1\n00:00:0[01],\d{3} --> 00:00:0[3-5],\d{3}\nThe [^\n]+", cues[0])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["missing.mp3"], "missing.mp3: No such file"),
        (["."], ".: Is a directory"),
        ([__file__], "no audio file"),
        (["TALK", "--language", "de"], "--language: got 'de'; expected one that moonshine-tiny-en knows: en"),
        (["TALK", "--asr", "ears"], "'ears' is not one of moonshine, whisper, whisper:MODEL, openai"),
        (["TALK", "--asr", "none"], "is not one of"),
        (["TALK", "--asr-url", "http://x"], "--asr-url is for --asr openai"),
        (["TALK", "--asr", "whisper:x", "--asr-model", "y"], "--asr-model"),
        (["TALK", "--asr", "openai", "--asr-url", "http://127.0.0.1:9/v1"], "cannot be reached"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_done_is_told(talk, arguments, says):
    arguments = [str(talk) if argument == "TALK" else argument for argument in arguments]
    done = CliRunner().invoke(main, ["hear", *arguments])
    assert done.exit_code != 0
    assert says in done.output
    assert "Traceback" not in done.output
