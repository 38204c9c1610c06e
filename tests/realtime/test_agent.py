"""Conversations with the bundled voice and recogniser, over a line in memory."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from engine.speech import Pcm
from realtime import Agent, AgentConfig, Speaker
from realtime.agent import ClientGone
from realtime.conversation.events import (
    CallerStarted,
    ConversationEvent,
    Ended,
    Held,
    Interrupt,
    Interrupted,
    Latencies,
    Leave,
    MindFailed,
    ReplyEnded,
    ReplyText,
    Resumed,
    Say,
    SpokenWords,
    Thinking,
    ToolCalled,
    ToolResult,
    TurnEnded,
    UserText,
)
from realtime.ears import Ears, EarsConfig, HeardSegment, HearingOverloaded, Recogniser, RecogniserFailed
from realtime.ears.moonshine import Moonshine
from realtime.line import Digit, LineEvent, LinePlayed
from realtime.mind.base import Message, Mind, MindError, TextDelta, Thought, Tool, ToolCall
from realtime.mind.parrot import Parrot
from tests.engine.models.speaking import RATE, speak
from tests.hearing import resample, transcribe, word_error_rate
from tests.realtime.fast import fast
from tests.realtime.lines import MemoryLine, voiced
from tests.realtime.speaking import request, speakers

HEARS = 16_000
STORY = (
    "Once upon a time there was a parrot who repeated whatever he heard. Nobody knew why he did so. "
    "One morning he fell silent, and the whole town came to ask him what had happened."
)


@cache
def _moonshine() -> Moonshine:
    return Moonshine()


class Borrowed:
    """The bundled recogniser, which outlives the ears that borrow it; ``fails`` so many times."""

    def __init__(self, fails: int = 0, error: type[Exception] = RecogniserFailed) -> None:
        self.info = _moonshine().info
        self.fails = fails
        self.error = error

    def transcribe(self, pcm: Pcm, language: str | None) -> Sequence[HeardSegment]:
        if self.fails:
            self.fails -= 1
            raise self.error("it stumbled") if self.error is RecogniserFailed else self.error()
        return _moonshine().transcribe(pcm, language)

    def close(self) -> None:
        pass


@dataclass
class Teller:
    """A mind that says what it was given to say, one reply after the other; the last one for ever."""

    replies: Sequence[Sequence[str | ToolCall | Exception]]
    delay: float = 0.0
    asked: list[tuple[Message, ...]] = field(default_factory=list)
    closed: int = 0

    async def reply(self, messages: Sequence[Message], tools: Sequence[Tool]) -> AsyncIterator[Thought]:
        self.asked.append(tuple(messages))
        try:
            await asyncio.sleep(self.delay)
            for thought in self.replies[min(len(self.asked), len(self.replies)) - 1]:
                if isinstance(thought, Exception):
                    raise thought
                for piece in thought.split(" ") if isinstance(thought, str) else [thought]:
                    yield TextDelta(f"{piece} ") if isinstance(piece, str) else piece
                    await asyncio.sleep(0)
        finally:
            self.closed += 1


@dataclass
class House:
    """What agents share."""

    speaker: Callable[[], Speaker]
    ears: Ears

    @asynccontextmanager
    async def call(
        self, mind: Mind, line: MemoryLine, config: dict[str, Any] | None = None, **more: Any
    ) -> AsyncIterator[Agent]:
        """An agent on a line, which is hung up at the end."""
        about = AgentConfig(request(line.format.output), **(config or {}))
        agent = Agent(self.speaker, self.ears, mind, about, **more)
        running = asyncio.create_task(agent.run(line))
        try:
            yield agent
        finally:
            line.hang_up()
            await running


@asynccontextmanager
async def house(
    make: Callable[[], Recogniser] = Borrowed, config: EarsConfig | None = None
) -> AsyncIterator[House]:
    """Engine and ears; asserts that nothing of a conversation is left behind."""
    ears = Ears(make, config)
    await ears.start()
    async with speakers() as speaker:
        tasks = asyncio.all_tasks()
        yield House(speaker, ears)
        assert asyncio.all_tasks() == tasks
        assert ears.streams == 0
    await ears.close()


def silence(seconds: float) -> Pcm:
    return np.zeros(round(seconds * HEARS), np.float32)


def spoken(text: str) -> Pcm:
    return resample(speak(text).pcm, RATE, HEARS)


def cough(seconds: float) -> Pcm:
    """Noise with two formants that bursts out and dies away: the recogniser hears "Thank you." in it."""
    count = round(seconds * HEARS)
    spectrum = np.fft.rfft(np.random.default_rng(3).standard_normal(count))
    hz = np.fft.rfftfreq(count, 1 / HEARS)
    spectrum *= np.exp(-(((hz - 700) / 600) ** 2)) + 0.3 * np.exp(-(((hz - 1800) / 500) ** 2))
    noise = np.fft.irfft(spectrum, count) * np.exp(-np.arange(count) / count * 2.5)
    return (0.3 * noise / np.abs(noise).max()).astype(np.float32)


async def ask(line: MemoryLine, text: str, pause: float = 0.4) -> None:
    """Say something, and listen."""
    await line.say(np.concatenate([silence(pause), spoken(text), silence(0.8)]))


@asynccontextmanager
async def room(line: MemoryLine) -> AsyncIterator[None]:
    """The caller's microphone stays open while he listens."""
    stop = asyncio.Event()

    async def noise() -> None:
        while not stop.is_set():
            await line.say(silence(0.1))

    task = asyncio.create_task(noise())
    yield
    stop.set()
    await task


