"""``/v1/webrtc`` over real HTTP: what is answered, refused and freed."""

import asyncio
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from tests.transports.conftest import Running, run_server
from tests.transports.webrtc.client import RATE, SDP, Client, client
from tests.transports.webrtc.test_sdp import AUDIO, CANDIDATE, CHANNEL, SESSION, offer, sdp
from transports.accounts import Keyring, Limits
from transports.settings import Settings
from transports.store import Database, database_url
from transports.webrtc import WebRtcConfig

FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
HOST = re.compile(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host")


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, str, str, str]]:
    """A server behind a NAT, with few ports; keys of three accounts, the last for two requests at once."""
    data = tmp_path_factory.mktemp("apart")
    keys = asyncio.run(_keys(data))
    webrtc = WebRtcConfig(
        announced=("203.0.113.9",),
        ports=(41_000, 41_009),
        ice_servers=("stun:stun.example.net", "turn:turn.example.net?transport=udp"),
        turn_secret="north",
        max_sdp_bytes=5000,
        max_candidates=3,
    )
    settings = Settings(port=0, data=data, webrtc=webrtc, allowed_origins=("https://page.example",))
    for running in run_server(settings):
        yield running, *keys


async def _keys(data: Path) -> tuple[str, str, str]:
    database = Database(database_url(None, data))
    await database.start()
    ring = Keyring(database)
    first = await ring.create("first")
    second = await ring.create("second", account="another")
    narrow = await ring.create("narrow", limits=Limits(max_concurrency=2))
    await database.close()
    return first, second, narrow


async def test_an_offer_is_answered_with_what_whip_asks_for(rtc: Running) -> None:
    async with client(rtc.url) as peer:
        response = await peer.post(await peer.offer())
        assert response.status_code == 201
        assert response.headers["Content-Type"] == "application/sdp"
        assert response.headers["Location"].startswith("/v1/webrtc/")
        assert re.fullmatch(r'"[0-9a-f]{16}"', response.headers["ETag"])
        assert "a=setup:active" in response.text
        assert (await peer.http.delete(peer.location)).status_code == 200
        assert (await peer.http.delete(peer.location)).status_code == 404


async def test_after_a_delete_the_peer_hears_nothing_more_and_all_is_free(rtc: Running) -> None:
    async with client(rtc.url) as peer:
        await peer.connect()
        peer.say("start", request={"text": "One after the other the boats came home. " * 10})
        await peer.until_heard(0.3)
        await peer.http.delete(peer.location)
        assert not len(rtc.services.peers)
        await asyncio.to_thread(rtc.until_idle)


async def test_a_peer_that_vanishes_is_noticed(rtc: Running) -> None:
    before = open_files()
    async with client(rtc.url, voice=np.zeros(RATE, np.float32)) as peer:
        await peer.connect()
        peer.say("start", request={"text": "One after the other the boats came home. " * 10})
        await peer.until_heard(0.3)
        await peer.vanish()
        await asyncio.to_thread(rtc.until, lambda: not len(rtc.services.peers), "the peer to be let go")
        await asyncio.to_thread(rtc.until_idle)
        await asyncio.to_thread(rtc.until, lambda: not rtc.services.ears.streams, "no ears")
    await asyncio.to_thread(rtc.until, lambda: open_files() <= before, f"{before} open files")


async def test_a_peer_that_never_comes_is_let_go(rtc: Running) -> None:
    async with httpx.AsyncClient(base_url=rtc.url) as http:
        response = await http.post("/v1/webrtc", content=offer(), headers=SDP)
        assert response.status_code == 201
        assert len(rtc.services.peers) == 1
        await asyncio.to_thread(rtc.until, lambda: not len(rtc.services.peers), "the peer to be let go")


