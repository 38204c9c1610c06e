"""Talk mode in a real browser, whose microphone is a recording that our own engine has spoken."""

import difflib
import json
import re
import subprocess
import sys
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Playwright, WebSocketRoute, expect, sync_playwright

from engine.speech import Pcm
from tests.transports.web.browser import CHROMIUM, FLAGS, free_port, number, served, until

QUESTION = (
    "Good evening. I would like to know how long it takes to sail from Lisbon to the Azores, "
    "and whether the wind is kind in the month of June."
)
OBJECTION = "Please stop now, that is quite enough."
LONG = "One after the other the boats came home, and the harbour lights were lit. " * 5
RATE = 24_000
MICROPHONE = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium or Chrome on the PATH")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(free_port()) as (url, _):
        yield url


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as playwright:
        yield playwright


@contextmanager
def chromium(playwright: Playwright, *flags: str) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags])
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """One with a microphone that beeps."""
    with chromium(playwright, *MICROPHONE) as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    """Talk mode, nobody talks yet. What is still open at the end is hung up."""
    page = browser.new_page()
    load(page, url)
    yield page
    page.close()
    until(lambda: conversations(url) == 0, "the conversation's place is free")


def load(page: Page, url: str) -> None:
    page.goto(f"{url}#talk")
    expect(page.locator("body")).to_have_attribute("data-server", "ready")
    expect(page.get_by_role("radio", name="Heart")).to_be_checked()


def conversations(url: str) -> int:
    with urlopen(f"{url}web/agent", timeout=5) as answer:
        return int(json.load(answer)["open"])


def speech(url: str, text: str) -> Pcm:
    fields = {"text": text, "format": "pcm", "sample_rate": RATE, "reference_id": "clara"}
    request = Request(f"{url}v1/tts", json.dumps(fields).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=60) as answer:
        return np.frombuffer(answer.read(), "<i2").astype(np.float32) / 32768


