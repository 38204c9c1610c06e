"""A server with keys, as its clients meet it: the official SDK, sockets, a browser's socket, and the log."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import ormsgpack
import pytest
from fishaudio import AsyncFishAudio, FishAudio
from fishaudio.exceptions import APIError, AuthenticationError, RateLimitError, WebSocketError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from engine import EngineConfig
from engine.logs import LogConfig
from tests.transports.conftest import Running, run_server
from transports.accounts import Keyring, Limits, accounts
from transports.accounts.accounts import CACHE_SECONDS
from transports.accounts.admission import BLOCK_UNITS
from transports.accounts.wallet import ENDLESS
from transports.settings import Settings
from transports.store import Database, database_url

PRICE = Decimal("0.000015")  # of a byte
TEXT = "The parrot repeats what it has heard."
COST = len(TEXT) * PRICE
START: dict[str, Any] = {"event": "start", "request": {"text": "", "format": "pcm", "sample_rate": 16_000}}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keyed")


@pytest.fixture(scope="module")
def keyed(data: Path) -> Iterator[Running]:
    """A server on the loopback interface that has a key."""
    asyncio.run(_first_key(data))
    config = EngineConfig(max_streams=8, max_ahead=3600.0)
    yield from run_server(Settings(port=0, engine=config, data=data, log=LogConfig("debug", texts=True)))


async def _first_key(data: Path) -> None:
    database = Database(database_url(None, data))
    await database.start()
    await Keyring(database).create("first")
    await database.close()


@pytest.fixture(autouse=True)
def _nothing_is_left_open(keyed: Running) -> Iterator[None]:
    yield
    keyed.until_idle()


@pytest.fixture
async def keyring(data: Path, keyed: Running) -> AsyncIterator[Keyring]:
    database = Database(database_url(None, data))
    yield Keyring(database)
    await database.close()


Make = Callable[..., Awaitable[str]]


@pytest.fixture
async def make(keyring: Keyring, request: pytest.FixtureRequest) -> Make:
    async def make(**options: Any) -> str:
        return await keyring.create(f"{request.node.name} {time.monotonic_ns()}"[-100:], **options)

    return make


@pytest.fixture
async def http(keyed: Running) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=keyed.url, trust_env=False, timeout=60) as client:
        yield client


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def id_of(key: str) -> str:
    return key.split("_")[1]


def live(server: Running, key: str) -> connect:
    return connect(server.live, additional_headers=bearer(key), proxy=None)


async def send(socket: ClientConnection, *events: dict[str, Any] | str) -> None:
    for event in events:
        await socket.send(ormsgpack.packb({"event": event} if isinstance(event, str) else event))


async def until_finish(socket: ClientConnection) -> list[dict[str, Any]]:
    """The events up to finish, without audio."""
    events: list[dict[str, Any]] = []
    while not events or events[-1]["event"] != "finish":
        event = ormsgpack.unpackb(await socket.recv())
        if event["event"] != "audio":
            events.append(event)
    return events


async def credit(http: httpx.AsyncClient, key: str) -> Decimal:
    answer = await http.get("/wallet/self/api-credit", headers=bearer(key))
    return Decimal(answer.raise_for_status().json()["credit"])


async def becomes(http: httpx.AsyncClient, key: str, wanted: Decimal) -> None:
    """Wait until the account has exactly so much."""
    end = time.monotonic() + 20
    while (found := await credit(http, key)) != wanted:
        assert time.monotonic() < end, f"{found} is left, not {wanted}"


# -- who is let in --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "told"),
    [
        (None, "missing"),
        ("", "missing"),
        ("Basic abc", "missing"),
        ("Bearer any", "not known"),
        (f"Bearer pf_{'a' * 10}_{'b' * 43}", "not known"),
    ],
)
async def test_without_a_key_of_ours_nothing_is_done(
    http: httpx.AsyncClient, header: str | None, told: str
) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = await http.post("/v1/tts", json={"text": TEXT}, headers=headers)
    assert answer.status_code == 401
    assert answer.json() == {"message": answer.json()["message"], "status": 401}
    assert told in answer.json()["message"]
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "abc" not in answer.text


async def test_health_and_the_page_are_open(http: httpx.AsyncClient) -> None:
    for path in ("/health", "/ready", "/", "/web/voices"):
        assert (await http.get(path)).status_code == 200


async def test_a_key_is_good_for_http_and_live(keyed: Running, http: httpx.AsyncClient, make: Make) -> None:
    key = await make()
    assert (await http.post("/v1/tts", json={"text": TEXT}, headers=bearer(key))).status_code == 200
    async with live(keyed, key) as socket:
        await send(socket, START, {"event": "text", "text": TEXT}, "stop")
        assert await until_finish(socket) == [{"event": "finish", "reason": "stop"}]


async def test_a_wrong_secret_is_no_key(http: httpx.AsyncClient, make: Make) -> None:
    key = await make()
    other = key[:-1] + ("a" if key[-1] != "a" else "b")
    assert (await http.get("/wallet/self/package", headers=bearer(other))).status_code == 401


async def test_an_expired_key_is_told_so(http: httpx.AsyncClient, make: Make) -> None:
    key = await make(expires_in=timedelta(microseconds=1))
    answer = await http.get("/wallet/self/package", headers=bearer(key))
    assert (answer.status_code, answer.json()["message"]) == (401, "Authorization: this API key is expired")


async def test_a_socket_is_refused_before_it_opens(keyed: Running, make: Make) -> None:
    for address, headers in ((keyed.live, {}), (keyed.live + "?token=pf_no", {}), (keyed.live, bearer("no"))):
        with pytest.raises(InvalidStatus) as refused:
            async with connect(address, additional_headers=headers, proxy=None):
                pass
        assert refused.value.response.status_code == 401
        assert b'"status":401' in (refused.value.response.body or b"")


async def test_a_browsers_socket_brings_its_key_in_the_address_or_as_a_subprotocol(
    keyed: Running, make: Make
) -> None:
    key = await make()
    async with connect(f"{keyed.live}?token={key}", proxy=None) as socket:
        await send(socket, START, {"event": "text", "text": "Hello."}, "stop")
        assert await until_finish(socket) == [{"event": "finish", "reason": "stop"}]
    subprotocols: Any = ["parrotfish", f"parrotfish.key.{key}"]
    async with connect(keyed.live, subprotocols=subprotocols, proxy=None) as socket:
        assert socket.subprotocol == "parrotfish"
        await send(socket, START, {"event": "text", "text": "Hello."}, "stop")
        assert await until_finish(socket) == [{"event": "finish", "reason": "stop"}]


async def test_the_address_has_no_key_for_http(http: httpx.AsyncClient, make: Make) -> None:
    assert (await http.get("/wallet/self/package", params={"token": await make()})).status_code == 401


async def test_a_key_that_is_revoked_is_void_within_seconds_on_open_sockets_too(
    keyed: Running, http: httpx.AsyncClient, make: Make, keyring: Keyring
) -> None:
    key = await make()
    async with live(keyed, key) as socket:
        await send(socket, START, {"event": "text", "text": TEXT}, "stop")
        await until_finish(socket)
        await keyring.revoke(id_of(key))
        revoked = time.monotonic()
        while (await http.get("/wallet/self/package", headers=bearer(key))).status_code != 401:
            assert time.monotonic() < revoked + 5
            await asyncio.sleep(0.05)
        await send(socket, START, {"event": "text", "text": TEXT})
        assert "revoked" in ormsgpack.unpackb(await socket.recv())["error"]
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
    assert CACHE_SECONDS < 5


async def test_a_key_that_is_revoked_ends_the_utterance_that_is_open(
    keyed: Running, make: Make, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts, "CACHE_SECONDS", 0.0)
    key = await make()
    async with live(keyed, key) as socket:
        await send(socket, START, {"event": "text", "text": TEXT}, "flush")
        await socket.recv()
        await keyring.revoke(id_of(key))
        await send(socket, {"event": "text", "text": TEXT})
        while (event := ormsgpack.unpackb(await socket.recv()))["event"] == "audio":
            pass
        assert "revoked" in event["error"]
        with contextlib.suppress(ConnectionClosed):
            while True:
                await socket.recv()
        assert socket.close_code == 1008


async def test_no_secret_reaches_a_log(
    keyed: Running, http: httpx.AsyncClient, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """At debug level the server beneath us logs every header, and the addresses of sockets."""
    key = await make(credit=Decimal("0.0001"))
    subprotocols: Any = ["parrotfish", f"parrotfish.key.{key}"]
    ours = ("uvicorn", "transports", "sqlalchemy", "aiosqlite", "asyncio")
    with caplog.at_level(logging.DEBUG), contextlib.suppress(ConnectionClosed):
        assert (await http.post("/v1/tts", json={"text": TEXT}, headers=bearer(key))).status_code == 402
        async with live(keyed, key), connect(f"{keyed.live}?token={key}", proxy=None):
            pass
        async with connect(keyed.live, subprotocols=subprotocols, proxy=None):
            pass
    lines = [record.getMessage() for record in caplog.records if record.name.startswith(ours)]
    assert any("token=***" in line for line in lines)
    assert any("uthorization: Bearer ***" in line for line in lines)
    assert any("parrotfish.key.***" in line for line in lines)
    assert not [line for line in lines if key.split("_", 2)[2] in line]


# -- limits ---------------------------------------------------------------------------------------------


async def test_too_many_requests_a_minute(keyed: Running, http: httpx.AsyncClient, make: Make) -> None:
    key = await make(limits=Limits(requests_per_minute=2))
    for _ in range(2):
        assert (await http.post("/v1/tts", json={"text": "Hi."}, headers=bearer(key))).status_code == 200
    answer = await http.post("/v1/tts", json={"text": "Hi."}, headers=bearer(key))
    assert answer.status_code == answer.json()["status"] == 429
    assert 20 < int(answer.headers["Retry-After"]) <= 30
    async with live(keyed, key) as socket:  # each start is told, and the socket stays
        for _ in range(3):
            await send(socket, START, {"event": "text", "text": TEXT})
            error, log, finish = await until_finish(socket)
            assert "2 requests a minute" in error["error"]
            assert log["event"] == "log"
            assert finish == {"event": "finish", "reason": "error"}


async def test_too_many_requests_at_once(keyed: Running, http: httpx.AsyncClient, make: Make) -> None:
    key = await make(limits=Limits(max_concurrency=1))
    async with live(keyed, key) as socket:
        await send(socket, START)
        await send(socket, {"event": "text", "text": TEXT}, "flush")
        await socket.recv()  # it is being spoken
        answer = await http.post("/v1/tts", json={"text": "Hi."}, headers=bearer(key))
        assert answer.status_code == answer.json()["status"] == 429
        assert answer.headers["Retry-After"] == "1"
        async with live(keyed, key) as other:
            await send(other, START)
            refused = ormsgpack.unpackb(await other.recv())
            assert refused == {"event": "error", "error": "Concurrency limit exceeded", "max_concurrency": 1}
            with pytest.raises(ConnectionClosed) as closed:
                await other.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1013
        # On a socket that is speaking only the one more is refused.
        await send(socket, START | {"context": "more"})
        while (event := ormsgpack.unpackb(await socket.recv()))["event"] != "error":
            pass
        assert event["context"] == "more"
        await send(socket, "stop")
        while ormsgpack.unpackb(await socket.recv()) != {"event": "finish", "reason": "stop"}:
            pass
        # Whoever has heard the finish may start again.
        await send(socket, START, {"event": "text", "text": TEXT}, "stop")
        assert await until_finish(socket) == [{"event": "finish", "reason": "stop"}]


async def test_who_is_not_let_in_has_no_recording_looked_at(keyed: Running, make: Make) -> None:
    """A live start with what is no recording: the first is told so, the second that it is one too many."""
    key = await make(limits=Limits(requests_per_minute=1))
    start = {"event": "start", "request": {"text": "", "references": [{"audio": b"no audio", "text": "x"}]}}
    async with live(keyed, key) as socket:
        await send(socket, start)
        log, finish = await until_finish(socket)
        assert "audio" in log["message"]
        await send(socket, start)
        error, _, finish = await until_finish(socket)
        assert "1 requests a minute" in error["error"]
        assert finish == {"event": "finish", "reason": "error"}


async def test_who_interrupts_may_go_on_at_once(keyed: Running, make: Make) -> None:
    """What was cancelled, or had its socket closed, a moment ago is in nobody's way."""
    key = await make(limits=Limits(max_concurrency=1))
    for _ in range(3):
        async with live(keyed, key) as socket:
            for _ in range(3):
                await send(socket, START, {"event": "text", "text": TEXT * 20}, "flush", "cancel")
            await send(socket, START, {"event": "text", "text": "Hello."}, "stop")
            events = await until_finish(socket)
            assert [event["event"] for event in events] == ["cancelled"] * 3 + ["finish"]
            assert events[-1]["reason"] == "stop"
            await send(socket, START, {"event": "text", "text": TEXT * 20}, "flush")
            await socket.recv()


