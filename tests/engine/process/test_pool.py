"""An engine with workers that are processes: real ones, which are killed, hang, crash and come back."""

import asyncio
import gc
import logging
import os
import re
import signal
import tempfile
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engine import (
    Engine,
    EngineConfig,
    EngineState,
    EngineStopped,
    Frame,
    ModelSpec,
    ModelUnavailable,
    Overloaded,
    ProcessConfig,
    Segment,
    SpeechError,
    StreamOptions,
    UnknownVoice,
    UnusableVoice,
    Utterance,
)
from tests.engine.process.models import SPEC, lines
from tests.engine.process.watching import children, descriptors, ends, until
from tests.tones import RATE, ToneModel, recording

LOW = StreamOptions(("low",), paced=False)
HIGH = StreamOptions(("high",), paced=False)
LONG = "a" * 60  # three times as long as may wait untaken


@asynccontextmanager
async def workers(
    *specs: ModelSpec, max_streams: int | None = 8, max_learned: int = 256, **config: float
) -> AsyncIterator[Engine]:
    """An engine with a worker for each spec, or two of tones."""
    limits = EngineConfig(max_streams=max_streams, max_learned=max_learned, processes=ProcessConfig(**config))
    async with Engine(specs or (SPEC, SPEC), limits) as engine:
        yield engine


def noted(path: Path) -> ModelSpec:
    """A model of tones that notes its calls in a file."""
    return replace(SPEC, arguments={"notes": str(path)})


def say(engine: Engine, text: str, options: StreamOptions = LOW) -> Utterance:
    """An utterance that says no more than this."""
    utterance = engine.open(options)
    utterance.say(Segment(text))
    utterance.finish()
    return utterance


async def rest(utterance: Utterance) -> list[Frame]:
    return [frame async for frame in utterance]


async def heard(engine: Engine, voice: str) -> float:
    """The tone of a voice, in Hz."""
    frames = await rest(say(engine, "a" * 10, StreamOptions((voice,), paced=False)))
    pcm = np.concatenate([frame.pcm for frame in frames])
    return float(np.abs(np.fft.rfft(pcm)).argmax() * RATE / len(pcm))


def samples(frames: list[Frame]) -> bytes:
    return b"".join(frame.pcm.tobytes() for frame in frames)


def pids(engine: Engine) -> list[int]:
    return [worker.pid for worker in engine.numbers()]


async def test_they_speak_as_a_thread_does() -> None:
    text, options = "ab cd", StreamOptions(("low", "high"), speed=2.0, paced=False)
    async with Engine(ToneModel) as alone:
        expected = await rest(say(alone, text, options))
    async with workers() as engine:
        assert engine.info.voice_ids == ("low", "high")
        own = {os.getpid(), *pids(engine)}
        assert len(own) == 3
        for _ in range(2):
            frames = await rest(say(engine, text, options))
            assert samples(frames) == samples(expected)
            assert [frame.words for frame in frames] == [frame.words for frame in expected]
        assert engine.open_streams == 0
    assert not children() & own


async def test_streams_are_spread_and_each_worker_has_its_share() -> None:
    async with workers(max_streams=5) as engine:
        assert engine.max_streams == 5
        spoken = [say(engine, LONG) for _ in range(5)]
        assert [worker.speaking for worker in engine.numbers()] == [3, 2]
        assert not engine.has_room
        with pytest.raises(Overloaded, match="5 of 5 streams are speaking"):
            engine.open(LOW)
        spoken[0].cancel()
        spoken[2].cancel()
        say(engine, LONG)
        assert [worker.speaking for worker in engine.numbers()] == [2, 2]
        assert {len(frames) for frames in await asyncio.gather(*map(rest, spoken[3:]))} == {len(LONG)}


