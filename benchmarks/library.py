"""``python -m benchmarks.library``: how long a page of the voice library takes."""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np
import orjson
from rich.table import Table
from sqlalchemy import insert

from benchmarks.client import quiet_loop
from benchmarks.databases import KINDS, chosen, opened
from benchmarks.machine import machine
from benchmarks.postgres import NoPostgres
from benchmarks.screen import screen
from transports.accounts.tables import LOCAL_ACCOUNT, Account
from transports.store import Blobs, Database, StoreError, now
from transports.voices import Library, Query
from transports.voices.tables import SampleRow, VoiceRow

PAGE_SECONDS = 0.020
"""What a page of 10,000 voices may take, at the median."""

_OUT = Path(__file__).parent / "out"
_AT_ONCE = 1000  # rows written together

_ABOUT = """\
How long a page of a voice library takes, on SQLite and on PostgreSQL, as the server's own code asks for it: the
page, how many voices there are in all, and what is known of each voice on it. A quarter of the voices are the
caller's own, a quarter another one's private ones, the rest another one's public ones. Without HTTP. Some 30 s.

found  voices on the page, of all that the query finds
loop   processor time of the event loop for a page: what all others wait for

The exit status is 1 if a median is above 20 ms.
"""


@dataclass(frozen=True, slots=True)
class Pages:
    """What one query took on one database; seconds. ``voices`` of ``found`` were on its page."""

    database: str
    query: str
    voices: int
    found: int
    p50: float
    p95: float
    longest: float
    loop: float


def queries(voices: int) -> dict[str, Query]:
    """What is asked for, by what it is called."""
    last = voices * 3 // 4 // 100
    return {
        "first page of 10": Query(),
        "100 voices": Query(page_size=100),
        "the last page": Query(page_size=100, page_number=last),
        "newest": Query(page_size=100, sort_by="created_at"),
        "newest, the last page": Query(page_size=100, page_number=last, sort_by="created_at"),
        "own": Query(page_size=100, mine=True),
        "of another account": Query(page_size=100, author="other"),
        "a letter of the title": Query(page_size=100, title="O"),
        "a part of the title": Query(page_size=100, title="9 of"),
        "one title": Query(page_size=100, title="voice 21 of"),
        "a title that is none": Query(page_size=100, title="nobody"),
        "a tag of all": Query(page_size=100, tags=["english"]),
        "two tags": Query(page_size=100, tags=["english", "tag 7"]),
        "two tags, the last page": Query(
            page_size=100, page_number=voices * 3 // 4 // 20 // 100 + 1, tags=["english", "tag 7"]
        ),
        "a tag that is none": Query(page_size=100, tags=["nothing"]),
        "a language": Query(page_size=100, languages=["zh"]),
        "a language of titles": Query(page_size=100, title_languages=["en"]),
        "all at once": Query(page_size=100, title="1", tags=["tag 7"], languages=["zh"], author="other"),
    }


async def fill(database: Database, voices: int) -> None:
    """Voices of two accounts, as they are after training."""
    start = now()
    about = "A calm voice, recorded for a measurement. " * 10
    async with database.session() as session:
        session.add(Account(id="other", name="other", limited=True))
    for first in range(0, voices, _AT_ONCE):
        numbers = range(first, min(first + _AT_ONCE, voices))
        async with database.session() as session:
            await session.execute(
                insert(VoiceRow),
                [
                    {
                        "id": f"{number * 2654435761 % 2**32:032x}",
                        "account_id": LOCAL_ACCOUNT if number // 20 % 4 == 0 else "other",
                        "title": f"Voice {number} of many",
                        "folded_title": f"voice {number} of many",
                        "title_language": "en",
                        "description": about,
                        "visibility": "private" if number // 20 % 4 == 3 else "public",
                        "enhance": True,
                        "generate_sample": False,
                        "state": "trained",
                        "task_count": number * 7919 % 1000,
                        "created_at": (at := start + timedelta(seconds=number)),
                        "updated_at": at,
                        "tags": ("english", f"tag {number % 20}"),
                        "languages": ("zh",) if number % 3 else ("en",),
                    }
                    for number in numbers
                ],
            )
            await session.execute(
                insert(SampleRow),
                [
                    {
                        "voice_id": f"{number * 2654435761 % 2**32:032x}",
                        "number": sample,
                        "text": "What is said in the recording, in a sentence or two.",
                        "audio": f"{number:064x}",
                        "seconds": 10.0,
                        "generated": False,
                    }
                    for number in numbers
                    for sample in range(2)
                ],
            )