# -- money ----------------------------------------------------------------------------------------------


async def test_a_text_is_paid_by_its_bytes(http: httpx.AsyncClient, make: Make) -> None:
    key = await make(credit=Decimal(1))
    for path in ("/v1/tts", "/v1/tts/stream/with-timestamp"):
        assert (await http.post(path, json={"text": "Hé."}, headers=bearer(key))).status_code == 200
    assert await credit(http, key) == 1 - 2 * 4 * PRICE


async def test_what_cannot_be_spoken_costs_nothing(http: httpx.AsyncClient, make: Make) -> None:
    key = await make(credit=Decimal(1))
    for wrong in ({"text": ""}, {"text": TEXT, "reference_id": "nobody"}, {"text": TEXT, "format": "tape"}):
        assert (await http.post("/v1/tts", json=wrong, headers=bearer(key))).status_code == 400
    assert await credit(http, key) == 1


async def test_out_of_credit_is_402_before_anything_is_said(
    http: httpx.AsyncClient, make: Make, keyring: Keyring
) -> None:
    key = await make(credit=COST)
    assert (await http.post("/v1/tts", json={"text": TEXT + "!"}, headers=bearer(key))).status_code == 402
    assert (await http.post("/v1/tts", json={"text": TEXT}, headers=bearer(key))).status_code == 200
    answer = await http.post("/v1/tts", json={"text": TEXT}, headers=bearer(key))
    assert answer.status_code == answer.json()["status"] == 402
    assert "credit is out" in answer.json()["message"]
    await keyring.add_credit(id_of(key), COST)
    assert (await http.post("/v1/tts", json={"text": TEXT}, headers=bearer(key))).status_code == 200
    assert await credit(http, key) == 0