async def test_a_worker_that_is_killed_ends_its_own_streams_only() -> None:
    async with workers() as engine:
        struck, spared = say(engine, LONG), say(engine, LONG, HIGH)
        before = [await anext(struck) for _ in range(3)]
        alone = await rest(say(engine, LONG, HIGH))
        first, second = pids(engine)
        os.kill(first, signal.SIGKILL)
        with pytest.raises(EngineStopped, match="worker that spoke this has crashed"):
            await rest(struck)
        assert len(before) == 3
        assert engine.ready
        # At once: the other one speaks for both.
        assert len(await rest(say(engine, "abc"))) == 3
        assert samples(await rest(spared)) == samples(alone)
        await until(lambda: all(worker.alive for worker in engine.numbers()))
        assert [worker.restarts for worker in engine.numbers()] == [1, 0]
        assert pids(engine)[0] != first
        assert pids(engine)[1] == second
        say(engine, LONG)
        say(engine, LONG)
        assert [worker.speaking for worker in engine.numbers()] == [1, 1]
    assert engine.open_streams == 0


@pytest.mark.parametrize("text", ["die", "exit", "crash", "hang"])
async def test_however_it_ends_its_streams_are_told_and_it_comes_back(text: str) -> None:
    async with workers(SPEC, first_delay=0.01, hang_seconds=1.0) as engine:
        with pytest.raises(EngineStopped, match="crashed"):
            await rest(say(engine, text))
        await until(lambda: engine.numbers()[0].alive)
        assert engine.numbers()[0].restarts == 1
        assert len(await rest(say(engine, "abc"))) == 3


async def test_one_that_says_nothing_more_is_killed() -> None:
    async with workers(SPEC, first_delay=0.01, hang_seconds=1.0) as engine:
        (pid,) = pids(engine)
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(EngineStopped, match="crashed"):
            await rest(say(engine, LONG))
        assert await asyncio.to_thread(ends, pid)


async def test_while_none_is_up_the_engine_says_so(caplog: pytest.LogCaptureFixture) -> None:
    async with workers(first_delay=0.3) as engine:
        for pid in pids(engine):
            os.kill(pid, signal.SIGKILL)
        await until(lambda: not engine.ready)
        assert engine.state is EngineState.RESTARTING
        assert not engine.has_room
        with pytest.raises(EngineStopped, match="all workers have crashed; they are being started again"):
            engine.open(LOW)
        with pytest.raises(EngineStopped, match="all workers"):
            await engine.learn("anna", [recording(440)])
        await until(lambda: engine.ready)
        assert len(await rest(say(engine, "abc"))) == 3
    assert "ended by SIGKILL" in caplog.text


