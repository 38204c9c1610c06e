"""Whether there are traces."""

import subprocess
import sys

import pytest

from transports.tracing import TracingConfig, TracingError

VARIABLES = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_TRACES_EXPORTER",
    "OTEL_SDK_DISABLED",
)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("endpoint", "environment", "wanted"),
    [
        (None, {}, False),
        ("http://localhost:4318", {}, True),
        (None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318"}, True),
        (None, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://localhost:4318/v1/traces"}, True),
        (None, {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        (None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://a", "OTEL_TRACES_EXPORTER": "none"}, False),
        ("http://localhost:4318", {"OTEL_TRACES_EXPORTER": "none"}, True),
        ("http://localhost:4318", {"OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_who_says_so(
    endpoint: str | None, environment: dict[str, str], wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert TracingConfig(endpoint).wanted is wanted


@pytest.mark.parametrize("endpoint", ["localhost:4318", "ftp://localhost", "http://", "nonsense"])
def test_a_url_that_is_none_is_told(endpoint: str) -> None:
    with pytest.raises(TracingError, match=r"--otlp-endpoint: got '.*'; expected a URL such as http"):
        TracingConfig(endpoint).tracer()


def test_without_it_no_sdk_is_imported() -> None:
    # FastAPI looks for the API itself.
    program = (
        "import sys; from transports.tracing import TracingConfig; import transports.server\n"
        "assert TracingConfig().tracer() is None\n"
        "parts = ('opentelemetry.sdk', 'opentelemetry.exporter')\n"
        "print([name for name in sys.modules if name.startswith(parts)])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_without_the_extra_it_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['opentelemetry'] = None\n"
        "from transports.tracing import TracingConfig\n"
        "TracingConfig('http://localhost:4318').tracer()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "pip install 'parrotfish[otel]'" in done.stderr
