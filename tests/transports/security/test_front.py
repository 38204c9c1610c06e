"""By which names, and from which pages, a server may be called."""

import httpx
import pytest

from tests.transports.conftest import Running
from tests.transports.security.conftest import Serve
from tests.transports.security.raw import dialled, head_of, status, upgrade
from transports.security.names import Names, check_host, check_origin, own_names

LIVE = (
    "/v1/tts/live",
    "/v1/asr/realtime",
    "/v1/dub",
    "/v1/agent",
    "/v1/telephony/twilio",
    "/v1/telephony/telnyx",
)
EVIL = {"Origin": "https://evil.example"}


def get(running: Running, path: str = "/health", method: str = "GET", **headers: str) -> httpx.Response:
    return httpx.request(method, running.url + path, headers=headers, trust_env=False)


def handshake(running: Running, path: str, host: str = "localhost", origin: str | None = None) -> int:
    """The status of a WebSocket's handshake."""
    headers = () if origin is None else (f"Origin: {origin}",)
    with dialled(running.url) as client:
        client.sendall(upgrade(path, *headers, host=host))
        return status(head_of(client))


@pytest.mark.parametrize("path", LIVE)
def test_no_socket_can_be_opened_by_a_page_of_another_site(server: Running, path: str) -> None:
    """Browsers let any page try, and there is no key to steal where none is asked for."""
    assert handshake(server, path, origin=EVIL["Origin"]) == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:1", "http://[", ""])
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/model"), ("DELETE", "/model/x"), ("PATCH", "/model/x"), ("POST", "/v1/audio/speech")],
)
def test_no_page_of_another_site_changes_anything(
    server: Running, method: str, path: str, origin: str
) -> None:
    answer = get(server, path, method, Origin=origin, **{"Content-Type": "text/plain"})
    assert answer.status_code == 403
    assert "Origin" in answer.text


def test_of_an_openai_client_s_path_the_refusal_has_its_shape(server: Running) -> None:
    assert "Origin" in get(server, "/v1/audio/speech", "POST", **EVIL).json()["error"]["message"]
    assert "Origin" in get(server, "/v1/tts", "POST", **EVIL).json()["message"]


def test_pages_of_its_own_and_programs_may(server: Running) -> None:
    host = server.url.removeprefix("http://")
    for origin in (server.url, None):
        headers = {"Origin": origin} if origin else {}
        answer = httpx.post(f"{server.url}/v1/tts", headers=headers, json={"text": "Hi."}, trust_env=False)
        assert answer.status_code == 200
        assert handshake(server, "/v1/tts/live", host, origin) == 101


def test_pages_that_were_allowed_may_and_can_read_why_they_are_refused(serve: Serve) -> None:
    running = serve(settings={"allowed_origins": ("https://friend.example",)})
    friend = {"Origin": "https://friend.example"}
    answer = httpx.post(f"{running.url}/v1/tts", headers=friend, content=b"?", trust_env=False)
    assert answer.status_code == 415
    assert answer.headers["access-control-allow-origin"] == friend["Origin"]
    assert "Retry-After" in answer.headers["access-control-expose-headers"]
    assert get(running, "/v1/tts", "POST", **EVIL).status_code == 403
    assert "access-control-allow-origin" not in get(running, **EVIL).headers


def test_with_names_of_its_own_it_answers_to_no_other(serve: Serve) -> None:
    running = serve(hosts=("voice.example", "*.voices.example"))
    for host in (
        "voice.example",
        "VOICE.example:8080",
        "a.voices.example",
        "localhost",
        "127.0.0.1:1",
        "[::1]",
    ):
        assert get(running, Host=host).status_code == 200, host
        assert handshake(running, "/v1/dub", host) in (101, 401), host
    for host in (
        "evil.example",
        "voices.example",
        "voice.example.evil.example",
        "[::1",
        "voice.example@evil.example",
    ):
        answer = get(running, Host=host)
        assert answer.status_code == 421, host
        assert "--allow-host" in answer.json()["message"]
        assert handshake(running, "/v1/dub", host) == 421, host


def test_a_page_cannot_use_an_open_server_by_a_name_that_its_owner_chose(serve: Serve) -> None:
    """DNS rebinding: browser and server then agree that the page is the server's own."""
    running = serve(settings={"open_to_all": True})
    rebound = "evil.example:8080", "http://evil.example:8080"
    assert handshake(running, "/v1/tts/live", *rebound) == 421
    assert get(running, "/model", "POST", Host=rebound[0], Origin=rebound[1]).status_code == 421
    assert handshake(running, "/v1/tts/live", "192.168.1.7:8080", "http://192.168.1.7:8080") == 101
    assert handshake(running, "/v1/tts/live", "voice-server:8080") == 101  # a program: no page has sent it


def test_browsers_are_told_to_believe_the_type_of_every_answer(server: Running) -> None:
    for path in ("/health", "/openapi.json", "/nothing", "/model", "/web/static/app.js"):
        assert get(server, path).headers["x-content-type-options"] == "nosniff", path


def test_the_page_is_locked_up(server: Running) -> None:
    headers = get(server, "/").headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "microphone=(self)" in headers["permissions-policy"]
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"


@pytest.mark.parametrize(
    "host",
    ["voice.example", "x.many.example", "localhost:8080", "a.localhost", "10.0.0.1:80", "[::1]:8080", "Box"],
)
def test_known_names(host: str) -> None:
    assert Names(("voice.example", "*.many.example"), frozenset(["box"])).known(host)


@pytest.mark.parametrize(
    "host", ["", "many.example", "xmany.example", "localhost.evil.example", "10.0.0.1.evil", ":1"]
)
def test_unknown_names(host: str) -> None:
    assert not Names(("voice.example", "*.many.example"), frozenset(["box"])).known(host)


def test_the_address_that_clients_are_told_is_a_name_of_its_own() -> None:
    assert "voice.example" in own_names("https://Voice.example:8443/base")


def test_a_trusted_proxy_s_word_is_taken_for_the_scheme_and_no_other_s(serve: Serve) -> None:
    running = serve(proxies=("127.0.0.5/32",))
    said = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9"}
    for source, scheme in (("127.0.0.5", "https"), ("127.0.0.6", "http")):
        with httpx.Client(transport=httpx.HTTPTransport(local_address=source), trust_env=False) as client:
            # The one place where a scheme is told again: Starlette's redirect to a path without its slash.
            answer = client.get(f"{running.url}/health/", headers=said)
        assert answer.headers["location"].startswith(f"{scheme}://")


@pytest.mark.parametrize(
    "text", ["*", "null", "https://example.com", "http://localhost:3000", "http://[::1]:80"]
)
def test_origins(text: str) -> None:
    assert check_origin(text) == text


@pytest.mark.parametrize(
    "text",
    ["example.com", "https://example.com/", "https://Example.com", "https://a@b.com", "https://", "//x", ""],
)
def test_what_is_no_origin(text: str) -> None:
    with pytest.raises(ValueError, match="expected scheme://host"):
        check_origin(text)


@pytest.mark.parametrize("text", ["*", "example.com", "*.example.com", "localhost"])
def test_hosts(text: str) -> None:
    assert check_host(text) == text


@pytest.mark.parametrize(
    "text", ["https://example.com", "example.com:80", "Example.com", "a.*.b", "*.", "", "a b"]
)
def test_what_is_no_host(text: str) -> None:
    with pytest.raises(ValueError, match="is no host name"):
        check_host(text)
