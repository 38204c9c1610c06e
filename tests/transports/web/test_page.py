"""The demo page in a real browser, against a real server in a process of its own."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import ormsgpack
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, WebSocket, expect, sync_playwright

from engine.audio import AudioStream, output_format
from tests.transports.web.browser import CHROMIUM, FLAGS, free_port, number, ready, served, until

SHORT = "Hello there."
LONG = "One after the other the boats came home, and the harbour lights were lit. " * 20
MAGIC = {"pcm": b"", "wav": b"RIFF", "opus": b"OggS", "mp3": b"\xff\xfb"}

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium or Chrome on the PATH")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(free_port()) as (url, _):
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shared_page(browser: Browser, url: str) -> Iterator[Page]:
    page = browser.new_page()
    load(page, url)
    yield page
    page.close()


@pytest.fixture
def page(shared_page: Page) -> Page:
    """A page that is silent and at its first settings."""
    shared_page.keyboard.press("Escape")
    shared_page.locator("#form").evaluate("form => form.reset()")
    return shared_page


def load(page: Page, url: str) -> None:
    page.goto(url)
    expect(page.locator("body")).to_have_attribute("data-server", "ready")
    expect(page.get_by_role("radio", name="Heart")).to_be_checked()


def speak(page: Page, text: str) -> None:
    page.get_by_label("What to say").fill(text)
    page.get_by_role("button", name="Speak").click()


def has_state(page: Page, state: str, seconds: float = 15.0) -> None:
    expect(page.locator("body")).to_have_attribute("data-state", state, timeout=seconds * 1000)


def plays(page: Page) -> None:
    """Wait until a good half second has been heard."""
    expect(page.locator("#played")).to_have_attribute("value", re.compile(r"0\.[6-9]|^[1-9]"), timeout=15_000)


@contextmanager
def wire(page: Page) -> Iterator[list[dict[str, Any]]]:
    """What goes over the page's socket meanwhile, both ways, in order."""
    messages: list[dict[str, Any]] = []

    def note(frame: bytes | str) -> None:
        assert isinstance(frame, bytes)
        messages.append(ormsgpack.unpackb(frame))

    def watch(opened: WebSocket) -> None:
        opened.on("framesent", note)
        opened.on("framereceived", note)

    page.once("websocket", watch)
    with page.expect_websocket() as opened:
        yield messages
    assert opened.value.url.endswith("/v1/tts/live")


def test_loads_in_silence_and_from_nobody_else(browser: Browser, url: str) -> None:
    page = browser.new_page()
    messages: list[str] = []
    hosts: set[str] = set()
    page.on("console", lambda message: messages.append(_told(message)))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    load(page, url)
    assert messages == []
    assert hosts == {urlsplit(url).netloc}
    has_state(page, "idle")
    page.close()


def _told(message: ConsoleMessage) -> str:
    return f"{message.type}: {message.text}"


def test_everything_that_can_be_used_has_a_name(page: Page) -> None:
    nameless = page.evaluate(
        "() => [...document.querySelectorAll('input, textarea, button')]"
        ".filter(it => !it.labels?.length && !it.textContent.trim()).map(it => it.outerHTML)"
    )
    assert nameless == []


@pytest.mark.parametrize("name", ["PCM", "WAV", "Opus", "MP3"])
def test_every_format_is_heard_as_it_streams(page: Page, name: str, tmp_path: Path) -> None:
    page.get_by_role("radio", name=name).check()
    speak(page, SHORT)
    has_state(page, "done")
    assert 0 < number(page, "first-byte") < number(page, "first-sound") < 5000
    assert number(page, "played") > 0.5
    assert number(page, "played") == pytest.approx(number(page, "received"), abs=0.01)
    assert number(page, "peak") > 0.05
    expect(page.get_by_role("alert")).to_be_hidden()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    suffix = name.lower()
    assert download.value.suggested_filename == f"parrotfish.{suffix}"
    saved = Path(download.value.path()).read_bytes()
    assert saved.startswith(MAGIC[suffix])
    assert len(saved) > 2000


