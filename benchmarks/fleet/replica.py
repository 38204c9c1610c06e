"""One replica: ``python -m benchmarks.fleet.replica FILE SETTINGS``.

The real server with the bundled voice. ``SETTINGS`` are some of the server's own as JSON; into ``FILE`` it writes
each second what it holds.
"""

import sys
from pathlib import Path

import orjson

from benchmarks.conversation.observed import ObservedServer
from engine import EngineConfig
from transports.security.config import Limits, SecurityConfig
from transports.settings import Settings

if __name__ == "__main__":
    given = orjson.loads(sys.argv[2])
    settings = Settings(
        port=given["port"],
        data=Path(given["data"]),
        database_url=given["database_url"],
        redis_url=given["redis_url"],
        engine=EngineConfig(max_streams=given["max_streams"]),
        grace_seconds=given["grace_seconds"],
        notice_seconds=given["notice_seconds"],
        open_to_all=True,
        security=SecurityConfig(limits=Limits(request_rate=0)),  # all clients have one address here
    )
    with Path(sys.argv[1]).open("wb", buffering=0) as file:
        server = ObservedServer(settings, file)
        server.serve_on(server.bind())