async def test_there_is_room_for_so_many_and_a_place_that_is_free_is_taken(rtc: Running) -> None:
    async with httpx.AsyncClient(base_url=rtc.url) as http:
        there = [await http.post("/v1/webrtc", content=offer(), headers=SDP) for _ in range(4)]
        assert [response.status_code for response in there] == [201] * 4
        refused = await http.post("/v1/webrtc", content=offer(), headers=SDP)
        assert refused.status_code == 503
        assert refused.headers["Retry-After"] == "1"
        assert "4 WebRTC peers" in refused.json()["message"]
        await http.delete(there[0].headers["Location"])
        again = await http.post("/v1/webrtc", content=offer(), headers=SDP)
        assert again.status_code == 201
        for response in (*there[1:], again):
            await http.delete(response.headers["Location"])


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        (offer(), {"Content-Type": "application/json"}, 415, "Content-Type: got 'application/json'"),
        (offer(), {}, 415, "Content-Type: got ''"),
        (b"\xff\xfe", SDP, 400, "not UTF-8"),
        ("", SDP, 400, "media sections"),
        ("v=0\r\n" * 20_000, SDP, 413, "larger than"),
        (offer(without="a=fingerprint"), SDP, 400, "no a=fingerprint"),
        (offer(instead=("a=setup:actpass", "a=setup:holdconn")), SDP, 400, "not a session description"),
        (sdp(*SESSION, *CHANNEL), SDP, 400, "offer: "),
        (sdp(*SESSION, *AUDIO, *[f"a={CANDIDATE}"] * 65, *CHANNEL), SDP, 413, "65 candidates"),
    ],
)
async def test_what_cannot_be_answered_is_refused_and_leaves_nothing(
    rtc: Running, body: str | bytes, headers: dict[str, str], status: int, reason: str
) -> None:
    async with httpx.AsyncClient(base_url=rtc.url) as http:
        response = await http.post("/v1/webrtc", content=body, headers=headers)
        assert response.status_code == status, response.text
        assert reason in response.json()["message"]
    assert not len(rtc.services.peers)


async def test_candidates_that_come_later_connect(rtc: Running) -> None:
    async with client(rtc.url) as peer:
        text = await peer.offer()
        candidates = re.findall(r"a=candidate:.*", text)
        mid = peer.connection.getTransceivers()[0].mid
        response = await peer.post(re.sub(r"a=(candidate:.*|end-of-candidates)\r\n", "", text))
        assert response.status_code == 201
        fragment = sdp(f"a=mid:{mid}", *candidates, "a=end-of-candidates")
        patched = await peer.http.patch(
            peer.location, content=fragment, headers=FRAGMENT | {"If-Match": peer.etag}
        )
        assert (patched.status_code, patched.content) == (204, b"")
        await asyncio.wait_for(peer.opened.wait(), 10)


async def test_a_patch_has_to_name_the_session_and_cannot_restart_it(rtc: Running) -> None:
    async with client(rtc.url) as peer:
        assert (await peer.post(await peer.offer())).status_code == 201

        async def patch(text: str, **headers: str) -> httpx.Response:
            return await peer.http.patch(peer.location, content=text, headers=FRAGMENT | headers)

        candidate = sdp("a=mid:0", f"a={CANDIDATE}")
        etag = {"If-Match": peer.etag}
        assert (await patch(candidate)).status_code == 428
        assert (await patch(candidate, **{"If-Match": '"another"'})).status_code == 412
        assert (await patch(candidate, **{"If-Match": "*"})).status_code == 422
        restart = await patch(sdp("a=ice-ufrag:anew", "a=ice-pwd:x", "a=mid:0", f"a={CANDIDATE}"), **etag)
        assert restart.status_code == 422
        assert "DELETE" in restart.json()["message"]
        assert (await patch(candidate, **etag | {"Content-Type": "application/sdp"})).status_code == 415
        assert (await patch(sdp(f"a={CANDIDATE}"), **etag)).status_code == 400
        many = [f"a=candidate:1 1 udp 1 192.0.2.7 {port} typ host" for port in range(1000, 1060)]
        assert (await patch(sdp("a=mid:0", *many), **etag)).status_code == 204
        assert (await patch(sdp("a=mid:0", *many), **etag)).status_code == 413
        missing = await peer.http.patch("/v1/webrtc/none", content=candidate, headers=FRAGMENT | etag)
        assert missing.status_code == 404


async def test_a_key_is_needed_and_sessions_are_those_of_an_account(
    apart: tuple[Running, str, str, str],
) -> None:
    running, first, second, _ = apart
    async with httpx.AsyncClient(base_url=running.url) as nobody, client(running.url, key=second) as other:
        for method, path in (("POST", ""), ("OPTIONS", ""), ("PATCH", "/x"), ("DELETE", "/x")):
            refused = await nobody.request(method, f"/v1/webrtc{path}", content=offer(), headers=SDP)
            assert refused.status_code == 401, method
            assert refused.headers["WWW-Authenticate"] == "Bearer"
        wrong = await nobody.post("/v1/webrtc", content=offer(), headers=SDP | {"Authorization": "Bearer no"})
        assert wrong.status_code == 401
        mine = {"Authorization": f"Bearer {first}"}
        begun = await nobody.post("/v1/webrtc", content=offer(), headers=SDP | mine)
        assert begun.status_code == 201
        assert (await other.http.delete(begun.headers["Location"])).status_code == 404
        assert (await nobody.delete(begun.headers["Location"], headers=mine)).status_code == 200


