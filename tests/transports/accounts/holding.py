"""A server process that holds a place of a key until it is killed: ``holding.py URL KEY MOST LEASE``."""

import asyncio
import sys

from transports.accounts import Limits, shared


async def main(url: str, key: str, most: int) -> None:
    limiter = shared.SharedLimiter(url)
    limiter.start()
    await limiter.enter(key, Limits(max_concurrency=most), counted=True, patience=0)
    print("in", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    shared.LEASE_SECONDS = float(sys.argv[4])
    shared.RENEW_SECONDS = shared.LEASE_SECONDS / 4
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