def words_of(line: MemoryLine, turn: int) -> list[str]:
    events = [event for _, event in line.told if isinstance(event, SpokenWords) and event.turn == turn]
    return [word.text for event in events for word in event.words]


async def told(line: MemoryLine, what: Callable[[], bool]) -> None:
    """Until something is true that changes with what is told."""
    while not what():
        await line.until(object, after=len(line.told))  # type: ignore[arg-type]


# -- listening and answering ------------------------------------------------------------------------------


@fast(3)
async def test_a_parrot_says_back_what_it_heard() -> None:
    async with house() as shared:
        line = MemoryLine()
        async with shared.call(Parrot(), line) as agent:
            for text in ("What time is it?", "I would like a cup of coffee, please."):
                before, since = len(line.told), asyncio.get_running_loop().time()
                await ask(line, text)
                ended = await line.until(ReplyEnded, after=before)
                assert isinstance(ended, ReplyEnded)
                assert word_error_rate(text, ended.text) <= 0.15
                assert word_error_rate(text, transcribe(line.heard(since), line.rate)) <= 0.3
        assert [message.role for message in agent.history] == ["user", "assistant"] * 2
        assert line.told[-1][1] == Ended()
        latencies = [event for _, event in line.told if isinstance(event, Latencies)]
        assert len(latencies) == 2
        for event in latencies:
            assert 0 < event.transcript <= event.decided <= event.first_token <= event.first_audio


@fast(3)
async def test_a_greeting_is_heard_before_anybody_has_spoken() -> None:
    async with house() as shared:
        line = MemoryLine(8000)
        async with shared.call(Parrot(), line, {"greeting": "Good morning."}):
            assert await line.until(ReplyEnded) == ReplyEnded(1, "Good morning.")
        assert word_error_rate("Good morning.", transcribe(line.heard(), 8000)) == 0.0


@fast(3)
async def test_who_sends_nothing_after_his_last_word_is_answered() -> None:
    async with house() as shared:
        line = MemoryLine()
        async with shared.call(Parrot(), line):
            await line.say(spoken("What time is it?"))
            assert isinstance(await line.until(ReplyEnded), ReplyEnded)


@fast(3)
async def test_two_agents_share_engine_and_ears() -> None:
    async with house() as shared:
        lines = [MemoryLine(), MemoryLine()]
        texts = ["What time is it?", "Tell me a story about the moon."]
        async with shared.call(Parrot(), lines[0]), shared.call(Parrot(), lines[1]):
            await asyncio.gather(*(ask(line, text) for line, text in zip(lines, texts, strict=True)))
            for line, text in zip(lines, texts, strict=True):
                ended = await line.until(ReplyEnded)
                assert isinstance(ended, ReplyEnded)
                assert word_error_rate(text, ended.text) <= 0.2


# -- interruptions ----------------------------------------------------------------------------------------


