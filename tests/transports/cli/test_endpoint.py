"""``--engine openai-speech``: its options, and the commands that speak with it."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from engine.audio import decode
from engine.models.openai_speech import OpenAISpeechConfig
from tests.speech_stub import Answer, speech_stub, tone
from tests.transports.cli.test_model import chosen
from transports.cli import main
from transports.cli.endpoint import ENDPOINT_OPTIONS, endpoint_config
from transports.cli.model import ModelChoice

URL = "http://127.0.0.1:9/v1"
EVERY = [
    *["--engine-url", URL + "/"],
    *["--engine-model", "s2-pro"],
    *["--engine-voices", "a, b", "--engine-voices", "c"],
    *["--engine-key-env", "THE_KEY"],
    *["--engine-rate", "44100"],
    "--engine-tags",
    *["--engine-references", "all"],
    "--no-engine-sampling",
    *["--engine-speeds", "0.5-2"],
    *["--engine-fields", '{"language": "en", "stream": null}'],
    *["--engine-loudness", "-16"],
    *["--engine-silence", "10"],
]


def parrotfish(*arguments: str, **env: str) -> tuple[int, str]:
    """Exit code and output of a command in this process."""
    result = CliRunner(env=env).invoke(main, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_every_option_becomes_part_of_the_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_KEY", "sk-1")
    choice = chosen("--engine", "openai-speech", *EVERY)
    assert choice.options.keys() == ENDPOINT_OPTIONS.keys()
    assert endpoint_config(choice.options, 7) == OpenAISpeechConfig(
        url=URL,
        model="s2-pro",
        voices=("a", "b", "c"),
        key="sk-1",
        sample_rate=44_100,
        speeds=(0.5, 2.0),
        reads_tags=True,
        cloning="all",
        sampling=False,
        fields={"language": "en", "stream": None},
        loudness=-16.0,
        silence_seconds=10.0,
        max_streams=7,
    )
    assert chosen(*choice.arguments()) == choice
    assert "sk-1" not in repr(choice.arguments())


def test_what_is_not_given_is_as_the_endpoint_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("PARROTFISH_ENGINE", "openai-speech")
    monkeypatch.setenv("PARROTFISH_ENGINE_URL", URL)
    assert chosen() == ModelChoice(options={"engine_url": URL}, engine="openai-speech")
    assert endpoint_config(chosen().options, None) == OpenAISpeechConfig(URL)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-2")
    assert endpoint_config(chosen().options, None).key == "sk-2"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--engine", "openai-speech"], "--engine openai-speech needs --engine-url"),
        (["--engine-url", URL], "--engine-url is for --engine openai-speech"),
        (["--engine", "magic"], "'magic' is not one of"),
        (["--engine", "openai-speech", "--engine-url", "host"], "'host' does not begin with http"),
        (["--engine", "openai-speech", "--engine-url", URL, "--device", "cpu"], "--device is for S2 models"),
        (
            ["--engine", "openai-speech", "--engine-url", URL, "--model", "x"],
            "--engine openai-speech has --engine-model",
        ),
        (["--engine-speeds", "2-4"], "'2-4' is not of the form SLOWEST-FASTEST"),
        (["--engine-speeds", "fast"], "'fast' is not of the form"),
        (["--engine-fields", "{"], "is no JSON"),
        (["--engine-fields", "[]"], "is no JSON object"),
        (["--engine-references", "few"], "'few' is not one of"),
    ],
)
def test_what_cannot_be_is_a_usage_error_that_names_it(arguments: list[str], told: str) -> None:
    code, output = parrotfish("voices", *arguments)
    assert code == 2
    assert told in output


def test_the_help_has_a_section_for_it() -> None:
    _, output = parrotfish("serve", "--help")
    before, _, section = output.partition("Options of --engine openai-speech:")
    assert re.search(r"--engine \[builtin\|.*openai-speech", before)
    for name in ENDPOINT_OPTIONS:
        assert f"--{name.replace('_', '-')}" in section


def test_voices_lists_what_the_endpoint_has() -> None:
    with speech_stub(lambda _: Answer([])) as stub:
        code, output = parrotfish("voices", "--json", "--engine", "openai-speech", "--engine-url", stub.url)
    assert code == 0
    assert [voice["id"] for voice in json.loads(output)] == ["anna", "ben"]


def test_what_the_endpoint_does_not_say_is_asked_of_the_operator() -> None:
    with speech_stub(lambda _: Answer([]), voices=None) as stub:
        code, output = parrotfish("voices", "--engine", "openai-speech", "--engine-url", stub.url)
    assert code == 1
    assert "does not list its voices" in output
    assert "See --engine-voices" in output


def test_say_speaks_with_it(tmp_path: Path) -> None:
    file = tmp_path / "said.wav"
    with speech_stub(lambda _: Answer([tone(0.5)])) as stub:
        engine = ["--engine", "openai-speech", "--engine-url", stub.url]
        code, output = parrotfish("say", "Hello.", "--voice", "ben", "-o", str(file), *engine)
        assert code == 0, output
        assert [asked["voice"] for asked in stub.asked] == ["ben"]
    pcm, rate = decode(file.read_bytes())
    assert len(pcm) / rate == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("there", [True, False])
def test_the_doctor_speaks_through_it(there: bool) -> None:
    with speech_stub(lambda _: Answer([tone(2.0)])) as stub:
        url = stub.url if there else "http://127.0.0.1:9/v1"
        _, output = parrotfish("doctor", "--json", "--engine", "openai-speech", "--engine-url", url)
    found = json.loads(output)
    checks = {check["name"]: check for check in found["checks"]}
    assert found["ok"] is there
    if there:
        assert "model stub-tts" in checks["server"]["found"]
        requests = len(stub.asked)  # the sentence may be cut, each part is a tone
        assert checks["length"]["value"] == pytest.approx(2.0 * requests, abs=0.1)
    else:
        assert "cannot be reached" in checks["server"]["found"]
