"""``python -m benchmarks.conversation``: measures conversations with the real server over its agent socket."""

import asyncio
import sys
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click
import httpx
from rich.console import Console

from benchmarks.conversation import report
from benchmarks.conversation import soak as soaking
from benchmarks.conversation.levels import measure_level, repertoires
from benchmarks.conversation.stub import thinking
from benchmarks.machine import machine
from benchmarks.screen import screen
from benchmarks.server import SERVE, Server, ServerFailed, started

_FULL = {1: 240.0, 4: 120.0, 8: 120.0}  # seconds for each level
_QUICK = {1: 30.0, 8: 30.0}
_OTHER_SECONDS = 60.0
_Result = TypeVar("_Result")


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--quick", is_flag=True, help="Two levels of 30 s, for a first look.")
@click.option("--levels", help="Conversations at once, such as 1,4,8.  [default: 1,4,8; 1,8 if quick]")
@click.option("--seconds", type=click.FloatRange(5), help="Length of every level.  [default: by level]")
@click.option("--first-token", default=0.05, type=click.FloatRange(0), help="When the model begins to write.")
@click.option("--token", default=0.02, type=click.FloatRange(0), help="Seconds for each of its other tokens.")
@click.option(
    "--soak",
    "soak_minutes",
    type=click.FloatRange(0.1),
    is_flag=False,
    flag_value=60.0,
    metavar="[MINUTES]",
    help="Instead of all that: calls come and go for so long, 60 min if not said.",
)
@click.option("--callers", default=8, type=click.IntRange(1), help="In a soak, at the most, at a time.")
@click.option("--seed", default=1, help="Of what callers do, and when.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(__file__).parent.parent / "out",
    help="Where conversation.json and .png, soak.json and the server's log go.",
)
def main(
    quick: bool,
    levels: str | None,
    seconds: float | None,
    soak_minutes: float | None,
    callers: int,
    seed: int,
    out: Path,
    **model: float,
) -> None:
    """Measure what it is like to converse with an agent.

    The real server is started in a process of its own, with what it comes with: its voice, its recogniser, its
    end of turn. A stub in another process is the language model; it writes its first token after 50 ms and
    another one each 20 ms. Callers speak to /v1/agent in real time with other voices of the server's, over a
    faint noise; some of their sentences have pauses of 250 to 400 ms inside. Each does all of this in turn: he
    says something and hears the reply to its end; interrupts a long reply after 1 to 3 s; coughs (0.25 s), hums
    "mhm" or says "yeah" during another. He plays what comes at once, and drops what he is told to. 9 minutes.

    \b
    turns      From the last audible sample of the caller (the last that begins 10 ms with an RMS above
               0.01, in the audio that is fed; a microphone has it sent when its 20 ms are full) until
               the client is told of the transcript, of the end of the turn, of the first token; until
               the first audio comes; and until the first audible sample of it is played. What the
               server says of itself counts from the end of the voice as its detector has it.
    too early  The end of a turn was decided on in a pause inside it, and whether the caller heard the agent
               then. The reply to all of it counts.
    silence    From the first audible sample of a caller who interrupts, and from the end of his first
               100 ms of sound, to the last audible sample of the agent that is played.
    alarms     noticed: the agent fell silent. resumed: it went on; else the sound was taken for an
               interruption. silent for: from sound to sound. twice, lost: what the packets repeat or
               leave out. words: of all that was played in these replies, as /v1/asr hears it; the recogniser
               has its share in what is wrong, as the replies without an alarm show.
    C100       the share of replies in which nobody waited for more than 100 ms for lack of audio.
    cores      processor time over the time of the level: of the server, of the language model's stub, of
               this client, of all others. If others used much, other programs were in the way.

    With --soak, callers come and go: they hang up at random moments, or break the connection off, or are
    hung up on. Each 45 s all of them are gone; what the server then still holds must not grow: memory,
    asyncio tasks, threads, files, calls, streams of ears and engine.

    Targets stand beside the numbers. The exit status is 0 whatever they are; it is 1 if the server failed,
    something was not answered, audio came after an interruption, or what is held in a soak grows.

    \b
    Examples:
      python -m benchmarks.conversation --quick
      python -m benchmarks.conversation --levels 8 --seconds 300
      python -m benchmarks.conversation --soak 15
    """
    console = screen()
    try:
        wanted = [int(level) for level in levels.split(",")] if levels else list(_QUICK if quick else _FULL)
        if any(level < 1 for level in wanted):
            raise ValueError("a level has at least 1 conversation")
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--levels") from None
    lengths = _QUICK if quick else _FULL
    plan = [(level, seconds or lengths.get(level, _OTHER_SECONDS)) for level in wanted]
    out.mkdir(parents=True, exist_ok=True)
    try:
        if soak_minutes is None:
            failed = _levels(plan, seed, out, model, console)
        else:
            failed = _soak(soak_minutes, callers, seed, out, model, console)
    except (ServerFailed, OSError, httpx.HTTPError) as error:
        raise click.ClickException(f"the server failed: {error!r}") from error
    sys.exit(failed)


def _levels(
    plan: list[tuple[int, float]], seed: int, out: Path, model: dict[str, float], console: Console
) -> bool:
    results = report.Results({**model, "seed": seed}, machine())
    with tempfile.TemporaryDirectory() as data, thinking(**model) as mind:

        def command(port: int) -> list[str]:
            return [
                *(
                    *SERVE,
                    "--port",
                    str(port),
                    "--data",
                    data,
                    "--max-streams",
                    "64",
                    "--log-level",
                    "warning",
                ),
                *("--llm-url", f"{mind.url}/v1", "--llm-model", "stub"),
            ]

        async def measure(server: Server) -> None:
            with console.status("callers learn their lines") as status:
                said = await repertoires(server.url)
                for callers, seconds in plan:
                    status.update(f"{callers} at once, {seconds:.0f} s and what it takes to finish")
                    results.levels.append(await measure_level(server, mind, callers, seconds, said, seed))

        with started(command, out / "conversation.log") as server:
            _run(measure(server))
    report.show(results, console)
    report.save(results, out / "conversation.json")
    console.print(f"All numbers: {out / 'conversation.json'}", soft_wrap=True)
    try:
        report.draw(results, out / "conversation.png")
        console.print(f"The picture: {out / 'conversation.png'}", soft_wrap=True)
    except ImportError:
        console.print("No picture: that needs matplotlib, which comes with parrotfish\\[bench]")
    return bool(results.problems())


def _soak(
    minutes: float, callers: int, seed: int, out: Path, model: dict[str, float], console: Console
) -> bool:
    before = machine()
    file = out / "soak.jsonl"
    with tempfile.TemporaryDirectory() as data, thinking(**model) as mind:

        def command(port: int) -> list[str]:
            observed = (sys.executable, "-m", "benchmarks.conversation.observed")
            return [*observed, str(port), data, f"{mind.url}/v1", str(file)]

        async def measure(server: Server) -> soaking.Soak:
            with console.status("callers learn their lines") as status:
                said = await repertoires(server.url)
                return await soaking.soak(server, file, said, minutes, callers, seed, status.update)

        with started(command, out / "soak.log") as server:
            found = _run(measure(server))
    soaking.show(found, before, console)
    soaking.save(found, before, out / "soak.json")
    console.print(f"All numbers: {out / 'soak.json'}", soft_wrap=True)
    return bool(found.problems) or any(one.grows for one in soaking.growth(found.samples))


def _run(work: Coroutine[Any, Any, _Result]) -> _Result:
    try:
        import uvloop
    except ImportError:  # not on every platform
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


if __name__ == "__main__":
    main()