@fast(1)
async def test_a_voice_silences_the_agent_and_the_history_ends_where_it_was() -> None:
    async with house() as shared:
        line, mind = MemoryLine(lead=0.2), Teller([[STORY], ["Of course."]])
        async with shared.call(mind, line) as agent:
            await ask(line, "Tell me a story.")
            async with room(line):
                await told(line, lambda: len(words_of(line, 1)) >= 4)
            voice = spoken("No, stop that please.")
            ((onset, _), *_) = voiced(voice, HEARS)
            before, taken = len(line.told), line.taken
            speaking = asyncio.create_task(line.say(np.concatenate([voice, silence(1.0)])))
            await line.until(Held, after=before)
            await line.cleared.wait()
            # In samples of the line: what of the caller had been taken when the agent fell silent.
            assert line.taken - taken <= onset + 0.1 + 0.2
            await speaking
            broken = await line.until(Interrupted, after=before)
            assert isinstance(broken, Interrupted)
            await line.until(ReplyEnded, after=before)
        assert STORY.startswith(broken.text)
        assert broken.text.split() == words_of(line, 1)
        roles = [(message.role, message.content) for message in agent.history]
        assert roles[1] == ("assistant", broken.text)
        assert roles[3] == ("assistant", "Of course.")
        assert mind.asked[1][1].content == broken.text
        silent = next(at for at, event in line.told if isinstance(event, Interrupted))
        assert word_error_rate("Of course.", transcribe(line.heard(silent), line.rate)) == 0.0


@fast(2)
async def test_a_cough_resumes_where_the_agent_stopped() -> None:
    async with house() as shared:
        line = MemoryLine(lead=0.2)
        async with shared.call(Teller([[STORY]]), line) as agent:
            await ask(line, "Tell me a story.")
            async with room(line):
                await told(line, lambda: len(words_of(line, 1)) >= 5)
            await line.say(np.concatenate([cough(0.3), silence(1.0)]))
            async with room(line):
                await line.until(ReplyEnded)
        held = [event for _, event in line.told if isinstance(event, Held | Resumed | Interrupted)]
        assert held == [Held(1), Resumed(1)]
        assert " ".join(words_of(line, 1)) == STORY
        assert [message.content for message in agent.history][1:] == [STORY]
        heard = np.concatenate([np.frombuffer(packet, "<i2") for packet in line.packets()])
        assert word_error_rate(STORY, transcribe(heard.astype(np.float32) / 32768, line.rate)) <= 0.2


class Italian(Borrowed):
    """Hears "come", which is "what?", in all that is short; and knows the languages that it is said to."""

    def __init__(self, *languages: str) -> None:
        super().__init__()
        self.info = replace(self.info, languages=languages)

    def transcribe(self, pcm: Pcm, language: str | None) -> Sequence[HeardSegment]:
        seconds = len(pcm) / HEARS
        return [HeardSegment(0.0, seconds, "Come.")] if seconds < 1.0 else super().transcribe(pcm, language)


@pytest.mark.parametrize(("languages", "interrupts"), [(("en",), False), (("en", "it"), True)])
@fast(2)
async def test_a_short_word_interrupts_only_in_a_language_that_the_recogniser_hears(
    languages: Sequence[str], interrupts: bool
) -> None:
    async with house(lambda: Italian(*languages)) as shared:
        line = MemoryLine(lead=0.2)
        async with shared.call(Teller([[STORY]]), line):
            line.do(UserText("Tell me a story."))
            async with room(line):
                await told(line, lambda: len(words_of(line, 1)) >= 5)
            await line.say(np.concatenate([resample(spoken("Come"), 5, 4), silence(1.0)]))
            async with room(line):
                await line.until(ReplyEnded)
        assert (" ".join(words_of(line, 1)) == STORY) is not interrupts


@fast(2)
async def test_who_goes_on_before_the_answer_has_one_turn() -> None:
    async with house() as shared:
        line, mind = MemoryLine(), Teller([["Which one?"], ["Here it is."]], delay=2.0)
        async with shared.call(mind, line):
            await ask(line, "I would like to order")
            await line.until(Thinking)
            mind.delay = 0.0
            await ask(line, "a large cup of coffee, please.", pause=0.05)
            await line.until(ReplyEnded)
        text = mind.asked[1][-1].content
        assert word_error_rate("I would like to order a large cup of coffee, please.", text) <= 0.25
        assert words_of(line, 2) + words_of(line, 1) == ["Here", "it", "is."]


