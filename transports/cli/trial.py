"""The doctor's trial: a server of its own, and one sentence through the whole of it."""

import asyncio
import contextlib
import math
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import click
import numpy as np

from engine.audio import DecodeError, decode, loudness
from engine.speech import Pcm
from realtime import Audio, Finished
from transports.cli.checks import Check, State
from transports.cli.model import ModelChoice
from transports.cli.mouth import mouth_there

SENTENCE = "Every word that you hear came all the way from the text, through the voice, and over the wire."
# Nineteen words: whichever of the bundled voices, it neither swallowed half of them nor went on babbling.
SHORTEST, LONGEST = 3.0, 12.0
# Around the -18 LUFS to which speech is levelled.
SOFTEST, LOUDEST = -26.0, -12.0
AUDIBLE = 0.01  # root mean square of 10 ms
LOAD_SECONDS, SPEAK_SECONDS, STOP_SECONDS = 180.0, 60.0, 20.0
PATIENCE = 10  # how many times as long for a model of many gigabytes, which may be compiled, too


class TrialFailed(Exception):
    """A stage of the trial failed, and with it the rest; carries the check that says so."""

    def __init__(self, name: str, found: str, advice: str) -> None:
        super().__init__(found)
        self.check = Check(name, State.FAILED, found, advice)


@dataclass(frozen=True, slots=True)
class _Running:
    url: str
    facts: str
    details: str
    load_seconds: float


@dataclass(frozen=True, slots=True)
class Heard:
    """What came over the wire: the bytes received so far and when, in seconds after the text was sent."""

    arrivals: list[tuple[float, bytes]]
    finished: float


async def speak_one_sentence(model: ModelChoice) -> list[Check]:
    """Start a server of a model, speak through it, listen. Ends with the first stage that fails."""
    checks = []
    patience = 1 if model.bundled else PATIENCE
    try:
        async with _server(model, patience * LOAD_SECONDS) as server:
            checks.append(
                _ok("server", f"{server.facts}; ready after {server.load_seconds:.1f} s", server.load_seconds)
            )
            if server.details:
                checks.append(Check("model", State.OK, server.details))
            heard = await _listen(server.url, patience * SPEAK_SECONDS)
            for check in judge(heard, strict=model.bundled):  # one by one: those before a failure count
                checks.append(check)
    except TrialFailed as failed:
        checks.append(failed.check)
    return checks


@contextlib.asynccontextmanager
async def _server(model: ModelChoice, load_seconds: float) -> AsyncIterator[_Running]:
    """A server as ``parrotfish serve`` starts it, on a free port of the loopback interface.

    But for the model it is set up by nothing of the user's: his keys, certificate, database and ports are for
    the server that he runs, perhaps at this moment.
    """
    arguments = ("-m", "transports.cli", "serve", "--host", "127.0.0.1", "--port", "0", *model.arguments())
    with tempfile.TemporaryDirectory(prefix="parrotfish-") as data:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            env=_environment(model, data),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            yield await _wait_until_ready(process, load_seconds)
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await process.communicate()
            except TimeoutError:
                process.kill()
                await process.wait()


