"""``python -m benchmarks``: measures the real server over its real WebSocket."""

import asyncio
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from websockets.exceptions import WebSocketException

from benchmarks import plot, report
from benchmarks.cancel import measure_cancel, measure_cancel_event
from benchmarks.decoding import RATES
from benchmarks.live import Level, measure_level, measure_throughput
from benchmarks.loop import measure_loop
from benchmarks.machine import machine
from benchmarks.screen import screen
from benchmarks.server import Server, ServerFailed, running
from benchmarks.text_cost import measure_text

_FULL = {1: 98.0, 4: 68.0, 16: 46.0, 32: 34.0}  # seconds for each level
_QUICK = {1: 9.0, 16: 13.0}
_FULL_RAMP, _QUICK_RAMP = 8.0, 5.0
_HANG_UPS, _QUICK_HANG_UPS = 10, 2
_CANCELS, _QUICK_CANCELS = 40, 6
_TEXT, _QUICK_TEXT = 200_000, 40_000  # characters
_GROWTH, _QUICK_GROWTH = (10_000, 100_000, 1_000_000), (10_000, 100_000)
_LOADS, _QUICK_LOADS = (3, 2.0), (1, 1.0)  # times, and seconds each
_SECTIONS = ("text", "loop", "live", "cancel")
_OTHER_SECONDS = 60.0


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--quick", is_flag=True, help="Two levels, fewer utterances: 50 s, for a first look.")
@click.option(
    "--only", type=click.Choice(_SECTIONS), multiple=True, help="A part of it; may be given more than once."
)
@click.option("--levels", help="Streams at once, such as 1,4,16,32.  [default: 1,4,16,32; 1,16 if quick]")
@click.option("--seconds", type=click.FloatRange(1), help="Length of every level.  [default: by level]")
@click.option("--format", "audio_format", type=click.Choice(list(RATES)), default="pcm", help="Audio format.")
@click.option(
    "--latency", type=click.Choice(["low", "balanced", "normal"]), default="balanced", help="Latency mode."
)
@click.option("--url", help="Measure a server that runs already, such as http://127.0.0.1:8080.")
@click.option("--max-streams", type=click.IntRange(1), default=64, help="Limit of the server that we start.")
@click.option("--seed", default=1, help="Of the order of texts, and when callers come in.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(__file__).parent / "out",
    help="Where live.json, live.png and server.log go.",
)
def main(
    quick: bool,
    only: tuple[str, ...],
    levels: str | None,
    seconds: float | None,
    out: Path,
    url: str | None,
    max_streams: int,
    **options: Any,
) -> None:
    """Measure what a caller hears of parrotfish.

    The real server is started in a process of its own and spoken to over /v1/tts/live, as a language model
    would: 20 tokens a second, texts that differ, and listeners who hear each utterance in real time before
    the next. Some 6 minutes.

    \b
    onset      from the token that completes the first speakable fragment (the server's own chunker,
               run beside it, says which) to the first sample that ends 10 ms with an RMS above 0.01,
               when it is played. Leading silence and gaps count.
    1st byte   until the first audio message, from the same token. Not what is heard.
    wait       the longest silence for lack of audio after the first sound. C100: the share of
               streams that never waited more than 100 ms.
    open       for how many streams at a time the server had work. It is less than the streams: what
               is spoken runs up to 10 s ahead of the listener.
    cores      processor time over the time of the level: of the server, of this client, of all others.
    lag        how late the client's own event loop was. If it is not small beside the onset, or others
               used much, other programs were in the way.

    \b
    text       processor time for each token of 4 characters until the engine is given its line: chunker,
               tags and normaliser, in virtual time. Below: the same for longer texts that come all at once.
    loop       the event loop while 1 MB of text comes in. block: the most processor time that it used at a
               stretch, noted by itself every 2 ms. late: how late it was woken for that, and /health
               answered, which the machine has its share in; beside it, the noise of the process that asks.
    cancel     by hanging up, and by the event at random times: until the last audio arrives, and
               until /ready counts the stream no more.

    Targets stand beside the numbers. The exit status is 0 whatever they are; it is 1 if the server failed,
    or if audio was missing, too short or silent, or came after ``cancelled``.

    \b
    Examples:
      python -m benchmarks --quick
      python -m benchmarks --only text --only loop
      python -m benchmarks --levels 16 --seconds 60 --format opus
      python -m benchmarks --url http://10.0.0.5:8080 --out there
    """
    console = screen()
    try:
        wanted = [int(level) for level in levels.split(",")] if levels else list(_QUICK if quick else _FULL)
        if any(level < 1 for level in wanted):
            raise ValueError("a level has at least 1 stream")
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--levels") from None
    plan = [_level(streams, quick, seconds) for streams in wanted]
    out.mkdir(parents=True, exist_ok=True)
    try:
        with running(url, max_streams, out / "server.log") as server:
            watched = running(url, max_streams, out / "watched.log", out / "watched.bin")
            results = _run(server, watched, plan, set(only or _SECTIONS), quick, console, options)
    except (ServerFailed, OSError, WebSocketException) as error:
        raise click.ClickException(f"the server failed: {error}") from error
    report.show(results, console)
    report.save(results, out / "live.json")
    console.print(f"All numbers: {out / 'live.json'}", soft_wrap=True)
    if results.levels:
        try:
            plot.draw(results, out / "live.png")
            console.print(f"The picture: {out / 'live.png'}", soft_wrap=True)
        except ImportError:
            console.print("No picture: that needs matplotlib, which comes with parrotfish\\[bench]")
    sys.exit(bool(results.problems()))


