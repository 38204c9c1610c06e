"""``python -m benchmarks.accounts``: what a request costs a server because it knows who pays for it."""

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import orjson
from rich.table import Table

from benchmarks.client import quiet_loop
from benchmarks.databases import KINDS, chosen, opened
from benchmarks.machine import machine
from benchmarks.postgres import NoPostgres
from benchmarks.screen import screen
from transports.accounts import Accounts, Keyring, Kind, Prices
from transports.store import Database, StoreError

LOOP_SECONDS = 0.002
"""What a request may cost the event loop, on average."""

_OUT = Path(__file__).parent / "out"
_TEXT_BYTES = 100
_TOKENS = 500  # of four bytes: a live utterance pays for 1024 bytes ahead, so here twice
_AT_ONCE = 16

_ABOUT = """\
What accounts cost a request, on SQLite and on PostgreSQL: who calls, whether they may, what they pay for a text,
and what is written down of it afterwards. Nothing is spoken. Some 20 s.

anybody    no key is asked for
unlimited  a key whose account pays nothing; what is used is recorded
credit     a key whose account has credit, and pays before it is served
package    a key whose account has prepaid bytes
live       credit, and 2000 bytes that come as 500 tokens: paid for in blocks

loop       processor time of the event loop for each request, what is recorded later included
latency    from the request until it is paid for, one after the other; at once: of sixteen that come together

The exit status is 1 if a request with credit or a package costs the event loop more than 2 ms.
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What requests of one kind cost on one database; seconds. ``loop`` is the mean of all of them."""

    database: str
    name: str
    requests: int
    loop: float
    p50: float
    p99: float
    at_once_loop: float
    at_once_p50: float
    at_once_p99: float


async def _whole(accounts: Accounts, token: str | None) -> float:
    """One text that is all there; the seconds until it is paid for."""
    begun = time.perf_counter()
    with await accounts.admit(await accounts.authenticate(token), Kind.TTS) as admission:
        await admission.take(_TEXT_BYTES)
        return time.perf_counter() - begun


async def _live(accounts: Accounts, token: str | None) -> float:
    """A text that comes bit by bit; the seconds that it waited in all."""
    begun = time.perf_counter()
    with await accounts.admit(await accounts.authenticate(token), Kind.TTS) as admission:
        for _ in range(_TOKENS):
            await admission.take(4, streamed=True)
        return time.perf_counter() - begun


async def measure(
    database: Database,
    kind: str,
    name: str,
    token: str | None,
    call: Callable[..., Awaitable[float]],
    times: int,
) -> Cost:
    """Make requests one after the other, and then many at once."""
    accounts = Accounts(database, Prices(), open_to_all=token is None, open_without_keys=False)
    accounts.start()
    await call(accounts, token)
    async with quiet_loop():
        worked = time.thread_time()
        alone = [await call(accounts, token) for _ in range(times)]
        await accounts.close()
        loop = (time.thread_time() - worked) / times
        accounts = Accounts(database, Prices(), open_to_all=token is None, open_without_keys=False)
        accounts.start()
        worked = time.thread_time()
        together: list[float] = []

        async def caller() -> None:
            for _ in range(times // _AT_ONCE):
                together.append(await call(accounts, token))

        await asyncio.gather(*(caller() for _ in range(_AT_ONCE)))
        await accounts.close()
        loop_together = (time.thread_time() - worked) / len(together)
    p50, p99 = map(float, np.quantile(alone, (0.5, 0.99)))
    together_p50, together_p99 = map(float, np.quantile(together, (0.5, 0.99)))
    return Cost(kind, name, times, loop, p50, p99, loop_together, together_p50, together_p99)


async def run(kind: str, url: str | None, times: int) -> list[Cost]:
    """All kinds of requests on one database."""
    async with opened(kind, url) as database:
        keyring = Keyring(database)
        unlimited = await keyring.create("unlimited")
        credit = await keyring.create("credit", credit=Decimal(1000))
        package = await keyring.create("package")
        (owner,) = [key for key in await keyring.list() if key.name == "package"]
        await keyring.add_package(owner.id, 10**9)
        cases = [
            ("anybody", None, _whole),
            ("unlimited", unlimited, _whole),
            ("credit", credit, _whole),
            ("package", package, _whole),
            ("live", credit, _live),
        ]
        return [await measure(database, kind, name, token, call, times) for name, token, call in cases]


def table(results: Sequence[Cost]) -> Table:
    """A row for each kind of request on each database."""
    shown = Table(title=f"What accounts cost a request; milliseconds, at once: {_AT_ONCE}")
    for name in ("", "", "loop", "latency p50", "p99", "at once: loop", "p50", "p99"):
        shown.add_column(name, justify="right" if name else "left", no_wrap=True)
    for one in results:
        times = (one.p50, one.p99, one.at_once_loop, one.at_once_p50, one.at_once_p99)
        colour = "green" if one.loop <= LOOP_SECONDS else "red"
        cells = [f"[{colour}]{one.loop * 1000:.2f}[/]", *(f"{value * 1000:.2f}" for value in times)]
        shown.add_row(one.database, one.name, *cells)
    return shown


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; 1 if a request costs too much or a database is missing."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.accounts", description=_ABOUT, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--requests", type=_enough, default=800, help=f"of each kind, {_AT_ONCE} or more (800)")
    add("--database", nargs="+", choices=KINDS, default=list(KINDS), help="both")
    add("--url", help="an empty database to measure instead, such as postgresql://user:password@host/name")
    add("--out", type=Path, default=_OUT, help="where accounts.json goes")
    options = parser.parse_args(arguments)
    console = screen()
    facts = machine()
    results: list[Cost] = []
    try:
        with console.status("") as status:
            for kind, url in chosen(options.database, options.url):
                status.update(kind)
                results += asyncio.run(run(kind, url, options.requests))
    except (NoPostgres, StoreError) as error:
        console.print(f"[red]{error}[/]", highlight=False)
        return 1
    console.print(table(results))
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "accounts.json"
    document = {"machine": facts, "target": LOOP_SECONDS, "costs": [asdict(one) for one in results]}
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    console.print(f"Numbers: {path}", soft_wrap=True)
    return int(any(one.loop > LOOP_SECONDS for one in results if one.name != "live"))


def _enough(text: str) -> int:
    if (value := int(text)) < _AT_ONCE:
        raise argparse.ArgumentTypeError(f"got {value}; expected {_AT_ONCE} or more")
    return value


if __name__ == "__main__":
    sys.exit(main())