@pytest.mark.parametrize("path", ["/v1/tts", "/fish/tts", "/api/v1/fish-audio/tts"])
async def test_recordings_are_looked_at_only_for_who_is_let_in(
    http: httpx.AsyncClient, make: Make, path: str
) -> None:
    """What cannot be decoded is told by then, and costs nothing."""
    body = {"text": TEXT, "format": "mp3", "references": [{"audio": "AAAA", "text": ""}]}
    rich, poor = await make(credit=Decimal(1)), await make(credit=Decimal(0))
    slow = await make(limits=Limits(requests_per_minute=1))
    await http.post("/v1/tts", headers=bearer(slow), json={"text": "Hi."})
    answers = [await http.post(path, headers=bearer(key), json=body) for key in (rich, poor, slow)]
    assert [answer.status_code for answer in answers] == [400, 402, 429]
    assert "references[0].audio: the recording cannot be read" in answers[0].text
    assert await credit(http, rich) == 1


async def test_a_file_that_cannot_be_kept_costs_nothing(
    http: httpx.AsyncClient, make: Make, data: Path
) -> None:
    key = await make(credit=Decimal(1))
    body = {"text": TEXT, "format": "mp3"}
    parts, away = data / "results" / "parts", data / "results" / "away"
    parts.rename(away)  # as if the disk were gone
    assert (await http.post("/fish/tts", json=body, headers=bearer(key))).status_code == 503
    away.rename(parts)
    await becomes(http, key, Decimal(1))
    assert (await http.post("/fish/tts", json=body, headers=bearer(key))).status_code == 200
    assert await credit(http, key) == 1 - COST