@fast(3)
async def test_keys_and_a_clients_wishes() -> None:
    async with house() as shared:
        line, mind = MemoryLine(), Teller([["Thank you."], [ToolCall("c", "clock", "{}")], ["It is noon."]])
        tools = (Tool("clock", "The time of day", {"type": "object"}),)
        async with shared.call(mind, line, {"tools": tools}) as agent:
            line.do(Digit("4"))
            line.do(Digit("#"))
            await line.until(ReplyEnded)
            line.do(UserText("What time is it?"))
            called = await line.until(ToolCalled)
            assert isinstance(called, ToolCalled)
            line.do(ToolResult(called.call_id, "12:00"))
            await told(line, lambda: words_of(line, 2) == ["It", "is", "noon."])
            agent.command(Say("Goodbye, then."))
            line.do(Leave())
            await told(line, lambda: isinstance(line.told[-1][1], Ended))
        assert [message.content for message in agent.history] == [
            "[keypad: 4#]",
            "Thank you.",
            "What time is it?",
            "",
            "12:00",
            "It is noon.",
            "Goodbye, then.",
        ]


# -- what goes wrong --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [MindError("it is busy", "model at host answered 503", "over quota of account 7"), ZeroDivisionError()],
)
@fast(3)
async def test_an_error_of_the_mind_is_told_and_apologised_for(error: Exception) -> None:
    async with house() as shared:
        line = MemoryLine()
        async with shared.call(Teller([[error]]), line, {"apology": "I am sorry."}):
            line.do(UserText("Hello."))
            await line.until(ReplyEnded)
        reason = "it is busy" if isinstance(error, MindError) else "internal error"
        assert MindFailed(1, reason) in [event for _, event in line.told]
        assert word_error_rate("I am sorry.", transcribe(line.heard(), line.rate)) == 0.0


@pytest.mark.parametrize("error", [RecogniserFailed, HearingOverloaded])
@fast(3)
async def test_a_recogniser_that_stumbles_does_not_end_the_conversation(error: type[Exception]) -> None:
    async with house(lambda: Borrowed(2, error)) as shared:
        line = MemoryLine()
        async with shared.call(Parrot(), line):
            for _ in range(3):
                await ask(line, "What time is it?")
            await line.until(ReplyEnded)


@fast(3)
async def test_a_recogniser_that_only_fails_does() -> None:
    async with house(lambda: Borrowed(fails=1000)) as shared:
        line = MemoryLine()

        async def call() -> None:
            async with shared.call(Parrot(), line):
                for _ in range(4):
                    await ask(line, "What time is it?")
                await line.until(Ended)

        with pytest.raises(RecogniserFailed, match="stumbled"):
            await call()
        assert line.told[-1][1] == Ended("it stumbled")


@fast(3)
async def test_who_cannot_be_listened_to_is_refused_before_a_word_is_said() -> None:
    async with house(config=EarsConfig(max_streams=1)) as shared:
        line, other = MemoryLine(), MemoryLine()
        async with shared.call(Parrot(), line, {"greeting": "Hello."}):
            await line.until(ReplyEnded)
            with pytest.raises(HearingOverloaded):
                async with shared.call(Parrot(), other, {"greeting": "Hello."}):
                    await other.until(Ended)
        assert other.playing == []


@fast(3)
async def test_it_ends_though_a_timeout_of_the_line_runs_out_just_then() -> None:
    """A timeout cancels its task, too, and takes that back: the task is not known to end by that."""

    class Waiting(MemoryLine):
        async def __aiter__(self) -> AsyncIterator[LineEvent]:
            loop, task = asyncio.get_running_loop(), asyncio.current_task()
            assert task is not None

            def both() -> None:
                ended.command(Leave())
                task.cancel()  # as asyncio.timeout does

            loop.call_soon(both)
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)
            task.uncancel()
            await asyncio.sleep(3600)
            yield LinePlayed(0.0, 0)

    async with house() as shared:
        line = Waiting()
        async with asyncio.timeout(60), shared.call(Parrot(), line) as ended:
            await line.until(Ended)


@fast(3)
async def test_who_is_cancelled_twice_leaves_no_task_behind() -> None:
    """The second time, while it lets go of what it holds: here of a mind that takes a moment."""
    letting_go, leave = asyncio.Event(), asyncio.Event()

    class Slow:
        async def reply(self, *_: object) -> AsyncIterator[TextDelta]:
            try:
                await asyncio.sleep(3600)
                yield TextDelta("Never.")
            finally:
                letting_go.set()
                await leave.wait()

    async with house() as shared:
        before = asyncio.all_tasks()
        line = MemoryLine()
        agent = Agent(shared.speaker, shared.ears, Slow(), AgentConfig(request(line.format.output)))
        running = asyncio.create_task(agent.run(line))
        line.do(UserText("Hello."))
        await line.until(Thinking)
        running.cancel()
        await letting_go.wait()
        running.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        assert not running.done()
        leave.set()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert asyncio.all_tasks() == before