def _level(streams: int, quick: bool, seconds: float | None) -> Level:
    lengths = _QUICK if quick else _FULL
    length = seconds or lengths.get(streams, _OTHER_SECONDS)
    ramp = 0.0 if streams == 1 else min(_QUICK_RAMP if quick else _FULL_RAMP, length / 3)
    return Level(streams, length, ramp, listening=streams > 1)


def _run(
    server: Server,
    watched: AbstractContextManager[Server],
    plan: list[Level],
    parts: set[str],
    quick: bool,
    console: Console,
    options: dict[str, Any],
) -> report.Results:
    async def measure() -> report.Results:
        results = report.Results({**options, "url": server.url}, machine())
        seed, audio_format = options["seed"], options["audio_format"]
        with console.status("text") as status:
            if "text" in parts:
                kinds, growth = measure_text(*((_QUICK_TEXT, _QUICK_GROWTH) if quick else (_TEXT, _GROWTH)))
                results.texts.extend(kinds)
                results.growth.extend(growth)
            if "loop" in parts:
                status.update("a very long text")
                times, seconds = _QUICK_LOADS if quick else _LOADS
                with watched as other:
                    results.loads.extend(await measure_loop(other, seconds=seconds, times=times))
            if "live" in parts:
                status.update("a text at once")
                results.throughput.extend(await measure_throughput(server, audio_format=audio_format))
                for level in plan:
                    status.update(
                        f"{level.streams} at once, {level.seconds:.0f} s and what it takes to finish"
                    )
                    results.levels.append(await measure_level(server, level, **options))
            if "cancel" in parts:
                status.update("interruptions")
                results.interruptions.extend(
                    await measure_cancel(
                        server, times=_QUICK_HANG_UPS if quick else _HANG_UPS, audio_format=audio_format
                    )
                )
                results.cancellations.extend(
                    await measure_cancel_event(
                        server,
                        times=_QUICK_CANCELS if quick else _CANCELS,
                        audio_format=audio_format,
                        seed=seed,
                    )
                )
        return results

    try:
        import uvloop
    except ImportError:  # not on every platform
        return asyncio.run(measure())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(measure())


if __name__ == "__main__":
    main()
