"""The example of docs/webrtc.md in a real browser, whose microphone is a file."""

import re
import shutil
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, sync_playwright

from engine.audio import AudioStream, decode, output_format
from tests.hearing import transcribe, word_error_rate
from tests.transports.conftest import Running
from tests.transports.webrtc.client import RATE
from tests.transports.webrtc.conftest import said

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DOCUMENT = Path(__file__).parents[3] / "docs" / "webrtc.md"
EXAMPLES = re.findall(r"```js\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
SAID = "We should leave before the rain starts, or we will be wet."
TEXT = "The teacher asked why the sky looks blue. She keeps her letters in a small wooden box."

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium or Chrome on the PATH")

# Says a text, and records what is heard until it is over and nothing more is said into the microphone.
CONVERSE = """
async ([server, text]) => {
  const { peer, channel, player } = await call(server, "");
  const messages = [];
  const told = (type) => new Promise((done) => channel.addEventListener("message", ({ data }) => {
    if (JSON.parse(data).type === type) done();
  }));
  channel.addEventListener("message", ({ data }) => messages.push(JSON.parse(data)));
  const recorder = new MediaRecorder(player.srcObject);
  const pieces = [];
  recorder.ondataavailable = ({ data }) => pieces.push(data);
  recorder.start();
  const over = Promise.all([told("finish"), told("final")]);
  channel.send(JSON.stringify({ type: "start", request: { text } }));
  channel.send(JSON.stringify({ type: "stop" }));
  await over;
  await new Promise((later) => setTimeout(later, 500));
  const stopped = new Promise((done) => { recorder.onstop = done; });
  recorder.stop();
  await stopped;
  const pair = [...(await peer.getStats()).values()].find((one) => one.type === "outbound-rtp");
  peer.close();
  const bytes = new Uint8Array(await new Blob(pieces).arrayBuffer());
  return { messages, sent: pair.packetsSent, audio: btoa(String.fromCharCode(...bytes)) };
}
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One that hears :data:`SAID` once, after two seconds, in which it connects."""
    stream = AudioStream(RATE, output_format("wav", 44_100))
    pcm = np.concatenate((np.zeros(2 * RATE, np.float32), said(SAID), np.zeros(2 * RATE, np.float32)))
    microphone = tmp_path_factory.mktemp("microphone") / "said.wav"
    microphone.write_bytes(sized(stream.write(pcm) + stream.finish()))
    flags = [
        "--no-sandbox",
        "--disable-gpu",
        "--autoplay-policy=no-user-gesture-required",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={microphone}%noloop",
    ]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield browser
        browser.close()


def sized(wav: bytes) -> bytes:
    """A WAV whose header says how long it is: Chromium goes by that."""
    data = len(wav) - 44
    return wav[:4] + (data + 36).to_bytes(4, "little") + wav[8:40] + data.to_bytes(4, "little") + wav[44:]


def test_a_browser_hears_what_is_written_and_is_understood(rtc: Running, browser: Browser) -> None:
    example = EXAMPLES[0]
    page = browser.new_page()
    page.goto(f"{rtc.url}/health")
    page.add_script_tag(content=example)
    result = page.evaluate(CONVERSE, [rtc.url, TEXT])
    page.close()
    finals = [message["text"] for message in result["messages"] if message["type"] == "final"]
    assert word_error_rate(SAID, " ".join(finals)) <= 0.12, result["messages"]
    heard = transcribe(*decode(b64decode(result["audio"]), RATE))
    # A browser stretches what comes late on a busy machine: a short word may suffer, the ends may not.
    assert word_error_rate(TEXT, heard) <= 0.12, heard
    assert heard.lower().startswith("the teacher")
    assert "wooden box" in heard


def test_a_browser_learns_the_relay_and_a_password_for_it(rtc: Running, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"{rtc.url}/health")
    learn = f"async ([server, key]) => {{ {EXAMPLES[-1]}; peer.close(); return iceServers; }}"
    (relay,) = page.evaluate(learn, [rtc.url, ""])
    page.close()
    assert relay["urls"] == "turn:turn.example.net?transport=udp"
    assert relay["username"].partition(":")[2] == "local"
    assert len(b64decode(relay["credential"], validate=True)) == 20  # of HMAC-SHA1
