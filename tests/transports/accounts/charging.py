"""A process that charges an account until it is out of credit or killed: ``charging.py URL ACCOUNT KEY NAME``.

Each request pays for a few bytes in blocks, and settles for what it used. What is settled is printed. A line on
stdin has it begin.
"""

import asyncio
import sys
from itertools import count
from pathlib import Path

from transports.accounts.ledger import Bill, Kind, Ledger, Prices
from transports.store import Database, database_url

UNITS = 7
AHEAD = 5


async def main(url: str, account: str, key: str, name: str) -> None:
    database = Database(database_url(url, Path()))
    ledger = Ledger(database, Prices())
    assert await ledger.solvent(account)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for number in count():
        bill = Bill(account, key, Kind.TTS, f"{name}-{number}", UNITS)
        if await ledger.pay(bill, AHEAD) is None:
            break
        await ledger.settle([bill])
        print(bill.request, flush=True)
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
