import os
import pty
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import numpy as np
import ormsgpack
import pytest
from click.testing import CliRunner
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

from engine.audio import decode, decode_g711
from tests.hearing import transcribe, word_error_rate
from tests.transports.cli.process import ROOT, read_rest, read_some, run, started
from transports.cli import main

SENTENCE = (
    "The harbour master looked up from his desk, and he said that the storm would be over by the evening."
)
HALF = "The harbour master looked up from his desk. He said that the "
REST = "storm would be over by the evening."


def names(folder: Path) -> list[str]:
    """What is in a folder, hidden or not."""
    return [path.name for path in folder.iterdir()]


def words_wrong(pcm, rate) -> float:
    return word_error_rate(SENTENCE, transcribe(pcm, rate))


def test_a_wav_file_is_spoken_and_its_header_tells_its_length(tmp_path):
    path = tmp_path / "hello.wav"
    done = run("say", *SENTENCE.split(), "-o", str(path), "--sample-rate", "16000")
    assert (done.code, done.out, done.err) == (0, b"", "")
    data = path.read_bytes()
    assert struct.unpack_from("<I", data, 4) == (len(data) - 8,)
    assert struct.unpack_from("<4sI", data, 36) == (b"data", len(data) - 44)
    assert words_wrong(*decode(path)) < 0.15
    assert names(tmp_path) == ["hello.wav"]


@pytest.mark.parametrize(
    ("name", "arguments", "magic", "kbps"),
    [
        ("x.mp3", ["--bitrate", "64"], b"\xff\xfb", (64, 64)),
        ("x.bin", ["--format", "opus", "--bitrate", "24"], b"OggS", (12, 36)),
    ],
)
def test_suffix_format_and_bitrate_decide_what_is_written(tmp_path, served, name, arguments, magic, kbps):
    path = tmp_path / name
    result = CliRunner().invoke(main, ["say", "--url", served.url, SENTENCE, "-o", str(path), *arguments])
    assert (result.exit_code, result.output) == (0, "")
    assert path.read_bytes().startswith(magic)
    pcm, rate = decode(path)
    assert 3 < len(pcm) / rate < 12
    assert kbps[0] * 0.95 <= path.stat().st_size * 8 / 1000 / (len(pcm) / rate) <= kbps[1] * 1.05


@pytest.mark.parametrize(("name", "law"), [("x.ul", "mulaw"), ("x.al", "alaw")])
def test_a_prompt_for_a_telephone_is_written(tmp_path, served, name, law):
    path = tmp_path / name
    result = CliRunner().invoke(main, ["say", "--url", served.url, SENTENCE, "-o", str(path)])
    assert (result.exit_code, result.output) == (0, "")
    assert words_wrong(decode_g711(path.read_bytes(), law), 8000) < 0.15


def test_voice_speed_and_volume_are_heard(tmp_path, served):
    plain, changed = tmp_path / "plain.pcm", tmp_path / "changed.pcm"
    for path, arguments in ((plain, []), (changed, ["--voice", "otto", "--speed", "2", "--volume", "-12"])):
        arguments = ["say", "--url", served.url, SENTENCE, "-o", str(path), *arguments]
        assert CliRunner().invoke(main, arguments).exit_code == 0
    before, after = (np.frombuffer(path.read_bytes(), "<i2") / 32768 for path in (plain, changed))
    assert len(after) < 0.7 * len(before)
    assert after.std() < 0.5 * before.std()


def test_ogg_is_opus(tmp_path, served):
    path = tmp_path / "x.ogg"
    assert CliRunner().invoke(main, ["say", "--url", served.url, "Hello.", "-o", str(path)]).exit_code == 0
    assert path.read_bytes().startswith(b"OggS")


@pytest.mark.parametrize("there", [False, True], ids=["in-process", "server"])
def test_it_speaks_while_the_text_is_still_coming_in(request, there):
    url = ["--url", request.getfixturevalue("served").url] if there else []
    with started("say", "-o", "-", *url) as process:
        assert process.stdin is not None
        process.stdin.write(HALF.encode())
        audio = b""
        while len(audio) <= 44 + 44_100:  # half a second, which no header and no padding is
            audio += (data := read_some(process))
            assert data
        process.stdin.write(REST.encode())
        process.stdin.close()
        audio += read_rest(process)
        assert process.wait(60) == 0
    assert word_error_rate(HALF + REST, transcribe(*decode(audio))) < 0.15


