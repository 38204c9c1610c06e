"""How long a page of the voice library takes: ``python -m benchmarks.library [voices] [database URL]``."""

import asyncio
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from transports.accounts.tables import LOCAL_ACCOUNT, Account
from transports.store import Blobs, Database, database_url, now
from transports.voices import Library, Query
from transports.voices.tables import LanguageRow, SampleRow, TagRow, VoiceRow

QUERIES = {
    "first page": Query(),
    "100 voices": Query(page_size=100),
    "the last page": Query(page_size=100, page_number=100),
    "newest": Query(page_size=100, sort_by="created_at"),
    "a part of the title": Query(page_size=100, title="9 of"),
    "two tags": Query(page_size=100, tags=["english", "tag 7"]),
    "a language": Query(page_size=100, languages=["zh"]),
    "own": Query(page_size=100, mine=True),
}
ROUNDS = 20


async def fill(database: Database, voices: int) -> None:
    """Voices of two accounts, as they are after training."""
    start = now()
    async with database.session() as session:
        session.add(Account(id="other", name="other", limited=True))
        for number in range(voices):
            at = start + timedelta(seconds=number)
            session.add(
                VoiceRow(
                    id=f"{number:032x}",
                    account_id="other" if number % 2 else LOCAL_ACCOUNT,
                    title=f"Voice {number} of many",
                    folded_title=f"voice {number} of many",
                    title_language="en",
                    description="Made for a measurement.",
                    visibility="public",
                    enhance=True,
                    generate_sample=False,
                    state="trained",
                    task_count=number * 7919 % 1000,
                    created_at=at,
                    updated_at=at,
                    tags=[TagRow(number=0, tag="english"), TagRow(number=1, tag=f"tag {number % 20}")],
                    languages=[LanguageRow(language="zh" if number % 3 else "en")],
                    samples=[
                        SampleRow(number=0, text="Hello.", audio="0" * 64, seconds=10.0, generated=False)
                    ],
                )
            )


async def main(voices: int, url: str | None) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(database_url(url, Path(folder)))
        await database.start()
        await fill(database, voices)
        library = Library(database, Blobs(folder))
        print(f"{voices} voices, {database.url.partition(':')[0]}: ms a page, median and worst of {ROUNDS}")
        for name, query in QUERIES.items():
            times = []
            for _ in range(ROUNDS):
                begun = time.perf_counter()
                page = await library.find(LOCAL_ACCOUNT, query)
                times.append(1000 * (time.perf_counter() - begun))
            found = f"{len(page.voices)} of {page.total}"
            print(f"{name:20} {found:>12} {statistics.median(times):7.1f} {max(times):7.1f}")
        await library.close()
        await database.close()


if __name__ == "__main__":
    asyncio.run(
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, sys.argv[2] if len(sys.argv) > 2 else None)
    )