async def test_a_key_has_no_more_peers_than_requests(apart: tuple[Running, str, str, str]) -> None:
    running, first, _, narrow = apart
    mine, limited = ({"Authorization": f"Bearer {key}"} | SDP for key in (first, narrow))
    async with httpx.AsyncClient(base_url=running.url) as http:
        there = [await http.post("/v1/webrtc", content=offer(), headers=limited) for _ in range(2)]
        assert [response.status_code for response in there] == [201, 201]
        refused = await http.post("/v1/webrtc", content=offer(), headers=limited)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1")
        other = await http.post("/v1/webrtc", content=offer(), headers=mine)
        assert other.status_code == 201
        for response in there:
            await http.delete(response.headers["Location"], headers=limited)
        await http.delete(other.headers["Location"], headers=mine)
        again = await http.post("/v1/webrtc", content=offer(), headers=limited)
        assert again.status_code == 201
        await http.delete(again.headers["Location"], headers=limited)


async def test_the_answer_names_the_announced_address_and_ports_of_the_range(
    apart: tuple[Running, str, str, str],
) -> None:
    running, key, *_ = apart
    mine = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=running.url, headers=mine) as http:
        response = await http.post("/v1/webrtc", content=offer(), headers=SDP)
        hosts = HOST.findall(response.text)
        reached = {(host, int(port)) for host, port in hosts if host != "127.0.0.1"}
        assert reached, response.text
        assert {host for host, _ in reached} == {"203.0.113.9"}
        assert all(41_000 <= int(port) <= 41_009 for _, port in hosts)
        assert "srflx" not in response.text
        links = response.headers.get_list("Link")
        assert links[0] == '<stun:stun.example.net>; rel="ice-server"'
        assert 'credential-type="password"' in links[1]
        await http.delete(response.headers["Location"])


async def test_without_a_free_port_there_is_a_clear_refusal(apart: tuple[Running, str, str, str]) -> None:
    running, key, *_ = apart
    taken: list[socket.socket] = []
    try:
        for port in range(41_000, 41_010):
            for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
                sock = socket.socket(family, socket.SOCK_DGRAM)
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.bind((address, port))
                taken.append(sock)
        headers = SDP | {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=running.url, headers=headers) as http:
            response = await http.post("/v1/webrtc", content=offer())
            assert response.status_code == 503
            assert "41000-41009" in response.json()["message"]
    finally:
        for sock in taken:
            sock.close()


async def test_limits_are_the_operators(apart: tuple[Running, str, str, str]) -> None:
    running, key, *_ = apart
    headers = SDP | {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=running.url, headers=headers) as http:
        long = await http.post("/v1/webrtc", content=offer() + "a=x\r\n" * 1000)
        assert (long.status_code, "5000 bytes" in long.json()["message"]) == (413, True)
        many = await http.post("/v1/webrtc", content=sdp(*SESSION, *AUDIO, *[f"a={CANDIDATE}"] * 4, *CHANNEL))
        assert "at most 3" in many.json()["message"]


async def test_a_page_of_another_site_may_read_the_headers(apart: tuple[Running, str, str, str]) -> None:
    running, key, *_ = apart
    origin = {"Origin": "https://page.example"}
    asks: dict[str, Any] = {
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "if-match",
    }
    async with httpx.AsyncClient(base_url=running.url, headers=origin) as http:
        preflight = await http.options("/v1/webrtc/x", headers=asks)
        assert preflight.status_code == 200
        mine = {"Authorization": f"Bearer {key}"}
        options = await http.options("/v1/webrtc", headers=mine)
        assert (options.status_code, options.headers["Accept-Post"]) == (204, "application/sdp")
        assert len(options.headers.get_list("Link")) == 2
        exposed = options.headers["Access-Control-Expose-Headers"]
        assert {"Location", "ETag", "Link"} <= {name.strip() for name in exposed.split(",")}


def test_a_server_that_is_ended_lets_a_peer_hear_the_end_of_it(tmp_path: Path) -> None:
    servers = run_server(Settings(port=0, data=tmp_path))
    running = next(servers)

    async def listen() -> tuple[Client, int]:
        async with client(running.url) as peer:
            await peer.connect()
            peer.say("start", request={"text": "The teacher asked why the sky looks blue."})
            peer.say("stop")
            await peer.until_heard(0.3)
            running.interrupt()
            await peer.until("finish")
            refused = await peer.http.post("/v1/webrtc", content=offer(), headers=SDP)
            return peer, refused.status_code

    peer, status = asyncio.run(listen())
    assert status == 503
    assert len(peer.pcm) / RATE > 1.5
    for _ in servers:
        pass


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
