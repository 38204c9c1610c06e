"""The options of ``parrotfish serve`` for agents, as the server gets them."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from realtime.mind import ChatConfig
from realtime.turns import PauseSettings
from transports.agent import AgentSettings
from transports.cli.agent import agent_options


def parsed(*arguments: str) -> AgentSettings:
    got: list[AgentSettings] = []

    @click.command()
    @agent_options
    def command(agent: AgentSettings) -> None:
        got.append(agent)

    result = CliRunner().invoke(command, arguments, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return got[0]


def test_without_any_a_parrot() -> None:
    assert parsed() == AgentSettings()


def test_a_language_model_and_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "sk-1")
    url = "http://127.0.0.1:11434/v1"
    settings = parsed("--llm-url", url, "--llm-model", "llama3.2", "--llm-key-env", "MY_KEY")
    assert settings.chat == ChatConfig(url, "llama3.2", "sk-1")


def test_instructions_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "prompt.txt").write_text("Sei freundlich. Grüße!\n", encoding="utf-8")
    assert parsed("--instructions", f"@{tmp_path / 'prompt.txt'}").instructions == "Sei freundlich. Grüße!"
    assert parsed("--instructions", "Be kind.").instructions == "Be kind."


def test_pauses_and_the_model_of_turns(tmp_path: Path) -> None:
    assert parsed("--pause", "0.2").pauses == PauseSettings(0.2, 0.2, 1.2)
    assert parsed("--pause", "2").pauses == PauseSettings(2.0, 0.3, 2.0)
    assert parsed("--turn-model", "smart-turn").turn_model == Path()
    (tmp_path / "turn.onnx").touch()
    assert parsed("--turn-model", str(tmp_path / "turn.onnx")).turn_model == tmp_path / "turn.onnx"


@pytest.mark.parametrize(
    ("arguments", "wrong"),
    [
        (("--llm-url", "http://127.0.0.1/v1"), "--llm-url and --llm-model belong together"),
        (("--llm-url", "127.0.0.1/v1", "--llm-model", "x"), "does not begin with http"),
        (("--turn-model", "none.onnx"), "there is no file 'none.onnx'"),
        (("--instructions", "@none.txt"), r"@none\.txt"),
        (("--pause", "9"), "9.0 is not in the range"),
    ],
)
def test_what_cannot_be_is_said(arguments: tuple[str, ...], wrong: str) -> None:
    with pytest.raises(click.UsageError, match=wrong):
        parsed(*arguments)