async def test_restarts_that_fail_wait_ever_longer(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    spec = ModelSpec(f"{SPEC.maker.partition(':')[0]}:loads_once", {"notes": str(tmp_path / "loaded")})
    async with workers(spec, first_delay=0.01, longest_delay=0.04) as engine:
        os.kill(pids(engine)[0], signal.SIGKILL)
        await until(lambda: engine.numbers()[0].restarts == 4)
        delays = re.findall(r"started again in ([\d.]+) s", caplog.text)
        assert delays[:4] == ["0.01", "0.02", "0.04", "0.04"]
        assert "worker 1 could not be loaded: the weights are gone" in caplog.text
        (tmp_path / "loaded").unlink()
        await until(lambda: engine.ready)
        assert len(await rest(say(engine, "abc"))) == 3


@pytest.mark.parametrize(
    ("maker", "arguments", "error", "told"),
    [
        ("unloadable", {"reason": "choose another", "told": True}, ModelUnavailable, "choose another"),
        ("unloadable", {"reason": "no weights", "told": False}, RuntimeError, "no weights"),
        ("ends_while_loading", {}, RuntimeError, "ended while it loaded the model"),
        ("nothing_like_it", {}, RuntimeError, "nothing_like_it"),
    ],
)
async def test_a_model_that_cannot_be_loaded_ends_all_of_it(
    maker: str, arguments: dict[str, object], error: type[Exception], told: str
) -> None:
    before = children()
    engine = Engine([SPEC, ModelSpec(f"{SPEC.maker.partition(':')[0]}:{maker}", arguments)])
    with pytest.raises(error, match=told):
        await engine.start()
    assert engine.state is EngineState.FAILED
    with pytest.raises(EngineStopped, match=told):
        engine.open(LOW)
    await engine.stop()
    assert children() == before


async def test_who_gives_up_while_it_loads_leaves_nothing() -> None:
    before = children(), set(threading.enumerate())
    starting = asyncio.ensure_future(Engine([SPEC, SPEC], EngineConfig(max_streams=2)).start())
    await until(lambda: children() - before[0])
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert children() == before[0]


async def test_capacity_is_measured_once_and_shared() -> None:
    async with workers(max_streams=None) as engine:
        first, second = engine.numbers()
        assert first.max_streams == second.max_streams >= 1
        assert engine.max_streams == 2 * first.max_streams


async def test_a_cancel_frees_its_slot_before_the_next_step(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    async with workers(noted(notes), max_streams=1) as engine:
        for _ in range(20):
            cancelled = say(engine, "x" * 15)
            await anext(cancelled)
            cancelled.cancel()
            # It would be refused, here or there, if the first one still had the only place.
            assert len(await rest(say(engine, "y"))) == 1
    calls = lines(notes)
    for number, call in enumerate(calls):
        if call.startswith("step"):
            stream = call.split()[1]
            assert f"release {stream}" not in calls[:number]
    assert {f"release {stream}" for stream in range(1, 40)} <= set(
        calls
    )  # the end may come before the last one
    assert calls[-1] == "close"


async def test_errors_of_one_segment_end_one_stream() -> None:
    async with workers(SPEC) as engine:
        other = say(engine, LONG)
        with pytest.raises(UnusableVoice, match="too long"):
            await rest(say(engine, "unusable"))
        with pytest.raises(SpeechError, match="cannot speak"):
            await rest(say(engine, "unspeakable"))
        assert len(await rest(other)) == len(LONG)
        assert engine.numbers()[0].restarts == 0


async def test_strange_text_is_said_as_it_is() -> None:
    async with workers(SPEC) as engine:
        (*_, last) = await rest(say(engine, "a \ud800\0"))
        assert last.words == ()
        words = [word.text for frame in await rest(say(engine, "\ud800\0 b")) for word in frame.words]
        assert words == ["\ud800\0", "b"]


async def test_a_consumer_that_takes_nothing_holds_up_nobody(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    async with workers(noted(notes)) as engine:
        slow, other = say(engine, LONG), say(engine, LONG)
        assert len(await rest(other)) == len(LONG)
        steps = sum(str(slow.id) in line.split()[1:] for line in lines(notes) if line.startswith("step"))
        assert steps <= 21
        assert len(await rest(slow)) == len(LONG)


async def test_drain_lets_them_finish_and_stop_ends_the_rest() -> None:
    async with workers() as engine:
        finishing = say(engine, "abc")
        draining = asyncio.ensure_future(engine.drain(grace=30.0))
        await asyncio.sleep(0)
        with pytest.raises(EngineStopped, match="shutting down"):
            engine.open(LOW)
        assert len(await rest(finishing)) == 3
        await draining
    async with workers() as engine:
        left = say(engine, LONG)
        await anext(left)
        stopping = asyncio.ensure_future(engine.stop())
        with pytest.raises(EngineStopped, match="shutting down"):
            await rest(left)
        await stopping


async def test_one_that_does_not_stop_is_killed() -> None:
    async with workers(SPEC, stop_seconds=0.2) as engine:
        (pid,) = pids(engine)
        say(engine, "hang")
    assert ends(pid)


async def test_signals_to_the_whole_group_are_left_to_the_engine() -> None:
    async with workers(SPEC) as engine:
        utterance = say(engine, LONG)
        await anext(utterance)
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(pids(engine)[0], number)
        assert len(await rest(utterance)) == len(LONG) - 1
        assert engine.numbers()[0].restarts == 0


async def test_what_it_counts_is_told() -> None:
    async with workers(SPEC, hang_seconds=0.4) as engine:  # a beat every 0.1 s
        await rest(say(engine, "abc"))
        await until(lambda: sum(engine.numbers()[0].steps.counts) >= 3)
        numbers = engine.numbers()[0]
        assert (numbers.worker, numbers.open, numbers.speaking) == (1, 0, 0)
        assert numbers.audio == pytest.approx(0.3)


async def test_what_it_logs_is_logged_here(caplog: pytest.LogCaptureFixture) -> None:
    async with workers(SPEC) as engine:
        with pytest.raises(SpeechError, match="the model failed"):
            await rest(say(engine, "boom"))
        (record,) = [record for record in caplog.records if record.name == "engine.worker"]
        assert record.levelno == logging.ERROR
        assert "ValueError" in record.traceback  # type: ignore[attr-defined]


# -- voices -------------------------------------------------------------------------------------------


def lessons(path: Path) -> list[str]:
    return [line for line in lines(path) if line.startswith("learn")]


async def test_a_voice_is_learned_by_all_and_again_after_a_crash(tmp_path: Path) -> None:
    notes = [tmp_path / "first", tmp_path / "second"]
    async with workers(*map(noted, notes)) as engine:
        with pytest.raises(UnknownVoice):
            engine.open(StreamOptions(("anna",)))
        await engine.learn("anna", [recording(440)])
        assert await heard(engine, "anna") == pytest.approx(440, abs=2)
        await until(lambda: all(map(lessons, notes)))
        for number, pid in enumerate(pids(engine)):
            os.kill(pid, signal.SIGKILL)
            await until(lambda number=number: len(lessons(notes[number])) == 2)
            assert await heard(engine, "anna") == pytest.approx(440, abs=2)
        assert sum(map(len, map(lessons, notes))) == 4


async def test_a_voice_that_no_worker_has_any_more_can_be_learned_at_once(tmp_path: Path) -> None:
    async with workers(SPEC, first_delay=0.01, max_learned=1) as engine:
        await engine.learn("anna", [recording(440)])
        assert engine.knows("anna")
        os.kill(pids(engine)[0], signal.SIGKILL)
        await until(lambda: not engine.ready)
        assert not engine.knows("anna")
        await until(lambda: engine.ready)
        await engine.learn("anna", [recording(440)])
        assert engine.knows("anna")
        assert await heard(engine, "anna") == pytest.approx(440, abs=2)


async def test_recordings_at_which_a_worker_crashes_do_not_crash_the_others() -> None:
    async with workers(first_delay=0.01) as engine:
        poison = [replace(recording(440), text="die")]
        with pytest.raises(EngineStopped, match="crashed while it learned"):
            await engine.learn("anna", poison)
        with pytest.raises(SpeechError, match="the model crashes on these recordings"):
            await engine.learn("anna", poison)
        await until(lambda: all(worker.alive for worker in engine.numbers()))
        assert sum(worker.restarts for worker in engine.numbers()) == 2
        assert not engine.knows("anna")
        await engine.learn("bert", [recording(330)])
        assert await heard(engine, "bert") == pytest.approx(330, abs=2)


async def test_what_is_forgotten_is_forgotten_by_all_and_leaves_no_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    notes = [tmp_path / "first", tmp_path / "second"]
    async with workers(*map(noted, notes), max_learned=1) as engine:
        await engine.learn("anna", [recording(440)])
        await engine.learn("bert", [recording(330)])
        await until(lambda: all("forget anna" in lines(path) for path in notes))
        assert not engine.knows("anna")
        await until(lambda: len(list(tmp_path.glob("*/*.f32"))) == 1)
    assert set(tmp_path.iterdir()) == set(notes)  # noqa: ASYNC240 - a moment, and nobody waits


# -- nothing is left ----------------------------------------------------------------------------------


async def test_many_restarts_leak_nothing() -> None:
    async with workers(first_delay=0.01, longest_delay=0.01) as engine:
        await rest(say(engine, "abc"))

        async def crash() -> None:
            restarts = sum(worker.restarts for worker in engine.numbers())
            with pytest.raises(EngineStopped):
                await rest(say(engine, "die"))
            await until(lambda: sum(worker.restarts for worker in engine.numbers()) > restarts)
            await until(lambda: all(worker.alive for worker in engine.numbers()))

        def held() -> tuple[int, int, int, int]:
            gc.collect()
            threads = [thread for thread in threading.enumerate() if thread.name == "parrotfish-keeper"]
            return len(descriptors()), len(threads), len(children()), len(asyncio.all_tasks())

        await crash()
        before = held()
        for _ in range(5):
            await crash()
        await until(lambda: held() == before)
