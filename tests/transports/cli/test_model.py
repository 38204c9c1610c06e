"""Which model the command line speaks with: the options, and a model that is not the bundled one."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import types
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from engine.audio import decode
from tests.transports.cli.process import ROOT, read_rest, run, server
from transports.cli import main
from transports.cli.model import ModelChoice, ModelCommand, model_options


def parrotfish(*arguments: object, **env: str) -> tuple[int, str]:
    """Exit code and output of a command in this process."""
    result = CliRunner(env=env).invoke(main, [str(argument) for argument in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def chosen(*arguments: str) -> ModelChoice:
    """What a command with these options is given."""
    choices = []
    command = click.command(cls=ModelCommand)(model_options(lambda model: choices.append(model)))
    assert command.main(list(arguments), standalone_mode=False) is None
    return choices[0]


S2_OPTIONS = [
    ["--device", "cpu"],
    ["--dtype", "float32"],
    ["--kv-memory", "1.5"],
    ["--context", "2048"],
    ["--no-compile"],
    ["--no-graphs"],
    ["--voices", "tests"],
    ["--warm-voices", "all"],
    ["--greedy-residuals"],
]


@pytest.mark.parametrize("option", S2_OPTIONS, ids=str)
@pytest.mark.parametrize("command", [["serve"], ["say", "Hello."], ["voices"], ["doctor"]], ids=str)
def test_an_option_of_s2_models_is_not_ignored_by_the_bundled_one(command, option):
    code, output = parrotfish(*command, *option)
    assert code == 2
    assert f"{option[0].replace('--no-', '--')} is for S2 models" in output


def test_nor_is_it_if_it_comes_from_the_environment():
    code, output = parrotfish("voices", PARROTFISH_KV_MEMORY="2")
    assert code == 2
    assert "--kv-memory is for S2 models" in output


def test_only_options_that_were_given_are_passed_on():
    assert chosen() == ModelChoice("hibari")
    assert chosen("--model", "x") == ModelChoice("x")
    every = [argument for option in S2_OPTIONS for argument in option]
    choice = chosen("--model", "x", *every)
    assert choice.options == {
        "device": "cpu",
        "dtype": "float32",
        "kv_memory": 1.5,
        "context": 2048,
        "compile": False,
        "graphs": False,
        "voices": Path("tests"),
        "warm_voices": ("all",),
        "greedy_residuals": True,
    }
    assert chosen(*choice.arguments()) == choice


def test_voices_to_warm_come_in_any_number_of_lists():
    choice = chosen("--model", "x", "--warm-voices", "a,b", "--warm-voices", "c")
    assert choice.options == {"warm_voices": ("a", "b", "c")}
    assert chosen(*choice.arguments()) == choice


def test_every_option_has_an_environment_variable(monkeypatch):
    monkeypatch.setenv("PARROTFISH_MODEL", "x")
    monkeypatch.setenv("PARROTFISH_GRAPHS", "0")
    monkeypatch.setenv("PARROTFISH_WARM_VOICES", "a,b")
    assert chosen() == ModelChoice("x", {"graphs": False, "warm_voices": ("a", "b")})


def test_the_help_tells_them_apart():
    _, output = parrotfish("serve", "--help")
    common, _, of_s2 = output.partition("Options of S2 models:")
    assert "--model" in common
    assert "--port" in common
    for option in S2_OPTIONS:
        name = option[0].replace("--no-", "--")
        assert name in of_s2
        assert name not in common


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--model", "nothing"], "no model 'nothing'; it must be hibari (the bundled voice), a folder"),
        (["--model", "a/b/c"], "no model 'a/b/c'"),
        (["--model", "x/y", "--device", "tpu"], "'tpu' is not auto, cpu, cuda or cuda:N"),
        (["--model", "x/y", "--dtype", "int8"], "--dtype"),
        (["--model", "x/y", "--kv-memory", "0"], "--kv-memory"),
        (["--model", "x/y", "--voices", "/nowhere"], "--voices"),
    ],
)
def test_what_cannot_be_is_a_usage_error_that_names_it(arguments, told):
    code, output = parrotfish("voices", *arguments)
    assert code == 2
    assert told in output


def test_a_model_and_a_server_elsewhere_contradict_each_other(tmp_path):
    output = tmp_path / "x.wav"
    code, told = parrotfish("say", "Hi.", "-o", output, "--url", "http://127.0.0.1:1", "--model", "x")
    assert code == 2
    assert "--model is for speech that is made here" in told
    code, told = parrotfish("say", "Hi.", "-o", output, "--url", "http://127.0.0.1:1", PARROTFISH_MODEL="x")
    assert "no server answers" in told


# -- the hub ------------------------------------------------------------------------------------------


def hub(fetch) -> types.ModuleType:
    """A stand-in for huggingface_hub, which would go out into the world."""
    module = types.ModuleType("huggingface_hub")
    module.snapshot_download = fetch
    return module


def test_a_model_of_the_hub_is_fetched_and_where_to_is_told(monkeypatch, checkpoint):
    asked = []

    def fetch(name, allow_patterns):
        asked.append(name)
        assert {file.name for file in checkpoint.iterdir()} == {
            file.name for pattern in allow_patterns for file in checkpoint.glob(pattern)
        }
        return str(checkpoint)

    monkeypatch.setitem(sys.modules, "huggingface_hub", hub(fetch))
    code, output = parrotfish("voices", "--model", "fishaudio/s2-pro")
    assert code == 0
    assert asked == ["fishaudio/s2-pro"]
    assert f"fishaudio/s2-pro is stored in {checkpoint}\n" in output
    assert "default" in output


def test_one_that_cannot_be_fetched_is_told_with_what_to_do(monkeypatch):
    def fetch(name, allow_patterns):
        raise OSError(f"403 Client Error.\nCannot access gated repo {name}.")

    monkeypatch.setitem(sys.modules, "huggingface_hub", hub(fetch))
    code, output = parrotfish("voices", "--model", "fishaudio/s2-pro")
    assert code == 1
    assert "fishaudio/s2-pro could not be fetched from the Hugging Face hub" in output
    assert "403 Client Error." in output
    assert "https://huggingface.co/fishaudio/s2-pro, then: hf auth login" in output


def test_without_the_hubs_library_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    code, output = parrotfish("voices", "--model", "fishaudio/s2-pro")
    assert code == 1
    assert "pip install huggingface_hub" in output
    assert "hf auth login" in output


# -- a checkpoint -------------------------------------------------------------------------------------


def test_without_torch_it_is_told_what_to_install(tmp_path, checkpoint):
    (tmp_path / "torch.py").write_text("raise ImportError('libcudart.so: cannot open')")
    done = run("voices", "--model", str(checkpoint), env={"PYTHONPATH": str(tmp_path)})
    assert done.code == 1
    assert "libcudart.so" in done.err
    assert "pip install 'parrotfish[s2]'" in done.err
    assert "Traceback" not in done.err


def test_voices_are_listed_without_loading_the_model(checkpoint, voice_folder, tmp_path):
    code, output = parrotfish("voices", "--json", "--model", checkpoint, "--voices", voice_folder)
    assert code == 0
    assert [voice["id"] for voice in json.loads(output)] == ["default", "high", "low"]
    _, output = parrotfish("voices", "--model", checkpoint)
    assert "()" not in output
    code, output = parrotfish("voices", "--model", tmp_path)
    assert (code, "config.json" in output) == (1, True)


def test_say_speaks_with_a_cloned_voice_and_leaves_no_thread(checkpoint, voice_folder, tmp_path):
    before = set(threading.enumerate())  # of the server that other tests share
    path = tmp_path / "x.wav"
    code, output = parrotfish(
        "say", "Hello.", "-o", path, "--model", checkpoint, "--voices", voice_folder, "--voice", "low"
    )
    assert (code, output) == (0, "")
    pcm, rate = decode(path)
    assert rate == 44_100
    assert 1 < len(pcm) / rate < 20
    assert np.abs(pcm).max() > 0.05
    left = set(threading.enumerate()) - before
    assert [thread.name for thread in left if thread.name.startswith("parrotfish")] == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--kv-memory", "0.001"], "raise --kv-memory"),
        (["--warm-voices", "bob"], "'bob' is unknown; there are default"),
        (["--voices", str(ROOT / "docs")], "holds no recording"),
        (["--device", "cuda:99"], "device is 'cuda:99'"),
    ],
)
def test_a_model_that_cannot_be_loaded_so_ends_with_the_reason(checkpoint, tmp_path, arguments, told):
    output = tmp_path / "x.wav"
    if arguments[0] == "--voices":
        (tmp_path / "voices" / "empty").mkdir(parents=True)
        arguments = ["--voices", tmp_path / "voices"]
    code, output = parrotfish("say", "Hi.", "-o", output, "--model", checkpoint, *arguments)
    assert code == 1
    assert told in output
    assert output.count("\n") == 1


def test_serve_ends_with_the_reason_if_the_model_cannot_be_loaded(checkpoint):
    done = run("serve", "--port", "0", "--model", str(checkpoint), "--kv-memory", "0.001")
    assert done.code == 1
    assert done.err.startswith("Error: 0.00 GiB for the KV cache hold")
    assert done.err.count("\n") == 1


def test_serve_tells_what_it_runs_and_ends_cleanly(checkpoint, voice_folder):
    options = ("--max-streams", "3", "--context", "512", "--voice-alias", "boss=high")
    with server("--model", str(checkpoint), "--voices", str(voice_folder), *options) as (process, _, printed):
        assert "model s2-pro, 3 voices, 3 streams at once" in printed
        assert "cpu, float32" in printed
        assert "a stream takes 512 at most" in printed
        process.send_signal(signal.SIGTERM)
        read_rest(process)
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_a_terminal_sees_what_the_loading_model_is_at(checkpoint):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "transports.cli", "serve", "--port", "0"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "200", "PARROTFISH_MODEL": str(checkpoint)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        seen = b""
        while b"Ctrl-C" not in seen:
            seen += os.read(ours, 4096)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    os.close(ours)
    assert b"loading" in seen
    assert b"0:00:0" in seen
    assert b"INFO" not in seen


def test_the_doctor_listens_to_it(checkpoint):
    done = run("doctor", "--json", "--model", str(checkpoint), "--kv-memory", "0.05")
    checks = {check["name"]: check for check in json.loads(done.out)["checks"]}
    factor = checks.pop(
        "real-time factor"
    )  # on a machine that is busy with something else, it may be anything
    assert factor["value"] > 0
    assert not [check for check in checks.values() if check["state"] == "failed"]
    assert checks["tokenizers"]["state"] == checks["safetensors"]["state"] == "ok"
    assert checks["model"]["found"].startswith("cpu, float32; KV cache of 0.05 GiB")
    assert "is not known" in checks["length"]["found"]


def test_the_doctor_says_if_there_is_no_such_model():
    code, output = parrotfish("doctor", "--model", "nothing")
    assert code == 1
    assert "✗ model              there is no model 'nothing'" in output