@fast(3)
async def test_a_line_that_breaks_ends_its_conversation_and_no_other() -> None:
    class Broken(MemoryLine):
        async def send(self, packet: bytes) -> None:
            raise OSError("the wire is cut")

    async with house() as shared:
        line, other = Broken(), MemoryLine()

        async def call() -> None:
            async with shared.call(Parrot(), line, {"greeting": "Hello."}):
                await line.until(Ended)

        async with shared.call(Parrot(), other, {"greeting": "Hello."}):
            with pytest.raises(OSError, match="the wire is cut"):
                await call()
            await other.until(ReplyEnded)
        assert line.told[-1][1] == Ended("the wire is cut")


class Counted:
    """A meter with so much credit."""

    def __init__(self, seconds: float = 1e9) -> None:
        self.seconds = seconds
        self.listened = 0.0
        self.spoken = 0

    async def heard(self, seconds: float) -> None:
        self.listened += seconds
        if self.listened > self.seconds:
            raise PermissionError("out of credit")

    async def spoke(self, size: int) -> None:
        self.spoken += size


@fast(3)
async def test_what_is_heard_and_spoken_is_counted() -> None:
    async with house() as shared:
        line, meter = MemoryLine(), Counted()
        async with shared.call(Teller([["It is noon."]]), line, {"greeting": "Hello."}, meter=meter):
            await ask(line, "What time is it?")
            await told(line, lambda: words_of(line, 2) == ["It", "is", "noon."])
        assert meter.spoken == len("Hello.It is noon. ")
        assert meter.listened == pytest.approx(line.taken)


@fast(3)
async def test_a_conversation_ends_with_the_credit() -> None:
    async with house() as shared:
        line, meter = MemoryLine(), Counted(seconds=1.5)

        async def call() -> None:
            async with shared.call(Teller([[STORY]]), line, {"greeting": STORY}, meter=meter):
                await ask(line, "What time is it? " * 3)
                await line.until(Ended)

        with pytest.raises(PermissionError, match="out of credit"):
            await call()
        assert line.told[-1][1] == Ended("out of credit")


@fast(3)
async def test_a_judge_is_asked_about_the_callers_turn_and_nothing_else() -> None:
    class Patient:
        def __init__(self) -> None:
            self.given: list[Pcm] = []

        def complete(self, pcm: Pcm) -> float:
            assert threading.current_thread() is not threading.main_thread()
            self.given.append(pcm)
            return 0.9

    async with house() as shared:
        line, judge = MemoryLine(8000), Patient()
        async with shared.call(Parrot(), line, judge=judge):
            await line.say(resample(np.concatenate([spoken("What time is it?"), silence(0.8)]), HEARS, 8000))
            await line.until(ReplyEnded)
        (pcm,) = judge.given
        assert 0.1 <= len(pcm) / HEARS - voiced(spoken("What time is it?"), HEARS)[-1][1] <= 0.8
        assert word_error_rate("What time is it?", transcribe(pcm, HEARS)) <= 0.25


class Gushing:
    """A mind whose whole reply is there at once."""

    def __init__(self) -> None:
        self.told = 0
        self.done = asyncio.Event()

    async def reply(self, messages: Sequence[Message], tools: Sequence[Tool]) -> AsyncIterator[Thought]:
        for number in range(3000):
            yield TextDelta(f"{number} ")
            self.told += 1
        self.done.set()


@fast(3)
async def test_a_reply_that_is_there_at_once_is_taken_like_any_other() -> None:
    async with house() as shared:
        line, mind, turns = MemoryLine(), Gushing(), 0
        async with shared.call(mind, line):
            line.do(UserText("Count for me."))
            while mind.told < 3000:
                await asyncio.sleep(0)
                turns += 1
        assert turns >= 3000  # of the event loop, for everybody else
        assert line.told[-1][1] == Ended()