async def test_a_live_stream_holds_a_block_and_pays_for_what_it_said(
    keyed: Running, http: httpx.AsyncClient, make: Make
) -> None:
    key = await make(credit=Decimal(1))
    async with live(keyed, key) as socket:
        await send(socket, START)
        for word in TEXT.split(" "):
            await send(socket, {"event": "text", "text": word + " "})
        await send(socket, "flush")
        await socket.recv()
        first = len(TEXT.split(" ", 1)[0]) + 1
        assert await credit(http, key) == 1 - (first + BLOCK_UNITS["tts"]) * PRICE  # type: ignore[index]
        await send(socket, "stop", {"event": "text", "text": "This is not spoken."})
        assert (await until_finish(socket))[-1]["reason"] == "stop"
        await becomes(http, key, 1 - COST - PRICE)


async def test_a_closed_socket_gives_back_what_it_held(
    keyed: Running, http: httpx.AsyncClient, make: Make
) -> None:
    key = await make(credit=Decimal(1))
    async with live(keyed, key) as socket:
        await send(socket, START, {"event": "text", "text": TEXT}, "flush")
        await socket.recv()
    await becomes(http, key, 1 - COST)


async def test_a_live_stream_ends_where_the_credit_does(
    keyed: Running, http: httpx.AsyncClient, make: Make
) -> None:
    key = await make(credit=2 * COST)
    async with live(keyed, key) as socket:
        await send(socket, START, *[{"event": "text", "text": TEXT}] * 3)
        error, log, finish = await until_finish(socket)
        assert "credit is out" in error["error"]
        assert error["event"] == "error"
        assert "credit is out" in log["message"]
        assert finish == {"event": "finish", "reason": "error"}
        await becomes(http, key, Decimal(0))
        for _ in range(2):
            await send(socket, START, {"event": "text", "text": TEXT})
            assert [event["event"] for event in await until_finish(socket)] == ["error", "log", "finish"]


