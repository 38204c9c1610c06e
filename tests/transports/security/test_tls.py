"""TLS: the same server over https and wss, and what is said of files that will not do."""

import shutil
import signal
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import ormsgpack
import pytest
from websockets.sync.client import connect

from engine import EngineConfig
from tests.tones import ToneModel
from tests.transports.cli import process
from tests.transports.conftest import Running, run_server
from tests.transports.security.certificates import make
from tests.transports.security.raw import answer
from transports.security import Limits, SecurityConfig
from transports.security.tls import BadCertificate, make_context
from transports.settings import Settings

Files = tuple[Path, Path]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def secure(files: Files) -> Iterator[Running]:
    cert, key = files
    security = SecurityConfig(tls_cert=cert, tls_key=key, limits=Limits(tls_seconds=0.5))
    settings = Settings(
        port=0, asr=None, engine=EngineConfig(max_streams=4, max_ahead=3600.0), security=security
    )
    yield from run_server(settings, ToneModel)


def trusting(cert: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(cert))


def port(running: Running) -> int:
    return int(running.url.rpartition(":")[2])


def test_https(secure: Running, files: Files) -> None:
    with httpx.Client(verify=trusting(files[0]), trust_env=False) as client:
        url = secure.url.replace("http", "https")
        answer = client.post(f"{url}/v1/tts", json={"text": "Hello.", "format": "wav"})
    assert answer.status_code == 200
    assert answer.content.startswith(b"RIFF")


def test_wss(secure: Running, files: Files) -> None:
    url = secure.live.replace("ws", "wss", 1)
    origin = secure.url.replace("http", "https")
    with connect(url, ssl=trusting(files[0]), origin=origin, proxy=None) as client:  # type: ignore[arg-type]
        for event in ({"event": "start", "request": {"text": "Hello."}}, {"event": "stop"}):
            client.send(ormsgpack.packb(event))
        events = []
        while not events or events[-1]["event"] != "finish":
            events.append(ormsgpack.unpackb(client.recv(30)))
    assert [event for event in events if event["event"] == "audio"]


@pytest.mark.parametrize("cipher", ["AES128-SHA", "ECDHE-ECDSA-AES128-SHA256"])
def test_what_is_out_of_date_is_refused(secure: Running, files: Files, cipher: str) -> None:
    """No forward secrecy; no authenticated encryption."""
    context = trusting(files[0])
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(cipher)
    with socket.create_connection(("127.0.0.1", port(secure))) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname="localhost")


def test_old_versions_are_refused(files: Files) -> None:
    assert make_context(*files).minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_handshake_that_does_not_go_on_is_ended(secure: Running) -> None:
    with socket.create_connection(("127.0.0.1", port(secure)), timeout=30) as client:
        assert answer(client) == b""


def test_after_sighup_the_new_certificate_is_shown(tmp_path: Path) -> None:
    cert, key = make(tmp_path / "served")
    with process.server("--tls-cert", str(cert), "--tls-key", str(key), "--asr", "none") as (serving, url, _):
        assert url.startswith("https://")
        where = "127.0.0.1", int(url.rpartition(":")[2])
        first = ssl.get_server_certificate(where)
        assert first.strip() == cert.read_text().strip()

        key.write_text("nonsense")  # it goes on with what it has
        serving.send_signal(signal.SIGHUP)
        assert serving.stderr is not None
        said = b""
        while b"is not in PEM" not in said:
            line = serving.stderr.readline()
            assert line, said
            said += line
        assert ssl.get_server_certificate(where) == first

        for new, old in zip(make(tmp_path / "new"), (cert, key), strict=True):
            shutil.copy(new, old)
        serving.send_signal(signal.SIGHUP)
        end = time.monotonic() + process.SECONDS
        while ssl.get_server_certificate(where) == first:
            assert time.monotonic() < end
        assert ssl.get_server_certificate(where).strip() == cert.read_text().strip()


@pytest.fixture
def bad(tmp_path: Path) -> dict[str, Path]:
    cert, key = make(tmp_path / "good")
    _, other = make(tmp_path / "other")
    _, locked = make(tmp_path / "locked", password=b"secret")
    broken = tmp_path / "broken.pem"
    broken.write_text(cert.read_text()[:300] + "\n-----END CERTIFICATE-----\n")
    text = tmp_path / "text.pem"
    text.write_text("hello")
    return {
        "cert": cert,
        "key": key,
        "other": other,
        "locked": locked,
        "broken": broken,
        "text": text,
        "none": tmp_path / "none.pem",
        "folder": tmp_path,
    }


@pytest.mark.parametrize(
    ("cert", "key", "said"),
    [
        ("none", "key", "--tls-cert: .*none.pem cannot be read: No such file"),
        ("cert", "folder", "--tls-key: .* cannot be read: Is a directory"),
        ("text", "key", "--tls-cert: .*text.pem is not in PEM"),
        ("key", "cert", "--tls-cert: there is no certificate in .*; has it been mistaken for the key?"),
        ("cert", "cert", "--tls-key: there is no private key in .*"),
        ("cert", "other", "--tls-key: .* is not the key of the certificate in .*cert.pem"),
        ("cert", "locked", "--tls-key: .* is encrypted; expected one that is not"),
        ("broken", "key", "cannot be used"),
    ],
)
def test_files_that_will_not_do(bad: dict[str, Path], cert: str, key: str, said: str) -> None:
    with pytest.raises(BadCertificate, match=said):
        make_context(bad[cert], bad[key])


def test_the_command_line_says_so_before_anything_is_loaded(bad: dict[str, Path]) -> None:
    ended = process.run("serve", "--tls-cert", str(bad["cert"]), "--tls-key", str(bad["other"]))
    assert ended.code == 1
    assert "is not the key of the certificate" in ended.err
    assert "Traceback" not in ended.err
    ended = process.run("serve", "--tls-cert", str(bad["cert"]))
    assert ended.code == 2
    assert "--tls-cert and --tls-key belong together" in ended.err