def recording(place: Path, *pieces: Pcm | float) -> str:
    """A file with these one after the other; a number is so many seconds of silence. The flag that plays it."""
    pcm = np.concatenate([np.zeros(int(it * RATE)) if isinstance(it, float) else it for it in pieces])
    with wave.open(str(place), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((pcm * 32767).astype("<i2").tobytes())
    return f"--use-file-for-fake-audio-capture={place}%noloop"


@contextmanager
def microphone(page: Page) -> Iterator[list[bytes]]:
    """What the microphone of the next conversation sends, message by message."""
    sent: list[bytes] = []

    def keep(data: Any) -> None:
        if isinstance(data, bytes):
            sent.append(data)

    page.once("websocket", lambda socket: socket.on("framesent", keep))
    yield sent


def seconds(sent: list[bytes]) -> float:
    return sum(map(len, sent)) / 2 / 16_000


def start(page: Page) -> None:
    page.get_by_role("button", name="Start talking").click()
    expect(page.get_by_role("button", name="Hang up")).to_be_focused()
    is_at(page, "listening|hearing")


def is_at(page: Page, what: str, seconds: float = 20.0) -> None:
    expect(page.locator("body")).to_have_attribute("data-call", re.compile(what), timeout=seconds * 1000)


def type_(page: Page, text: str) -> None:
    page.get_by_label("Or type").fill(text)
    page.get_by_label("Or type").press("Enter")


def alike(said: str | None, text: str) -> bool:
    """Whether a transcript is this text, but for a word or two."""
    first, second = (re.findall(r"\w+", it.lower()) for it in (said or "", text))
    return difflib.SequenceMatcher(None, first, second).ratio() > 0.8


def words(page: Page, number: int, kind: str = "") -> str:
    """The words of an agent's reply, or those of a ``kind``, as a selector."""
    reply = page.locator("#turns .agent").nth(number)
    return "".join(reply.locator(f"p:first-of-type span{kind}").all_text_contents())


def test_a_conversation_with_an_interruption(playwright: Playwright, url: str, tmp_path: Path) -> None:
    question, objection = speech(url, QUESTION), speech(url, OBJECTION)
    # The caller objects again and again, but is muted until the answer can be heard, whenever that is.
    sound = recording(tmp_path / "caller.wav", 1.5, question, 4.0, *(objection, 0.8) * 10)
    with chromium(playwright, *MICROPHONE, sound) as browser:
        page = browser.new_page()
        wrong: list[str] = []
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        load(page, url)
        with microphone(page) as sent:
            start(page)
            assert conversations(url) == 1
            asked = 1.5 + len(question) / RATE + 0.5
            until(lambda: seconds(sent) > asked or page.wait_for_timeout(50), "the question is asked")
            page.get_by_role("button", name="Mute").click()
        callers, agents = page.locator("#turns .caller p"), page.locator("#turns .agent")
        expect(agents.locator(".heard").nth(2)).to_be_visible(timeout=40_000)
        assert alike(callers.first.text_content(), QUESTION)
        assert words(page, 0, ":not(.heard)")  # it has not said all of it yet
        expect(agents.first.locator(".strip")).to_contain_text("first sound")
        steps = [number(page, step) for step in ("words-known", "turn-decided", "first-token", "answered")]
        assert 0 < steps[0] <= steps[1] <= steps[2] <= steps[3]

        page.get_by_role("button", name="Muted").click()
        expect(agents.first).to_have_attribute("data-state", "cut", timeout=40_000)
        page.get_by_role("button", name="Mute").click()
        heard, rest = words(page, 0, ".heard"), words(page, 0, ":not(.heard)")
        assert alike(heard + rest, QUESTION)
        assert heard.startswith("Good evening")
        struck = agents.first.locator("span:not(.heard)").first
        assert "line-through" in struck.evaluate("it => getComputedStyle(it).textDecoration")
        expect(agents.first).to_contain_text("Interrupted")

        expect(agents.nth(1)).to_have_attribute("data-state", "over", timeout=60_000)
        objected = callers.nth(1).text_content() or ""
        assert re.search("stop|quite|enough", objected)
        assert words(page, 1, ".heard").split() == objected.split()
        assert words(page, 0, ".heard") == heard
        assert number(page, "spoken") > 2.0
        assert number(page, "spoken-peak") > 0.05
        expect(page.get_by_role("alert")).to_be_hidden()

        page.get_by_role("button", name="Hang up").click()
        expect(page.get_by_role("button", name="Start talking")).to_be_focused()
        until(lambda: conversations(url) == 0, "the conversation's place is free", 5)
        assert wrong == []


def test_a_parrot_is_introduced(page: Page) -> None:
    expect(page.locator("#parrot")).to_contain_text("--llm-url")
    expect(page.get_by_role("heading", name="Conversation with a parrot")).to_be_visible()


def test_it_fits_on_a_telephone(page: Page) -> None:
    page.set_viewport_size({"width": 340, "height": 700})
    start(page)
    for mode in ("Talk", "Listen"):
        page.get_by_role("link", name=mode).click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 340


def test_typing_needs_no_microphone_and_interrupts(page: Page) -> None:
    page.add_init_script("delete navigator.mediaDevices.__proto__.getUserMedia")
    page.reload()
    type_(page, LONG)
    replies = page.locator("#turns .agent")
    expect(replies.locator(".heard").nth(3)).to_be_visible(timeout=20_000)
    type_(page, "Tell me  something else 🐠 instead.")
    expect(replies.first).to_have_attribute("data-state", "cut", timeout=10_000)
    assert LONG.startswith(words(page, 0, ".heard"))
    assert words(page, 0, ":not(.heard)")
    expect(replies.nth(1)).to_have_attribute("data-state", "over", timeout=20_000)
    assert words(page, 1, ".heard").split() == "Tell me something else 🐠 instead.".split()
    assert number(page, "spoken-peak") > 0.05
    type_(page, LONG)
    is_at(page, "speaking")
    page.keyboard.press("Escape")
    expect(replies.nth(2)).to_have_attribute("data-state", "cut", timeout=10_000)
    is_at(page, "listening")
    page.get_by_role("link", name="Listen").click()
    expect(page.get_by_label("What to say")).to_be_visible()
    expect(page.locator("body")).to_have_attribute("data-call", "idle")


def test_who_is_muted_sends_silence(page: Page) -> None:
    with microphone(page) as sent:
        start(page)
        until(lambda: any(map(any, sent)) or page.wait_for_timeout(50), "the beeps are sent")
        page.get_by_role("button", name="Mute").click()
        expect(page.get_by_role("button", name="Muted")).to_have_attribute("aria-pressed", "true")
        page.wait_for_timeout(300)  # what was on its way
        sent.clear()
        until(lambda: seconds(sent) > 2 or page.wait_for_timeout(50), "messages go on")
        assert not any(map(any, sent))
        page.get_by_role("button", name="Muted").click()
        until(lambda: any(map(any, sent)) or page.wait_for_timeout(50), "the beeps are sent again")
    page.get_by_role("button", name="Hang up").click()


def test_what_goes_wrong_is_said(playwright: Playwright, url: str, tmp_path: Path) -> None:
    port = free_port()
    data = ["--data", str(tmp_path)]
    create = [sys.executable, "-m", "transports.cli", "keys", "create", "--name", "page", *data]
    made = subprocess.run(create, cwd=Path(__file__).parents[3], check=True, capture_output=True, text=True)
    with (
        chromium(playwright, "--host-resolver-rules=MAP parrot.test 127.0.0.1") as browser,
        served(port, "--max-agents", "1", *data) as (url, process),
    ):
        page = browser.new_page()
        alert = page.get_by_role("alert")
        load(page, url)
        page.get_by_role("button", name="Start talking").click()
        expect(alert).to_contain_text(re.compile("microphone", re.IGNORECASE))  # this browser has none
        is_at(page, "idle")

        type_(page, "Hello there.")
        expect(alert).to_contain_text("asks for an API key")
        page.get_by_label("API key").fill(made.stdout.strip())
        page.get_by_label("API key").press("Tab")
        type_(page, LONG)
        is_at(page, "speaking")
        expect(alert).to_be_hidden()

        # An address that is no secure context: no microphone, but a voice.
        other = browser.new_page()
        load(other, url.replace("127.0.0.1", "parrot.test"))
        other.get_by_role("button", name="Start talking").click()
        expect(other.get_by_role("alert")).to_contain_text("https://")
        other.get_by_label("API key").fill(made.stdout.strip())
        other.get_by_label("API key").press("Tab")
        type_(other, "Hello there.")
        expect(other.get_by_role("alert")).to_contain_text("under way")
        page.get_by_role("button", name="Hang up").click()
        until(lambda: conversations(url) == 0, "the conversation's place is free")
        type_(other, "Hello there.")
        expect(other.locator("#turns .agent").first).to_have_attribute("data-state", "over", timeout=20_000)
        assert number(other, "spoken-peak") > 0.05

        process.kill()
        expect(other.get_by_role("alert")).to_contain_text("broke off")
        is_at(other, "idle")


def test_an_agent_that_hangs_up_is_noticed(page: Page) -> None:
    routes: list[WebSocketRoute] = []

    def between(route: WebSocketRoute) -> None:
        route.connect_to_server()
        routes.append(route)

    page.route_web_socket("**/v1/agent", between)
    page.reload()
    start(page)
    routes[0].close(code=1000)
    expect(page.get_by_role("alert")).to_contain_text("hung up")
    expect(page.get_by_role("button", name="Start talking")).to_be_focused()


SHOWN = """async (messages) => {
    const { Transcript } = await import("/web/static/talk/transcript.js");
    const list = document.createElement("ol");
    const transcript = new Transcript(list, document.body);
    for (const message of messages) transcript.take(message);
    return [...list.children].map((item) => [
        item.className,
        item.dataset.state ?? "",
        [...item.querySelectorAll("p:first-of-type > *")].map((part) => [part.className, part.textContent]),
        [...item.querySelectorAll(".note:not([hidden])")].map((note) => note.textContent).join(),
    ]);
}"""


def shown(page: Page, *messages: tuple[Any, ...]) -> Any:
    """What the transcript shows after these: (type, turn, text), words as their first and last character."""
    told = []
    for type_, turn, *rest in messages:
        message = {"type": type_, "turn": turn}
        if type_ == "spoken_words":
            message["words"] = [{"start_char": rest[0], "end_char": rest[1]}]
        elif rest:
            message["text"] = message["reason"] = rest[0]
        told.append(message)
    return page.evaluate(SHOWN, told)


def test_characters_are_counted_as_the_server_counts_them(page: Page) -> None:
    text = "👩‍🚀 Où 𝕏 is heard, and th"
    start = text.index("heard,")
    spoken = ("spoken_words", 1, start, start + 6)
    said = [("reply_text", 1, text), ("reply_text", 1, "is not."), spoken, ("interrupted", 1, text[:18])]
    [[_, state, parts, note]] = shown(page, *said)
    assert (state, note) == ("cut", "Interrupted")
    kinds = {part.strip(): kind for kind, part in parts}
    assert kinds == {"👩‍🚀": "heard", "Où": "heard", "𝕏": "heard", "is": "heard", "heard,": "heard"} | {
        "and": "",
        "this": "",
        "not.": "",
    }


def test_partials_become_final(page: Page) -> None:
    heard = [("transcript_final", 1, "I would"), ("transcript_partial", 1, "I would like tea")]
    [[who, _, parts, _]] = shown(page, *heard)
    assert (who, parts) == ("caller", [["", "I would"], ["guess", " like tea"]])
    [[_, _, parts, _]] = shown(page, *heard, ("turn_ended", 1, "I would like a tree."))
    assert parts == [["", "I would like a tree."], ["guess", ""]]


def test_a_turn_that_goes_on_is_shown_once(page: Page) -> None:
    begun = [("turn_ended", 1, "I would like"), ("thinking", 1), ("reply_text", 1, "You would ")]
    more = [("transcript_partial", 2, "a pizza"), ("interrupted", 1, "")]
    items = shown(page, *begun, *more, ("transcript_partial", 2, "I would like a pizza"))
    assert [(who, parts) for who, _, parts, _ in items] == [
        ("caller", [["", ""], ["guess", "I would like a pizza"]])
    ]
    items = shown(page, *begun, ("interrupted", 1, ""), ("turn_ended", 2, "Never mind."))
    assert [who for who, *_ in items] == ["caller", "caller"]  # he was cut short, and said something else


def test_false_alarms_are_no_turns(page: Page) -> None:
    speaking = [
        ("turn_ended", 1, "Hm."),
        ("reply_text", 1, "One two"),
        ("spoken_words", 1, 0, 3),
        ("held", 1),
    ]
    _, [_, state, parts, note] = shown(page, *speaking)
    assert (state, parts) == ("held", [["heard now", "One "], ["", "two"]])
    assert note.startswith("Paused")
    items = shown(page, *speaking, ("transcript_partial", 2, "Mhm."), ("resumed", 1))
    assert [who for who, *_ in items] == ["caller", "agent"]
    assert items[1][3] == "Paused for “Mhm.”, then went on"


def test_failures_and_empty_replies(page: Page) -> None:
    items = shown(page, ("thinking", 1), ("mind_failed", 1, "no route"), ("reply_text", 1, "Sorry."))
    assert items[0][3] == "no route"
    assert shown(page, ("thinking", 1), ("reply_ended", 1, "")) == []


CAPTURED = """async ([rate, left, right]) => {
    const context = new OfflineAudioContext(2, rate, rate);
    await context.audioWorklet.addModule("/web/static/talk/capture.worklet.js");
    const capture = new AudioWorkletNode(context, "capture");
    const stereo = new ChannelMergerNode(context, { numberOfInputs: 2 });
    for (const [channel, frequency] of [left, right].entries()) {
        const tone = new OscillatorNode(context, { frequency });
        tone.connect(new GainNode(context, { gain: 0.5 })).connect(stereo, 0, channel);
        tone.start();
    }
    stereo.connect(capture).connect(context.destination);
    const samples = [], peaks = [];
    capture.port.onmessage = ({ data }) => {
        samples.push(...new Int16Array(data.pcm));
        peaks.push(data.peak);
    };
    await context.startRendering();
    while (samples.length < 15000) await new Promise((resolve) => setTimeout(resolve, 10));
    return [samples, peaks];
}"""


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 48_000, 96_000])
def test_a_microphone_is_heard_at_16_khz_whatever_its_rate(page: Page, rate: int) -> None:
    high = 10_000 if rate > 20_000 else 500  # above what 16 kHz can hold, where there is such a thing
    samples, peaks = page.evaluate(CAPTURED, [rate, 1000, high])
    heard = np.array(samples[2000:14_800]) / 32768
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(heard.size))) * 4 / heard.size
    hertz = np.fft.rfftfreq(heard.size, 1 / 16_000)
    assert spectrum[np.abs(hertz - 1000) < 10].max() == pytest.approx(0.25, rel=0.03)  # mixed from two
    wanted = (np.abs(hertz - 1000) < 20) | (np.abs(hertz - high) < 20) & (high < 8000)
    assert spectrum[~wanted].max() < 0.001
    assert max(peaks) == pytest.approx(np.abs(samples).max() / 32767, abs=0.001)
