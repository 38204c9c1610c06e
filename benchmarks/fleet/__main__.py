"""``python -m benchmarks.fleet``: three replicas behind HAProxy, and what becomes of their callers."""

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import click
import httpx

from benchmarks.fleet import ending, fleet, sharing, soak, strangers
from benchmarks.fleet.results import Results, Row
from benchmarks.haproxy import NoHAProxy
from benchmarks.machine import machine
from benchmarks.postgres import NoPostgres
from benchmarks.redis import NoRedis
from benchmarks.screen import screen
from benchmarks.server import ServerFailed

_STREAMS = 4
_CALLERS = 6
_QUICK = (20_000, 300)
_FULL = (1_000_000, 10_000)
_HOUR = 60.0

_PARTS = ("voices", "full", "limits", "kill", "restart", "fuzz", "disconnects", "soak")

_Part = Callable[[fleet.Fleet], Coroutine[Any, Any, tuple[list[Row], dict[str, Any]]]]


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--full", is_flag=True, help="A million frames, ten thousand disconnects, an hour of load.")
@click.option("--frames", type=click.IntRange(0), help="Random frames.  [default: 20000; 1000000 if full]")
@click.option(
    "--disconnects", type=click.IntRange(0), help="At random moments.  [default: 300; 10000 if full]"
)
@click.option(
    "--soak",
    "minutes",
    type=click.FloatRange(0),
    metavar="MINUTES",
    help="Of mixed load.  [default: none; 60 if full]",
)
@click.option("--only", multiple=True, type=click.Choice(_PARTS), help="A part of it; may be repeated.")
@click.option("--seed", default=1, help="Of what clients do, and when.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(__file__).parents[1] / "out",
    help="Where fleet.json and the logs go.",
)
def main(
    full: bool,
    frames: int | None,
    disconnects: int | None,
    minutes: float | None,
    only: tuple[str, ...],
    seed: int,
    out: Path,
) -> None:
    """Measure what a fleet of three replicas on this machine survives.

    The real server with the bundled voice, three times, behind a real HAProxy with deploy/haproxy.cfg;
    PostgreSQL, Redis and a folder are what the replicas share. All are started for this and are gone
    afterwards. Debian has them as haproxy, postgresql and redis-server. Some minutes, on a machine that does
    nothing else.

    \b
    voices           a voice made on one replica is spoken with on each of the others with the very next
                     request, and is unknown there after it was deleted on one
    full             all replicas speak as much as they may: sockets and requests are refused with 503 and
                     Retry-After; from dialling until that is known
    limits           a key may have 2 requests at once, on any replicas; one of these is killed
    kill -9          of one replica while 6 callers have utterances spoken, 20 tokens a second: what is lost is
                     what that one spoke. From dialling to audio counts without the time in which the text was
                     being written
    rolling restart  SIGTERM to one replica after the other under the same load: what was lost or refused
    fuzz             random frames, nearly right ones among them, over every socket's protocol and the data
                     channels and sound of WebRTC peers, and bodies to every path
    disconnects      clients who begin well and are gone at a random moment, in any way
    soak             speech, downloads, recognition, voices, nonsense and hang-ups, 8 clients; each 40 s a
                     pause, in which the replicas' memory, tasks and files are noted; the first third of these
                     does not count

    The exit status is 1 if a target is missed.

    \b
    Examples:
      python -m benchmarks.fleet
      python -m benchmarks.fleet --frames 0 --disconnects 0 --soak 15
      python -m benchmarks.fleet --full
    """
    # Of peers that are cut off aiortc leaves tasks, which are no business of whoever reads this.
    logging.getLogger("asyncio").addHandler(logging.NullHandler())
    console = screen()
    default_frames, default_disconnects = _FULL if full else _QUICK
    frames = default_frames if frames is None else frames
    disconnects = default_disconnects if disconnects is None else disconnects
    minutes = (_HOUR if full else 0.0) if minutes is None else minutes
    sizes = {"fuzz": frames, "disconnects": disconnects, "soak": minutes}
    wanted = [name for name in only or _PARTS if sizes.get(name, 1)]
    options = {"frames": frames, "disconnects": disconnects, "soak_minutes": minutes, "seed": seed}
    results = Results(options, machine())
    out.mkdir(parents=True, exist_ok=True)
    try:
        with console.status("") as status:

            def told(how_far: str) -> None:
                status.update(f"{name}: {how_far}")

            clients: dict[str, _Part] = {
                "voices": sharing.voices,
                "full": lambda ready: sharing.refusals(ready, _STREAMS),
                "limits": sharing.limits,
                "kill": lambda ready: ending.kill(ready, _CALLERS, seed),
                "restart": lambda ready: ending.restart(ready, _CALLERS, seed),
            }
            others: dict[str, _Part] = {
                "fuzz": lambda ready: strangers.fuzz(ready, frames, seed, told),
                "disconnects": lambda ready: strangers.vanish(ready, disconnects, seed, told),
                "soak": lambda ready: soak.soak(ready, minutes, seed, told),
            }
            # What is left behind is seen best on replicas that have not been restarted, and have more room.
            for streams, parts in ((_STREAMS, clients), (4 * _STREAMS, others)):
                if not (chosen := [name for name in parts if name in wanted]):
                    continue
                status.update("three replicas start")
                with fleet.running(streams, out) as ready:
                    for name in chosen:
                        ready.until_idle()  # and the balancer knows it
                        status.update(name)
                        results.add(name, *asyncio.run(parts[name](ready)))
    except (NoHAProxy, NoPostgres, NoRedis, ServerFailed, OSError, httpx.HTTPError) as error:
        raise click.ClickException(str(error) or repr(error)) from error
    results.show(console)
    results.save(out / "fleet.json")
    console.print(f"All numbers: {out / 'fleet.json'}", soft_wrap=True)
    sys.exit(results.missed)


if __name__ == "__main__":
    main()