async def measure(library: Library, database: str, name: str, query: Query, rounds: int) -> Pages:
    """Ask for a page again and again."""
    page = await library.find(LOCAL_ACCOUNT, query)
    times, loop = [], []
    async with quiet_loop():
        for _ in range(rounds):
            begun, worked = time.perf_counter(), time.thread_time()
            await library.find(LOCAL_ACCOUNT, query)
            loop.append(time.thread_time() - worked)
            times.append(time.perf_counter() - begun)
    p50, p95, longest = map(float, np.quantile(times, (0.5, 0.95, 1.0)))
    return Pages(database, name, len(page.voices), page.total, p50, p95, longest, float(np.median(loop)))


async def run(kind: str, url: str | None, voices: int, rounds: int) -> list[Pages]:
    """All queries on one database."""
    with tempfile.TemporaryDirectory() as folder:
        async with opened(kind, url) as database:
            await fill(database, voices)
            library = Library(database, Blobs(folder))
            try:
                return [
                    await measure(library, kind, name, query, rounds)
                    for name, query in queries(voices).items()
                ]
            finally:
                await library.close()


def table(results: Sequence[Pages], voices: int) -> Table:
    """The results of all databases, a row for each query."""
    kinds = dict.fromkeys(one.database for one in results)
    shown = Table(
        title=f"A page of a library of {voices} voices; milliseconds", caption=f"On {', then '.join(kinds)}"
    )
    for name in ("", "found", *(name for _ in kinds for name in ("p50", "p95", "max", "loop"))):
        shown.add_column(name, justify="right" if name else "left", no_wrap=True)
    for query in dict.fromkeys(one.query for one in results):
        rows = [one for one in results if one.query == query]
        cells = [f"{rows[0].voices} of {rows[0].found}"]
        for one in rows:
            colour = "green" if one.p50 <= PAGE_SECONDS else "red"
            cells.append(f"[{colour}]{one.p50 * 1000:.1f}[/]")
            cells += [f"{value * 1000:.1f}" for value in (one.p95, one.longest, one.loop)]
        shown.add_row(query, *cells)
    return shown


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; 1 if a page takes too long or a database is missing."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks.library", description=_ABOUT, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--voices", type=_positive, default=10_000, help="in the library (10000)")
    add("--rounds", type=_positive, default=50, help="of each query (50)")
    add("--database", nargs="+", choices=KINDS, default=list(KINDS), help="both")
    add("--url", help="an empty database to measure instead, such as postgresql://user:password@host/name")
    add("--out", type=Path, default=_OUT, help="where library.json goes")
    options = parser.parse_args(arguments)
    console = screen()
    facts = machine()
    results: list[Pages] = []
    try:
        with console.status("") as status:
            for kind, url in chosen(options.database, options.url):
                status.update(kind)
                results += asyncio.run(run(kind, url, options.voices, options.rounds))
    except (NoPostgres, StoreError) as error:
        console.print(f"[red]{error}[/]", highlight=False)
        return 1
    console.print(table(results, options.voices))
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "library.json"
    document = {
        "machine": facts,
        "voices": options.voices,
        "rounds": options.rounds,
        "target": PAGE_SECONDS,
        "pages": [asdict(one) for one in results],
    }
    path.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    console.print(f"Numbers: {path}", soft_wrap=True)
    return int(any(one.p50 > PAGE_SECONDS for one in results))


def _positive(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"got {value}; expected 1 or more")
    return value


if __name__ == "__main__":
    sys.exit(main())