def _environment(model: ModelChoice, data: str) -> dict[str, str]:
    """Ours without what sets up a server, save the key that the model is asked with; a data folder of its own."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name == model.options.get("engine_key_env")
        or not (name.startswith("PARROTFISH_") or name == "DATABASE_URL")
    }
    return {**kept, "PARROTFISH_DATA": data}


async def _wait_until_ready(process: asyncio.subprocess.Process, load_seconds: float) -> _Running:
    assert process.stdout is not None
    assert process.stderr is not None
    started = time.monotonic()
    try:
        async with asyncio.timeout(load_seconds):
            url = (await process.stdout.readline()).decode().strip()
            facts, details = "", []
            async for line in process.stdout:
                label, _, told = line.decode().strip().partition(" ")
                if label == "ready":
                    facts, ready = told.partition(": ")[2], time.monotonic()
                elif label == "model":
                    details.append(told.strip())
                elif label == "stop":  # the last line of all
                    return _Running(url, facts, "; ".join(details), ready - started)
            said = (await process.stderr.read()).decode(errors="replace").strip()
            await process.wait()
    except TimeoutError:
        advice = "see whether the machine is busy or short of memory"
        raise TrialFailed("server", f"not ready after {load_seconds:g} s", advice) from None
    raise TrialFailed("server", said or "ended without a word", "run parrotfish serve --log-level debug")


async def _listen(url: str, seconds: float) -> Heard:
    """Speak the sentence over the live WebSocket and take down what comes."""
    os.environ["no_proxy"] = "127.0.0.1"  # a proxy would not find this machine's loopback
    arrivals: list[tuple[float, bytes]] = []
    try:
        async with (
            asyncio.timeout(seconds),
            mouth_there(url, None, {"text": "", "format": "opus"}) as mouth,
        ):
            sent = time.monotonic()
            await mouth.text(SENTENCE)
            await mouth.stop()
            async for event in mouth.events():
                match event:
                    case Audio(data):
                        arrivals.append((time.monotonic() - sent, data))
                    case Finished(str(error)):
                        raise TrialFailed(
                            "live WebSocket", error, "run parrotfish serve and read what it logs"
                        )
            return Heard(arrivals, time.monotonic() - sent)
    except click.ClickException as error:
        advice = "see whether a firewall guards the loopback interface"
        raise TrialFailed("live WebSocket", error.message, advice) from None
    except TimeoutError:
        advice = "see whether the machine is busy"
        raise TrialFailed("live WebSocket", f"no end after {seconds:g} s", advice) from None


def judge(heard: Heard, *, strict: bool = True) -> Iterator[Check]:
    """What the speech and the time it took are worth. Unless ``strict``, any sound will do."""
    if not heard.arrivals:
        raise TrialFailed(
            "live WebSocket", "it finished without audio", "run parrotfish serve and read what it logs"
        )
    first_byte = heard.arrivals[0][0]
    yield _ok("live WebSocket", f"first byte of Ogg Opus after {first_byte * 1000:.0f} ms", first_byte)
    try:
        pcm, rate = decode(b"".join(data for _, data in heard.arrivals))
    except DecodeError as error:
        raise TrialFailed("audio", str(error), "pip install --force-reinstall av") from None
    seconds, level = len(pcm) / rate, loudness(pcm, rate)
    well = SHORTEST <= seconds <= LONGEST and SOFTEST <= level <= LOUDEST
    found = f"{seconds:.1f} s of speech at {level:.1f} LUFS"
    if strict and not well:
        expected = f"expected {SHORTEST:g} to {LONGEST:g} s at {SOFTEST:g} to {LOUDEST:g} LUFS"
        raise TrialFailed(
            "audio", f"{found}; {expected}", "pip install --force-reinstall hibari-tts onnxruntime"
        )
    remark = "" if strict else "; what is right for this model is not known"
    yield _ok("length", f"{seconds:.1f} s of speech{remark}", seconds)
    yield _ok("level", f"{level:.1f} LUFS{remark}", level)
    onset = _onset(heard.arrivals)
    if onset == math.inf:
        raise TrialFailed("audible onset", f"{found}, none of it to be heard", "listen to parrotfish say")
    yield _ok("audible onset", f"after {onset * 1000:.0f} ms", onset)
    factor = heard.finished / seconds
    if factor >= 1.0:
        advice = (
            "speech is made more slowly than it is heard: end what else runs here, or take a faster machine"
        )
        raise TrialFailed("real-time factor", f"{factor:.3f}", advice)
    yield _ok("real-time factor", f"{factor:.3f}", factor)


def _ok(name: str, found: str, value: float) -> Check:
    return Check(name, State.OK, found, value=value)


def _onset(arrivals: list[tuple[float, bytes]]) -> float:
    """When the bytes had come from which the first audible sample is decoded."""
    received = b""
    for at, data in arrivals:
        received += data
        with contextlib.suppress(DecodeError):  # the header alone is no audio yet
            if _audible(*decode(received)):
                return at
    return math.inf


def _audible(pcm: Pcm, rate: int) -> bool:
    """Whether any 10 ms of it are."""
    window = rate // 100
    whole = pcm[: len(pcm) // window * window].reshape(-1, window)
    return bool((np.sqrt(np.mean(whole**2, axis=1)) > AUDIBLE).any())
