"""``parrotfish serve --workers``: the options, and a server whose models live in other processes."""

import os
import signal
import time
from pathlib import Path

import click
import httpx
import numpy as np
import ormsgpack
import pytest
from click.testing import CliRunner
from websockets.sync.client import ClientConnection, connect

from engine.audio import decode
from tests.engine.models.dual_ar.babble import folder as checkpoint_folder
from tests.engine.process.watching import ends
from tests.hearing import transcribe, word_error_rate
from tests.transports.cli.process import ROOT, SECONDS, read_rest, run, server
from transports.cli import main
from transports.cli.workers import devices

SENTENCE = "The harbour master said that the storm would be over by the evening."
# Nothing of a model is loaded for recognition, so that what the process holds is the server's.
ALONE = ("--asr", "none")


def workers_of(pid: int) -> list[int]:
    """The processes that a process has started."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        found += map(int, path.read_text().split())
    return found


def mapped(pid: int) -> str:
    """The files that a process has in its memory."""
    return Path(f"/proc/{pid}/maps").read_text()


def live(url: str) -> ClientConnection:
    return connect(url.replace("http", "ws") + "/v1/tts/live", proxy=None)


def begin(socket: ClientConnection, text: str) -> bytes:
    """Have ``text`` spoken; returns the first audio of it."""
    for event in (
        {"event": "start", "request": {"text": "", "format": "wav", "sample_rate": 16_000}},
        {"event": "text", "text": text},
        {"event": "stop"},
    ):
        socket.send(ormsgpack.packb(event))
    first = ormsgpack.unpackb(socket.recv(60))
    assert first["event"] == "audio", first
    return first["audio"]


def end(socket: ClientConnection) -> tuple[bytes, list[str], dict[str, str]]:
    """The rest of it: audio, what was logged, and the last event."""
    audio, logs = b"", []
    while (event := ormsgpack.unpackb(socket.recv(60)))["event"] != "finish":
        if event["event"] == "audio":
            audio += event["audio"]
        else:
            logs.append(event["message"])
    return audio, logs, event


def tell_of_a_crash_of_all(pid: int, url: str) -> None:
    """While no worker is there, the server says so; then it speaks again."""

    def ready(status: str) -> int:
        end = time.monotonic() + SECONDS
        while (answer := httpx.get(f"{url}/ready", trust_env=False, timeout=60)).json()["status"] != status:
            assert time.monotonic() < end, answer.text
        return answer.status_code

    assert ready("ready") == 200
    for worker in workers_of(pid):
        os.kill(worker, signal.SIGKILL)
    assert ready("restarting") == 503
    refused = httpx.post(f"{url}/v1/tts", json={"text": "Me too."}, trust_env=False, timeout=60)
    if refused.status_code != 200:  # it may be up again by now
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json()["message"] == "all workers have crashed; they are being started again"
    assert ready("ready") == 200


def test_a_worker_that_is_killed_is_told_to_its_clients_only():
    # Hardly ahead of the listener, so that most is still to be spoken.
    options = ("--workers", "2", "--max-streams", "4", "--max-ahead", "0.5", *ALONE)
    with server(*options) as (process, url, printed):
        assert "4 streams at once on this machine, by 2 workers" in printed
        workers = workers_of(process.pid)
        assert len(workers) == 2
        with live(url) as one, live(url) as other:
            audio = {socket: begin(socket, SENTENCE) for socket in (one, other)}
            os.kill(workers[0], signal.SIGKILL)
            late = httpx.post(
                f"{url}/v1/tts", json={"text": "Me too.", "format": "wav"}, trust_env=False, timeout=60
            )
            assert late.status_code == 200
            ended = {socket: end(socket) for socket in (one, other)}
        crashed, finished = sorted(ended, key=lambda socket: ended[socket][2]["reason"])
        assert ended[crashed][1:] == (
            ["the worker that spoke this has crashed; what was heard of it is all"],
            {"event": "finish", "reason": "error"},
        )
        assert ended[finished][1:] == ([], {"event": "finish", "reason": "stop"})
        whole = audio[finished] + ended[finished][0]
        assert word_error_rate(SENTENCE, transcribe(*decode(whole))) < 0.15
        tell_of_a_crash_of_all(process.pid, url)
        with live(url) as late_one:
            audio[late_one] = begin(late_one, SENTENCE)
            process.send_signal(signal.SIGTERM)
            more, _, event = end(late_one)
        assert event == {"event": "finish", "reason": "stop"}
        assert word_error_rate(SENTENCE, transcribe(*decode(audio[late_one] + more))) < 0.15
        read_rest(process)
        assert process.wait(60) == 0
        assert process.stderr is not None
        told = process.stderr.read().decode().splitlines()
        assert "ended by SIGKILL" in told[0]
        assert all("engine.process.worker" in line for line in told)
        assert all(map(ends, workers))


def test_an_s2_model_in_a_worker():
    from engine.models.dual_ar.config import Layout

    checkpoint = str(checkpoint_folder(Layout.S2_PRO))
    options = ("--workers", "1", "--max-streams", "2", "--model", checkpoint, "--device", "cpu", *ALONE)
    with server(*options) as (process, url, printed):
        assert "model s2-pro, 1 voice, 2 streams at once on this machine, by 1 worker" in printed
        assert "libtorch" not in mapped(process.pid)
        assert all("libtorch" in mapped(pid) for pid in workers_of(process.pid))
        with live(url) as socket:
            audio = begin(socket, "Hello.")
            more, _, event = end(socket)
        assert event["reason"] == "stop"
        assert np.abs(decode(audio + more)[0]).max() > 0.01


def test_without_any_the_model_is_on_a_thread(served):
    assert "worker" not in served.printed


@pytest.mark.parametrize(
    ("count", "asked", "gpus", "shared", "found"),
    [
        ("gpus", "auto", 3, False, ["cuda:0", "cuda:1", "cuda:2"]),
        ("gpus", "cuda", 1, False, ["cuda:0"]),
        (2, "auto", 4, False, ["cuda:0", "cuda:1"]),
        (3, "cuda", 2, True, ["cuda:0", "cuda:1", "cuda:0"]),
        (2, "auto", 0, False, ["cpu", "cpu"]),
        (2, "cpu", 4, False, ["cpu", "cpu"]),
        (1, "cuda:1", 4, False, ["cuda:1"]),
        (2, "cuda:1", 4, True, ["cuda:1", "cuda:1"]),
    ],
)
def test_on_which_device_each_worker_is(count, asked, gpus, shared, found):
    assert devices(count, asked, lambda: gpus, shared=shared) == found


@pytest.mark.parametrize(
    ("count", "asked", "gpus", "told"),
    [
        ("gpus", "auto", 0, "torch sees no GPU here"),
        ("gpus", "cuda:1", 4, "--device cuda:1 only one"),
        ("gpus", "cpu", 4, "--device cpu only one"),
        (3, "auto", 2, "--workers 3 on cuda:0, cuda:1: those that share a GPU need --kv-memory"),
        (2, "cuda:1", 4, "--workers 2 on cuda:1: those"),
    ],
)
def test_devices_that_there_are_not(count, asked, gpus, told):
    with pytest.raises(click.ClickException, match=told):
        devices(count, asked, lambda: gpus, shared=False)


def test_gpus_are_counted_by_another_process():
    done = run(
        "serve", "--port", "0", "--workers", "gpus", "--model", str(ROOT), env={"CUDA_VISIBLE_DEVICES": ""}
    )
    assert done.code == 1
    assert done.err == "Error: --workers gpus: torch sees no GPU here; give a number\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--workers", "0"], "'0' is neither a number from 1 to 256 nor gpus"),
        (["--workers", "two"], "'two' is neither"),
        (["--workers", "gpus"], "hibari runs on processors"),
        (["--workers", "3", "--max-streams", "2"], "--max-streams 2 is less than one for each of 3 workers"),
        (["--worker-timeout", "0"], "--worker-timeout"),
    ],
)
def test_what_cannot_be_is_a_usage_error_that_names_it(arguments, told, tmp_path):
    result = CliRunner().invoke(main, ["serve", "--port", "0", "--data", str(tmp_path), *arguments])
    assert result.exit_code == 2
    assert told in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--voice-alias", "boss=nobody"], "--voice-alias: boss=nobody: the voices are heart, "),
        (["--agent-voice", "nobody"], "--agent-voice: nobody: the voices are heart, "),
        (
            ["--model", "CHECKPOINT", "--device", "cpu", "--kv-memory", "0.001"],
            "0.00 GiB for the KV cache hold",
        ),
    ],
)
def test_a_model_that_cannot_be_loaded_so_ends_the_server_with_the_reason(arguments, told):
    from engine.models.dual_ar.config import Layout

    arguments = [str(checkpoint_folder(Layout.S2_PRO)) if one == "CHECKPOINT" else one for one in arguments]
    done = run("serve", "--port", "0", "--workers", "2", *arguments)
    assert done.code == 1
    assert told in done.err
    assert "Traceback" not in done.err
