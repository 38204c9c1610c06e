import contextlib
import signal
import socket
import subprocess

import httpx
import ormsgpack
import pytest
from click.testing import CliRunner
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from engine.audio import decode
from tests.hearing import transcribe, word_error_rate
from tests.transports.cli.process import curl_line, read_rest, read_until, run, server, started
from transports.cli import main

SENTENCE = "The harbour master said that the storm would be over by the evening."


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


def live(url: str) -> ClientConnection:
    return connect(url.replace("http", "ws") + "/v1/tts/live", proxy=None)


def test_it_prints_a_line_that_speaks_when_it_is_pasted(served, tmp_path):
    subprocess.run(curl_line(served.printed), shell=True, cwd=tmp_path, check=True, timeout=60)
    pcm, rate = decode(tmp_path / "hello.mp3")
    assert 0.5 < len(pcm) / rate < 5
    assert "model hibari" in served.printed
    assert f"{served.url}/\n" in served.printed


def test_a_port_in_use_is_refused_with_one_that_is_free():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("serve", "--port", str(port))
        assert done.code == 1
        assert done.err.startswith(f"Error: port {port} is in use; try --port ")
        with socket.create_server(("127.0.0.1", int(done.err.split()[-1]))):
            pass


@pytest.mark.parametrize(
    ("arguments", "env", "named"),
    [
        (["--port", "70000"], {}, "--port"),
        ([], {"PARROTFISH_MAX_STREAMS": "none"}, "--max-streams"),
        (["--grace", "-1"], {}, "--grace"),
        (["--voice-alias", "heart"], {}, "--voice-alias"),
        (["--log-level", "loud"], {}, "--log-level"),
    ],
)
def test_a_bad_option_is_a_usage_error_that_names_it(arguments, env, named):
    result = CliRunner(env=env).invoke(main, ["serve", *arguments])
    assert result.exit_code == 2
    assert named in result.output


@pytest.mark.parametrize(("option", "given"), [("--voice-alias", "boss=nobody"), ("--agent-voice", "nobody")])
def test_a_voice_that_is_not_there_is_a_usage_error(option, given):
    done = run("serve", "--port", "0", option, given)
    assert done.code == 2
    assert f"{option}: {given}: the voices are heart, " in done.err
    assert "Traceback" not in done.err


def test_a_secret_that_can_be_guessed_is_told_and_nothing_is_loaded():
    done = run("serve", "--port", "0", env={"PARROTFISH_SECRET": "CHANGE-ME"})
    assert done.code == 1
    assert done.err.startswith("Error: PARROTFISH_SECRET: got the placeholder of an example; ")


def test_a_host_that_is_not_ours_is_told():
    done = run("serve", "--port", "0", "--host", "192.0.2.1")  # a documentation address, RFC 5737
    assert done.code == 1
    assert "cannot listen on 192.0.2.1" in done.err


def test_a_model_that_does_not_load_ends_the_server_with_the_reason(tmp_path):
    (tmp_path / "hibari").mkdir()
    (tmp_path / "hibari" / "__init__.py").write_text("raise RuntimeError('the weights are broken')")
    done = run("serve", "--port", "0", env={"PYTHONPATH": str(tmp_path)})
    assert done.code == 1
    assert "the model could not be loaded: the weights are broken" in done.err
    assert "parrotfish doctor" in done.err
    assert "Traceback" not in done.err


def test_sigterm_finishes_what_is_being_said_and_takes_nothing_new():
    # Hardly ahead of the listener, so that most of the sentence is still to be spoken when the signal comes.
    with server("--max-ahead", "0.5", "--voice-alias", "boss=otto", "--agent-voice", "boss") as (
        process,
        url,
        _,
    ):
        with live(url) as client:
            audio = begin(client, SENTENCE)
            process.send_signal(signal.SIGTERM)
            assert b"finishing 1 utterance (up to 30 s)" in read_until(process, b"stop now\n")
            with contextlib.suppress(httpx.ConnectError):  # refused one way or the other
                late = httpx.post(f"{url}/v1/tts", json={"text": "Me too."}, trust_env=False)
                assert late.status_code == 503
            while (event := ormsgpack.unpackb(client.recv(60)))["event"] == "audio":
                audio += event["audio"]
        assert event == {"event": "finish", "reason": "stop"}
        assert word_error_rate(SENTENCE, transcribe(*decode(audio))) < 0.15
        read_rest(process)
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_signals_end_it_while_the_model_is_being_loaded(tmp_path):
    (tmp_path / "hibari").mkdir()
    (tmp_path / "hibari" / "__init__.py").write_text("import time\ntime.sleep(1000)\n")
    with started("serve", "--port", "0", env={"PYTHONPATH": str(tmp_path)}) as process:
        url = read_until(process, b"loading the voice ...\n").split()[0].decode()
        while httpx.get(f"{url}/health", trust_env=False, timeout=60).status_code != 200:
            pass  # it answers from the moment on at which it takes signals
        process.send_signal(signal.SIGINT)
        read_until(process, b"as soon as the model is loaded")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_no_more_are_listened_to_than_may_be():
    with server("--max-listeners", "1") as (_, url, _):
        ears = url.replace("http", "ws") + "/v1/asr/realtime"
        with connect(ears, proxy=None) as first:
            first.send('{"type": "config"}')
            assert "ready" in first.recv(30)
            with pytest.raises(InvalidStatus) as refused, connect(ears, proxy=None):
                pass
    assert refused.value.response.status_code == 503


def test_a_second_signal_ends_it_at_once():
    with server("--max-ahead", "0.5", "--grace", "1000") as (process, url, _), live(url) as client:
        begin(client, SENTENCE * 100)  # a quarter of an hour
        process.send_signal(signal.SIGINT)
        read_until(process, b"finishing 1 utterance (up to 1000 s)")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