def test_a_reader_that_has_enough_ends_it_quietly():
    with started("say", SENTENCE * 5) as process:
        assert process.stdout is not None
        read_some(process, 100)
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_an_error_on_the_way_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "x.mp3"
    path.write_bytes(b"what was there before")
    done = run("say", "-o", str(path), stdin=SENTENCE.encode() + b"\xff\xfe")
    assert done.code == 1
    assert "stdin is not UTF-8 text" in done.err
    assert path.read_bytes() == b"what was there before"
    assert names(tmp_path) == ["x.mp3"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["-o", "x.flac"], "--output: x.flac does not say which format"),
        (["-o", "nowhere/x.wav"], "--output: there is no folder nowhere"),
        (["-o", "."], "--output: . is a folder"),
        (["-o", "x.mp3", "--sample-rate", "8000"], "--sample-rate: 8000 is not 32000 or 44100"),
        (["-o", "x.mp3", "--bitrate", "99"], "--bitrate: 99 is not"),
        (["-o", "x.wav", "--bitrate", "64"], "--bitrate: wav has none"),
        (["-o", "x.wav", "--voice", "bob"], "--voice: 'bob' is not one of heart, "),
        (["-o", "x.wav", "--speed", "9"], "'--speed': 9.0 is not in the range"),
        (["-o", "x.wav", "--format", "flac"], "'--format': 'flac' is not one of"),
        (["-o", "x.wav", "--url", "ftp://there"], "--url: 'ftp://there' is not of the form"),
    ],
)
def test_a_bad_option_is_a_usage_error_that_names_it(tmp_path, monkeypatch, arguments, named):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["say", "Hello.", *arguments])
    assert result.exit_code == 2
    assert named in result.output
    assert names(tmp_path) == []


def test_no_text_is_a_usage_error(tmp_path):
    done = run("say", "-o", str(tmp_path / "x.mp3"), stdin=b" \n")
    assert done.code == 2
    assert "there is no text to speak" in done.err
    assert names(tmp_path) == []


def test_on_a_terminal_it_asks_where_the_audio_goes():
    ours, theirs = pty.openpty()
    with started("say", "Hello.", stdout=theirs) as process:
        os.close(theirs)
        assert process.stderr is not None
        assert b"-o hello.mp3" in process.stderr.read()
        assert process.wait(60) == 2
    os.close(ours)


def test_a_terminal_sees_how_far_it_is(tmp_path, served):
    ours, theirs = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "transports.cli",
        "say",
        "--url",
        served.url,
        "Hello.",
        "-o",
        tmp_path / "x.opus",
    ]
    environment = {**os.environ, "TERM": "xterm"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stderr=theirs) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                seen += os.read(ours, 4096)
            except OSError:  # how Linux tells the end of a terminal
                break
        assert process.wait(60) == 0
    os.close(ours)
    assert b"first audio after" in seen
    assert b"s of speech" in seen
    assert b" 0.0 s of speech" not in seen.splitlines()[-1]


def test_no_server_is_told_with_what_to_do(tmp_path):
    result = CliRunner().invoke(
        main, ["say", "Hello.", "-o", str(tmp_path / "x.wav"), "--url", "http://127.0.0.1:1"]
    )
    assert result.exit_code == 1
    assert "no server answers at http://127.0.0.1:1" in result.output
    assert "parrotfish serve" in result.output


@contextmanager
def acting(
    handler: Callable[[ServerConnection], None],
    process_request: Callable[[ServerConnection, Request], Response | None] | None = None,
) -> Iterator[str]:
    """A server that does what ours would only do in trouble; yields its address."""
    with serve(handler, "127.0.0.1", 0, process_request=process_request) as acted:
        thread = threading.Thread(target=acted.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{acted.socket.getsockname()[1]}"
        finally:
            acted.shutdown()
            thread.join()


def say_to(url: str, path) -> tuple[int, str]:
    result = CliRunner(env={"PARROTFISH_API_KEY": "secret"}).invoke(
        main, ["say", "Hello.", "-o", str(path), "--url", url]
    )
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_the_key_is_sent_and_its_refusal_explained(tmp_path):
    seen = []

    def refuse(connection: ServerConnection, request: Request) -> Response:
        seen.append((request.path, request.headers["Authorization"]))
        return connection.respond(HTTPStatus.UNAUTHORIZED, "no\n")

    with acting(lambda _: None, refuse) as url:
        code, output = say_to(url, tmp_path / "x.wav")
    assert seen == [("/v1/tts/live", "Bearer secret")]
    assert code == 1
    assert "refused with HTTP 401; is --api-key right?" in output


def test_the_servers_reason_is_passed_on_once(tmp_path):
    def fail(connection: ServerConnection) -> None:
        connection.recv()
        for event in ({"event": "log", "message": "out of breath"}, {"event": "finish", "reason": "error"}):
            connection.send(ormsgpack.packb(event))

    with acting(fail) as url:
        code, output = say_to(url, tmp_path / "x.wav")
    assert code == 1
    assert output == "Error: out of breath\n"
    assert names(tmp_path) == []


def test_a_connection_that_ends_early_is_no_success(tmp_path):
    def vanish(connection: ServerConnection) -> None:
        connection.recv()
        connection.send(ormsgpack.packb({"event": "audio", "audio": b"RIFF"}))

    with acting(vanish) as url:
        code, output = say_to(url, tmp_path / "x.wav")
    assert code == 1
    assert "closed the connection before all was said" in output
    assert names(tmp_path) == []