def test_what_is_chosen_is_what_is_asked_for(page: Page) -> None:
    page.get_by_role("radio", name="Otto").check()
    page.get_by_role("radio", name="Low", exact=True).check()
    page.get_by_role("slider", name="Speed").fill("2")
    page.get_by_role("slider", name="Volume").fill("-6")
    text = "It's fine."
    with wire(page) as messages:
        speak(page, text)
        has_state(page, "done")
    chosen = {
        "format": "pcm",
        "reference_id": "otto",
        "latency": "low",
        "prosody": {"speed": 2, "volume": -6},
    }
    events = [message["event"] for message in messages]
    assert [event for event in events if event != "audio"] == ["start", "text", "stop", "finish"]
    assert messages[0]["request"] == {"text": "", "sample_rate": 44100, **chosen}

    command = page.locator("#curl").text_content() or ""
    printed = subprocess.run(
        ["/bin/sh", "-c", 'curl() { printf "%s\\n" "$@"; }\n' + command],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert json.loads(printed[printed.index("-d") + 1]) == {"text": text, **chosen}


def test_text_trickles_as_a_language_model_would_write_it(page: Page) -> None:
    page.get_by_role("switch", name="As an LLM would write it").check()
    text = "Slowly, word by word, it grows, and it is being spoken some time before it ends."
    with wire(page) as messages:
        speak(page, text)
        expect(page.locator("#sent mark")).to_have_text(re.compile("^Slowly"))
        has_state(page, "done")
    events = [message["event"] for message in messages]
    tokens = [message["text"] for message in messages if message["event"] == "text"]
    assert "".join(tokens) == text
    assert len(tokens) >= 15
    assert events.index("audio") < events.index("stop")
    assert number(page, "played") > 0.5


def test_stop_is_silence_at_once_and_frees_the_engine(page: Page, url: str) -> None:
    speak(page, LONG)
    plays(page)
    assert ready(url)["open_streams"] == 1
    assert number(page, "received") > number(page, "played") + 0.5  # there is something left to silence
    page.get_by_role("button", name="Stop").click()
    stopped = number(page, "played")
    has_state(page, "idle")
    expect(page.locator("#level")).to_have_js_property("value", 0, timeout=1000)
    assert number(page, "played") == pytest.approx(stopped, abs=0.1)
    expect(page.get_by_role("link", name="Download .pcm")).to_be_visible()
    until(lambda: ready(url)["open_streams"] == 0, "the engine is still at it", 5)


def test_speaking_again_replaces_what_is_spoken(page: Page, url: str) -> None:
    speak(page, LONG)
    plays(page)
    page.get_by_role("radio", name="Opus").check()  # at another sample rate
    page.get_by_label("What to say").press("Control+Enter")
    until(lambda: ready(url)["open_streams"] == 1, "the first one is still at it", 5)
    plays(page)
    page.keyboard.press("Escape")
    has_state(page, "idle")


@pytest.mark.parametrize(
    ("container", "module", "parser"), [("opus", "ogg", "OggDemuxer"), ("mp3", "mp3", "Mp3Splitter")]
)
def test_containers_are_parsed_wherever_they_are_cut(
    page: Page, container: str, module: str, parser: str
) -> None:
    stream = AudioStream(48000, output_format(container))
    noise = np.random.default_rng(1).normal(0, 0.1, 24000).astype(np.float32)
    data = stream.write(noise) + stream.finish()
    whole, cut = page.evaluate(
        """async ([url, name, numbers]) => {
            const Parser = (await import(url))[name];
            const bytes = new Uint8Array(numbers);
            const sizes = (packets) => packets.map((packet) => (packet.data ?? packet).length);
            const parser = new Parser();
            return [sizes(new Parser().push(bytes)), sizes([...bytes].flatMap((byte) => parser.push([byte])))];
        }""",
        [f"/web/static/{module}.js", parser, list(data)],
    )
    assert whole == cut
    assert len(whole) >= 19  # half a second in packets of 20 or 26 ms
    if container == "mp3":
        assert sum(whole) == len(data)


def test_tokens_make_up_the_text(page: Page) -> None:
    text = "It's <|speaker:1|> naïve — «déjà vu»,\n\n  東京タワー 12,345.6 👩‍🚀 unbelievable!"
    tokens = page.evaluate(
        "async (text) => (await import('/web/static/tokens.js')).tokenize(text)",
        text,
    )
    assert "".join(tokens) == text
    assert len(tokens) > 20


def test_what_the_server_refuses_is_said(page: Page) -> None:
    page.get_by_role("radio", name="Heart").evaluate("input => input.value = 'nobody'")
    speak(page, SHORT)
    has_state(page, "error")
    expect(page.get_by_role("alert")).to_contain_text("nobody")
    page.get_by_role("radio", name="Heart").evaluate("input => input.value = 'heart'")


def test_without_webcodecs_it_is_heard_at_the_end(browser: Browser, url: str) -> None:
    page = browser.new_page()
    page.add_init_script("delete globalThis.AudioDecoder")
    load(page, url)
    for name in ("Opus", "MP3"):
        page.get_by_role("radio", name=name).check()
        speak(page, SHORT)
        expect(page.get_by_role("alert")).to_contain_text("WebCodecs")
        has_state(page, "done")
        assert number(page, "played") > 0.5
        assert number(page, "peak") > 0.05
    page.close()


def test_a_server_that_goes_is_noticed_and_so_is_its_return(browser: Browser) -> None:
    port = free_port()
    page = browser.new_page()
    with served(port) as (url, process):
        load(page, url)
        speak(page, LONG)
        plays(page)
        process.kill()
        expect(page.get_by_role("alert")).to_contain_text("broke off")
        page.keyboard.press("Escape")
        expect(page.locator("body")).to_have_attribute("data-server", "gone", timeout=10_000)
        speak(page, SHORT)
        has_state(page, "error")
        expect(page.get_by_role("alert")).to_contain_text(f"No connection to 127.0.0.1:{port}")
    with served(port):
        expect(page.locator("body")).to_have_attribute("data-server", "ready", timeout=10_000)
        speak(page, SHORT)
        has_state(page, "done")
    page.close()


def test_a_server_that_asks_for_a_key_is_given_one(browser: Browser, tmp_path: Path) -> None:
    data = ["--data", str(tmp_path)]
    create = [sys.executable, "-m", "transports.cli", "keys", "create", "--name", "page", "--rpm", "2", *data]
    made = subprocess.run(create, cwd=Path(__file__).parents[3], check=True, capture_output=True, text=True)
    key = made.stdout.strip()
    page = browser.new_page()
    with served(free_port(), *data) as (url, _):
        load(page, url)
        field = page.get_by_label("API key")
        expect(field).to_be_visible()
        expect(page.locator("#curl")).to_contain_text("$FISH_API_KEY")
        speak(page, SHORT)
        has_state(page, "error")
        expect(page.get_by_role("alert")).to_contain_text("asks for an API key")
        field.fill(key[:-1] + ("a" if key[-1] != "a" else "b"))
        speak(page, SHORT)
        has_state(page, "error")
        expect(page.get_by_role("alert")).to_contain_text("not known")
        field.fill(key)
        speak(page, SHORT)
        has_state(page, "done")
        page.reload()
        expect(page.get_by_label("What to say")).to_be_visible()
        speak(page, SHORT)  # this tab has kept the key
        has_state(page, "done")
        expect(page.get_by_label("API key")).to_be_hidden()
        speak(page, SHORT)
        has_state(page, "error")
        expect(page.get_by_role("alert")).to_contain_text("2 requests a minute")
    page.close()