# -- the official client --------------------------------------------------------------------------------


async def test_the_sdk_reads_the_wallet(keyed: Running, make: Make, keyring: Keyring) -> None:
    key = await make(credit=Decimal("12.5"))
    await keyring.add_package(id_of(key), 1000)

    def sync() -> None:
        with FishAudio(api_key=key, base_url=keyed.url) as client:
            credits = client.account.get_credits(check_free_credit=True)
            assert (credits.credit, credits.has_free_credit) == (Decimal("12.5"), False)
            package = client.account.get_package()
            assert (package.total, package.balance, package.type, package.finished_at) == (
                1000,
                1000,
                "prepaid",
                None,
            )
            assert package.user_id == credits.user_id
            client.tts.convert(text=TEXT)
            package = client.account.get_package()
            assert (package.total, package.balance) == (1000, 1000 - len(TEXT))

    await asyncio.to_thread(sync)
    async with AsyncFishAudio(api_key=key, base_url=keyed.url) as client:
        credits = await client.account.get_credits()
        assert (credits.credit, credits.has_free_credit) == (Decimal("12.5"), None)
        assert (await client.account.get_package()).balance == 1000 - len(TEXT)


async def test_an_account_without_limits_has_endless_free_credit(keyed: Running, make: Make) -> None:
    async with AsyncFishAudio(api_key=await make(), base_url=keyed.url) as client:
        credits = await client.account.get_credits(check_free_credit=True)
        assert (credits.credit, credits.has_free_credit) == (ENDLESS, True)
        package = await client.account.get_package()
        assert (package.total, package.balance) == (0, 0)


async def test_a_wallet_is_its_owners(http: httpx.AsyncClient, make: Make) -> None:
    mine, other = await make(), await make()
    account = (await http.get("/wallet/self/package", headers=bearer(mine))).json()["user_id"]
    assert (await http.get(f"/wallet/{account}/package", headers=bearer(mine))).status_code == 200
    for path in ("package", "api-credit"):
        assert (await http.get(f"/wallet/{account}/{path}", headers=bearer(other))).status_code == 403
        assert (await http.get(f"/wallet/{account}/{path}")).status_code == 401


async def test_the_sdk_understands_every_refusal(keyed: Running, make: Make) -> None:
    async with AsyncFishAudio(api_key="any", base_url=keyed.url) as client:
        with pytest.raises(AuthenticationError):
            await client.account.get_credits()
    async with AsyncFishAudio(api_key=await make(credit=Decimal(0)), base_url=keyed.url) as client:
        with pytest.raises(APIError) as refused:
            await client.tts.convert(text=TEXT)
        assert refused.value.status == 402
    key = await make(limits=Limits(requests_per_minute=1))
    async with AsyncFishAudio(api_key=key, base_url=keyed.url) as client:
        await client.tts.convert(text=TEXT)
        with pytest.raises(RateLimitError):
            await client.tts.convert(text=TEXT)


@pytest.mark.parametrize("options", [{"credit": Decimal(0)}, {"limits": Limits(max_concurrency=1)}])
async def test_the_sdk_is_not_left_waiting_on_a_socket(
    keyed: Running, make: Make, options: dict[str, Any]
) -> None:
    """An error for the utterance, or the end of the socket: the client raises either way, and its user knows."""
    key = await make(**options)

    def speak() -> None:
        with FishAudio(api_key=key, base_url=keyed.url) as client, pytest.raises(WebSocketError):
            list(client.tts.stream_websocket([TEXT]))

    async with live(keyed, key) as socket:
        await send(socket, START, {"event": "text", "text": TEXT}, "flush")
        await socket.recv()  # where there may be only one, this is it
        await asyncio.to_thread(speak)
