"""``python -m benchmarks.workers``: how much speech an engine makes on a thread, and with worker processes."""

import asyncio
import os
import time
from dataclasses import dataclass

import click
from rich.table import Table

from benchmarks.screen import screen
from benchmarks.server import machine_busy_seconds
from benchmarks.texts import SHORT
from engine import Engine, EngineConfig, Models, ModelSpec, Segment, StreamOptions
from engine.models.hibari import HibariModel

_BUNDLED = ModelSpec("engine.models.hibari:HibariModel")
_TICK = 0.002


@dataclass(frozen=True, slots=True)
class Speed:
    """What came of it: streams let in at once, speech for each of the ``seconds``, the event loop's delays."""

    max_streams: int
    seconds: float
    factor: float
    late_p99: float
    cores: float


async def measure(models: Models, streams: int, rounds: int) -> Speed:
    """The bundled voice saying so many texts at a time, each as fast as it can, ``rounds`` times over."""
    async with Engine(models) as engine:
        capacity = engine.max_streams
    late: list[float] = []
    async with Engine(models, EngineConfig(max_streams=streams)) as engine:

        async def say(number: int) -> float:
            seconds = 0.0
            for turn in range(rounds):
                utterance = engine.open(StreamOptions((engine.info.default_voice,), paced=False))
                utterance.say(Segment(SHORT[(number + turn) % len(SHORT)]))
                utterance.finish()
                seconds += sum([len(frame.pcm) / utterance.sample_rate async for frame in utterance])
            return seconds

        async def watch() -> None:
            while True:
                due = time.monotonic() + _TICK
                await asyncio.sleep(_TICK)
                late.append(time.monotonic() - due)

        watching = asyncio.create_task(watch())
        busy, started = machine_busy_seconds(), time.monotonic()
        spoken = sum(await asyncio.gather(*map(say, range(streams))))
        taken = time.monotonic() - started
        watching.cancel()
        after = machine_busy_seconds()
    cores = (after - busy) / taken if busy is not None and after is not None else 0.0
    return Speed(capacity, taken, spoken / taken, sorted(late)[int(0.99 * len(late))], cores)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option(
    "--workers", type=click.IntRange(1), default=os.cpu_count() or 1, help="Most workers at a time."
)
@click.option("--streams", type=click.IntRange(1), default=16, help="Texts at a time.")
@click.option("--rounds", type=click.IntRange(1), default=6, help="How many times over.")
def main(workers: int, streams: int, rounds: int) -> None:
    """Have the bundled voice speak on a thread, then with one worker, two, and so on.

    \b
    streams    how many the engine would let in by itself: half of what it was measured to carry
    speed      seconds of speech in a second, of all streams together
    loop       how late the event loop was, p99: it shares its process with the thread, not with workers
    cores      of the whole machine that were busy meanwhile, also with others' work
    """
    table = Table()
    for column in ("", "streams", "speed", "loop, ms", "cores"):
        table.add_column(column, justify="right" if column else "left")
    kinds: dict[str, Models] = {"a thread": HibariModel}
    kinds |= {f"{count} worker{'s' * (count > 1)}": [_BUNDLED] * count for count in range(1, workers + 1)}
    console = screen()
    with console.status("") as status:
        for name, models in kinds.items():
            status.update(name)
            speed = asyncio.run(measure(models, max(streams, workers), rounds))
            table.add_row(
                name,
                str(speed.max_streams),
                f"{speed.factor:.1f}",
                f"{speed.late_p99 * 1000:.1f}",
                f"{speed.cores:.2f}",
            )
    console.print(table)


if __name__ == "__main__":
    main()
