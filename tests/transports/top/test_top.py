"""``parrotfish top`` against a real server."""

import json
import socket
from collections.abc import Iterator

import httpx
import pytest
from click.testing import CliRunner

from engine import EngineConfig
from tests.tones import ToneModel
from tests.transports.conftest import Running, run_server
from transports.cli.top import top
from transports.metrics import MetricsConfig
from transports.settings import Settings

TOKEN = "the operator's own token"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Running]:
    """A server that asks for a token, and has spoken twice."""
    settings = Settings(
        port=0, engine=EngineConfig(max_streams=4), asr=None, metrics=MetricsConfig(token=TOKEN)
    )
    for running in run_server(settings, ToneModel):
        for _ in range(2):
            answer = httpx.post(f"{running.url}/v1/tts", json={"text": "Hello.", "format": "pcm"})
            assert answer.status_code == 200
        running.until_idle()
        yield running


@pytest.fixture
def nowhere() -> Iterator[str]:
    """An address at which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{held.getsockname()[1]}"


def test_one_look_as_json(guarded: Running) -> None:
    done = CliRunner().invoke(top, ["--once", "--json", "--token", TOKEN, guarded.url])
    assert done.exit_code == 0, done.output
    (seen,) = json.loads(done.output)
    assert (seen["url"], seen["problem"], seen["state"], seen["model"]) == (
        guarded.url,
        None,
        "ready",
        "tones",
    )
    assert (seen["open"], seen["limit"]) == (0, 4)
    (http,) = [one for one in seen["transports"] if one["transport"] == "http"]
    assert (http["ended"], http["failed"], http["refused"]) == (2, 0, 0)
    assert http["onset_p50"] > 0
    assert seen["rtf"] > 0


def test_one_look_as_a_table_with_the_token_from_the_environment(guarded: Running) -> None:
    url = f"{guarded.url.removeprefix('http://')}/metrics"
    done = CliRunner().invoke(top, ["--once", url], env={"PARROTFISH_METRICS_TOKEN": TOKEN, "COLUMNS": "100"})
    assert done.exit_code == 0, done.output
    assert "ready" in done.output
    assert "0 / 4" in done.output
    assert "http" in done.output


def test_a_server_that_is_away_or_refuses_is_named_and_the_others_are_shown(
    guarded: Running, nowhere: str
) -> None:
    done = CliRunner().invoke(top, ["--once", "--json", "--token", TOKEN, guarded.url, nowhere])
    assert done.exit_code == 1
    there, away = json.loads(done.output)
    assert there["state"] == "ready"
    assert away["problem"].startswith("cannot be reached")
    refused = CliRunner().invoke(top, ["--once", guarded.url], env={"COLUMNS": "100"})
    assert refused.exit_code == 1
    assert "--metrics-token" in refused.output


def test_what_is_no_parrotfish_is_said(guarded: Running) -> None:
    done = CliRunner().invoke(top, ["--once", "--json", f"{guarded.url}/health/metrics"])
    assert done.exit_code == 1
    assert json.loads(done.output)[0]["problem"] == "has no metrics"
