"""The demo page's files and its list of voices, without a browser."""

import asyncio
import threading
from collections.abc import AsyncIterator

import httpx
import pytest

from engine import SpeechModel
from engine.models.hibari import HibariModel
from transports.app import create_app
from transports.settings import Settings


class SlowModel:
    """A model that takes as long to load as a test wants."""

    def __init__(self) -> None:
        self.may_load = threading.Event()
        self.loaded = asyncio.Event()

    def make(self) -> SpeechModel:
        assert self.may_load.wait(30)
        return HibariModel()


@pytest.fixture
def slow() -> SlowModel:
    return SlowModel()


@pytest.fixture
async def client(slow: SlowModel) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(Settings(), slow.make, lambda _: slow.loaded.set())
    async with app.router.lifespan_context(app):
        try:
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app), base_url="http://parrotfish"
            ) as client:
                yield client
        finally:
            slow.may_load.set()


async def test_the_page_is_there_before_the_model_is(client: httpx.AsyncClient) -> None:
    page = await client.get("/")
    assert page.status_code == 200
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert page.headers["x-content-type-options"] == "nosniff"


async def test_voices_come_with_the_model(client: httpx.AsyncClient, slow: SlowModel) -> None:
    refused = await client.get("/web/voices")
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json()["status"] == 503

    slow.may_load.set()
    await asyncio.wait_for(slow.loaded.wait(), 30)
    answer = (await client.get("/web/voices")).json()
    assert {"id", "name", "description"} == set(answer["voices"][0])
    assert answer["default"] in [voice["id"] for voice in answer["voices"]]


async def test_scripts_are_scripts_and_are_sent_once(client: httpx.AsyncClient) -> None:
    script = await client.get("/web/static/app.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["cache-control"] == "no-cache"
    again = await client.get("/web/static/app.js", headers={"If-None-Match": script.headers["etag"]})
    assert again.status_code == 304
    assert (await client.head("/web/vendor/msgpack.min.js")).status_code == 200


async def test_nothing_else_is_served(client: httpx.AsyncClient) -> None:
    for path in ("static/none.js", "static/%2e%2e/page.py", "page.py", "page.py/", "static/", "other/x"):
        answer = await client.get(f"/web/{path}", follow_redirects=True)
        assert answer.status_code == 404, path