class Busy(Counted):
    """A meter whose books are with somebody else for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.free = asyncio.Event()

    async def spoke(self, size: int) -> None:
        await self.free.wait()
        await super().spoke(size)


class Slow(MemoryLine):
    """A client that takes nothing for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.free = asyncio.Event()

    async def tell(self, event: ConversationEvent) -> None:
        await self.free.wait()
        await super().tell(event)


@fast(3)
async def test_a_reply_that_is_there_at_once_waits_for_a_slow_client_and_slow_books() -> None:
    async with house() as shared:
        line, mind, meter = Slow(), Gushing(), Busy()
        async with shared.call(mind, line, meter=meter):
            line.do(UserText("Count for me."))
            await mind.done.wait()
            meter.free.set()
            line.free.set()
            await line.until(SpokenWords)
        whole = "".join(f"{number} " for number in range(3000))
        assert "".join(event.text for _, event in line.told if isinstance(event, ReplyText)) == whole
        assert meter.spoken == len(whole)
        assert line.told[-1][1] == Ended()


class Deaf(MemoryLine):
    """Its client takes nothing that it is told."""

    async def tell(self, event: ConversationEvent) -> None:
        await asyncio.Event().wait()


@fast(3)
async def test_a_client_that_takes_nothing_is_given_up() -> None:
    async with house() as shared:
        line = Deaf()
        for number in range(400):
            line.do(UserText(f"Count to {number}."))
        agent = Agent(shared.speaker, shared.ears, Gushing(), AgentConfig(request(line.format.output)))
        with pytest.raises(ClientGone, match="does not take"):
            await agent.run(line)


async def test_a_client_whose_turns_follow_one_another_at_once_does_not_flood_the_mind() -> None:
    async with house() as shared:
        line, mind = MemoryLine(), Teller([["Yes."]], delay=60.0)
        async with shared.call(mind, line):
            for number in range(50):
                line.do(UserText(f"w{number}"))
            await told(line, lambda: any(messages[-1].content.endswith("w49") for messages in mind.asked))
        assert len(mind.asked) < 25


# -- the end ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [CallerStarted, TurnEnded, Thinking, SpokenWords, Held])
@fast(3)
async def test_a_hang_up_at_any_moment_leaves_nothing_behind(kind: type[ConversationEvent]) -> None:
    threads = set(threading.enumerate())
    async with house() as shared:
        line, mind = MemoryLine(), Teller([[STORY]], delay=0.2)
        async with shared.call(mind, line):
            talk = asyncio.create_task(ask(line, "Tell me a story."))
            if kind is Held:
                await line.until(SpokenWords)
                await talk
                talk = asyncio.create_task(ask(line, "No, stop that please."))
            await line.until(kind)
        talk.cancel()
        await asyncio.gather(talk, return_exceptions=True)
        assert line.told[-1][1] == Ended()
        assert mind.closed == len(mind.asked)
    left = {thread for thread in set(threading.enumerate()) - threads if thread.is_alive()}
    assert {thread.name.split("_")[0] for thread in left} <= {"asyncio", "hibari"}


class Lingering:
    """A mind whose connection takes some turns of the event loop to be closed."""

    def __init__(self) -> None:
        self.closed = False

    async def reply(self, messages: Sequence[Message], tools: Sequence[Tool]) -> AsyncIterator[Thought]:
        try:
            await asyncio.Event().wait()
            yield TextDelta("Never.")
        finally:
            for _ in range(10):
                await asyncio.sleep(0)
            self.closed = True


async def test_a_mind_that_was_stopped_may_let_go_though_the_caller_hangs_up() -> None:
    async with house() as shared:
        line, mind = MemoryLine(), Lingering()
        async with shared.call(mind, line) as agent:
            line.do(UserText("Hello?"))
            await line.until(Thinking)
            agent.command(Interrupt())
            await asyncio.sleep(0)
            agent.command(Leave())
            await told(line, lambda: isinstance(line.told[-1][1], Ended))
        assert mind.closed


@fast(3)
async def test_a_server_that_stops_takes_its_conversations_along() -> None:
    async with house() as shared:
        line = MemoryLine()
        about = AgentConfig(request(line.format.output), greeting=STORY)
        running = asyncio.create_task(Agent(shared.speaker, shared.ears, Parrot(), about).run(line))
        await line.until(SpokenWords)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        sent = len(line.calls)
        await asyncio.sleep(0.5)
        assert len(line.calls) == sent
        assert line.told[-1][1] == Ended()
