import importlib.metadata
import importlib.util
import json
import socket
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from engine.audio import AudioStream, output_format
from tests.transports.cli.process import run
from transports.cli import main
from transports.cli.checks import Check, State, installation, machine, port_check, torch_checks
from transports.cli.trial import Heard, TrialFailed, judge


def test_it_finds_a_working_installation_well():
    done = run("doctor", "--json")
    report = json.loads(done.out)
    assert report["ok"], report
    assert done.code == 0
    checks = {check["name"]: check for check in report["checks"]}
    for name in (
        "parrotfish",
        "Python",
        "PyAV",
        "libopus encoder",
        "libmp3lame encoder",
        "onnxruntime",
        "torch",
    ):
        assert checks[name]["state"] == "ok", checks[name]
    assert 0 < checks["live WebSocket"]["value"] <= checks["audible onset"]["value"]
    assert 3 < checks["length"]["value"] < 12
    assert checks["level"]["value"] == pytest.approx(-18, abs=3)
    assert checks["real-time factor"]["value"] < 1


def test_it_fails_with_advice_when_something_is_wrong(monkeypatch):
    async def broken(model):
        return [Check("server", State.FAILED, "it said nothing", "call somebody")]

    monkeypatch.setattr("transports.cli.doctor.speak_one_sentence", broken)
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 1
    assert "✗ server" in result.output
    assert "call somebody" in result.output


def test_the_users_own_server_and_its_settings_are_none_of_its_business(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = {
            "PARROTFISH_DATA": str(
                tmp_path
            ),  # the next command leaves a key there: no anonymous speech any more
            "PARROTFISH_METRICS_PORT": str(taken.getsockname()[1]),
            "PARROTFISH_ALLOW_HOST": "voice.example",
            "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
        }
        assert run("keys", "create", "--name", "test", env={"PARROTFISH_DATA": str(tmp_path)}).code == 0
        (tmp_path / "parrotfish.toml").write_text('tls-cert = "missing.pem"\ntls-key = "missing.pem"\n')
        done = run("doctor", "--json", env=settings)
    assert json.loads(done.out)["ok"], done.out


def test_a_model_that_does_not_load_is_named(tmp_path):
    (tmp_path / "hibari").mkdir()
    (tmp_path / "hibari" / "__init__.py").write_text("raise RuntimeError('the weights are broken')")
    done = run("doctor", env={"PYTHONPATH": str(tmp_path)})
    assert done.code == 1
    assert "the weights are broken" in done.out.decode()


@pytest.mark.parametrize(
    ("pcm", "complaint"),
    [
        (np.zeros(24_000 * 5, np.float32), "LUFS"),
        (0.1 * np.sin(np.arange(24_000) * 0.1, dtype=np.float32), "expected 3 to 12 s"),
    ],
)
def test_silence_and_stubs_are_no_speech(pcm, complaint):
    stream = AudioStream(24_000, output_format("opus"))
    data = stream.write(pcm) + stream.finish()
    with pytest.raises(TrialFailed, match=complaint):
        list(judge(Heard([(0.1, data)], 0.2)))


def test_of_a_model_that_is_not_known_any_sound_will_do():
    stream = AudioStream(24_000, output_format("opus"))
    pcm = (0.2 * np.sin(np.arange(24_000) * 0.1)).astype(np.float32)
    checks = list(judge(Heard([(0.1, stream.write(pcm) + stream.finish())], 0.2), strict=False))
    assert all(check.state is State.OK for check in checks)
    stream = AudioStream(24_000, output_format("opus"))
    silence = stream.write(np.zeros(24_000 * 5, np.float32)) + stream.finish()
    with pytest.raises(TrialFailed, match="none of it to be heard"):
        list(judge(Heard([(0.1, silence)], 0.2), strict=False))


def test_speech_slower_than_real_time_is_wrong():
    stream = AudioStream(24_000, output_format("opus"))
    pcm = (0.2 * np.sin(np.arange(24_000 * 5) * 0.1)).astype(np.float32)
    with pytest.raises(TrialFailed, match=r"2\.0"):
        list(judge(Heard([(0.1, stream.write(pcm) + stream.finish())], 10.0)))


def test_what_is_missing_comes_with_advice(monkeypatch):
    def no_package(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", no_package)
    failed = [check for check in installation() if check.state is State.FAILED]
    assert [check.name for check in failed] == ["onnxruntime", "hibari-tts"]
    assert all(check.advice for check in failed)


def test_an_s2_model_needs_torch_and_its_friends(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert [check.state for check in torch_checks()] == [State.OK]
    (check,) = torch_checks(s2=True)
    assert (check.state, check.advice) == (State.FAILED, "pip install 'parrotfish[s2]'")
    assert {"torch", "safetensors", "tokenizers"} <= {check.name for check in installation(s2=True)}


@pytest.mark.parametrize(
    ("gib", "capability", "triton", "advice"),
    [
        (140, (9, 0), True, None),
        (8, (9, 0), True, "needs about 12 GiB"),
        (16, (7, 5), True, "--dtype float32"),
        (24, (8, 9), False, "pip install triton"),
    ],
)
def test_what_a_gpu_lacks_is_a_note(monkeypatch, gib, capability, triton, advice):
    properties = SimpleNamespace(
        name="GPU 1", total_memory=gib * 2**30, major=capability[0], minor=capability[1]
    )
    cuda = SimpleNamespace(device_count=lambda: 1, get_device_properties=lambda index: properties)
    torch = SimpleNamespace(__version__="2.8", cuda=cuda)
    monkeypatch.setattr(importlib, "import_module", lambda name: torch)
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: name if triton or name != "triton" else None
    )
    version, device = torch_checks(s2=True)
    assert version.found == "2.8, 1 CUDA device"
    assert device.found.startswith(f"GPU 1, {gib} GiB, compute capability {capability[0]}.{capability[1]}")
    assert device.state is (State.NOTE if advice else State.OK)
    assert (advice or "") in device.advice


def test_a_port_that_is_taken_is_only_a_note():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        check = port_check("127.0.0.1", taken.getsockname()[1])
    assert check.state is State.NOTE
    assert "parrotfish serve --port" in check.advice
    assert {check.name for check in machine()} >= {"CPU", "GPU driver"}
