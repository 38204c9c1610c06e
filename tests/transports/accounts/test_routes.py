"""Every route of the application wants a key, but for those that are for everybody."""

import asyncio
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import httpx
import pytest
from starlette.routing import BaseRoute, Route, WebSocketRoute
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.transports.conftest import Running, run_server
from transports.accounts import Keyring
from transports.settings import Settings
from transports.store import Database, database_url

# The page may be seen by all who reach the server, and so may whether it is well; a file's address is signed.
# Metrics may be read on the machine itself (who else may not: tests/transports/metrics).
OPEN = {
    "/metrics",
    "/",
    "/health",
    "/ready",
    "/openapi.json",
    "/web/{folder}/{path:path}",
    "/web/agent",
    "/web/voices",
    "/files/{name}",
}
# Whoever calls bears the signature of a provider of telephone numbers instead.
SIGNED = "/v1/telephony/"


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    data = tmp_path_factory.mktemp("keyed")
    asyncio.run(_create_key(data))
    yield from run_server(Settings(port=0, data=data))


async def _create_key(data: Path) -> None:
    database = Database(database_url(None, data))
    await database.start()
    await Keyring(database).create("only")
    await database.close()


def leaves(routes: Iterable[BaseRoute]) -> Iterator[BaseRoute]:
    """All routes, those of routers within routers, too."""
    for route in routes:
        inner = getattr(route, "original_router", route)  # FastAPI's own wrapper of a router
        below = getattr(inner, "routes", None)
        if below is None:
            yield route
        else:
            yield from leaves(below)


def test_every_route_wants_a_key(keyed: Running) -> None:
    let_in, seen = [], 0
    with httpx.Client(base_url=keyed.url, trust_env=False) as client:
        for route in leaves(keyed.server._app.routes):
            assert isinstance(route, Route | WebSocketRoute), route
            path = re.sub(r"\{[^}]*\}", "x", route.path)
            refusal = 403 if path.startswith(SIGNED) else 401
            seen += 1
            if isinstance(route, WebSocketRoute):
                with pytest.raises(InvalidStatus) as refused, connect(keyed.url.replace("http", "ws") + path):
                    pass
                if refused.value.response.status_code != refusal:
                    let_in.append(route.path)
            elif route.path not in OPEN:
                for method in route.methods or ():
                    answer = client.request(method, path, headers={"Authorization": "Bearer no"})
                    if answer.status_code != refusal:
                        let_in.append(f"{method} {route.path}: {answer.status_code} {answer.text}")
    assert let_in == []
    assert seen > 12
