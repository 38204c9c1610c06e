"""Who may have a call taken, and who may not."""

import asyncio
import time
from contextlib import AsyncExitStack
from pathlib import Path
from xml.etree import ElementTree

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.transports.conftest import Running, run_server
from tests.transports.metrics.page import Page
from tests.transports.telephony.conftest import MAX_CALLS, PUBLIC, TOKEN, Provider, signed, stream_url
from tests.transports.telephony.phone import Phone
from transports.accounts import Keyring
from transports.cli.store import opened
from transports.settings import Settings
from transports.telephony import TelephonyConfig
from transports.telephony.routes import variants

CALL = {"CallSid": "CA1", "From": "+13125550100", "To": "+13125550199", "CallerName": "Zoë & Söhne"}
TWILIO = "wss://voice.example.com/v1/telephony/twilio"
TELNYX = "wss://voice.example.com/v1/telephony/telnyx"


async def refused(url: str, headers: dict[str, str] | None = None) -> tuple[int, str]:
    """How a socket is refused."""
    with pytest.raises(InvalidStatus) as error:
        async with connect(url, additional_headers=headers):
            pass
    return error.value.response.status_code, error.value.response.body.decode()


def test_twilio_is_answered_where_to_connect(phones: Provider) -> None:
    answer = phones.twilio(CALL)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/xml")
    root = ElementTree.fromstring(answer.text)
    assert [element.tag for element in root.iter()] == ["Response", "Connect", "Stream"]
    assert root[0][0].attrib["url"].startswith(f"{TWILIO}/twilio.")
    assert "?" not in root[0][0].attrib["url"], "which Twilio would refuse"


@pytest.mark.parametrize(("query", "codec"), [("", "PCMU"), ("?codec=PCMA", "PCMA")])
def test_telnyx_is_answered_where_to_connect_and_how(phones: Provider, query: str, codec: str) -> None:
    answer = phones.telnyx(CALL, query=query)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/xml")
    (stream,) = ElementTree.fromstring(answer.text).iter("Stream")
    assert stream.attrib.pop("url").startswith(f"{TELNYX}/telnyx.")
    assert stream.attrib == {"codec": codec, "bidirectionalMode": "rtp", "bidirectionalCodec": codec}


def test_a_codec_that_is_none_is_named(phones: Provider) -> None:
    answer = phones.telnyx(CALL, query="?codec=G722")
    assert answer.status_code == 400
    assert "codec" in answer.json()["message"]


def test_what_twilio_has_not_signed_is_refused(phones: Provider) -> None:
    for answer in (
        phones.twilio(CALL, token="54321"),
        phones.twilio(CALL, without=("X-Twilio-Signature",)),
        phones.post("/v1/telephony/twilio", b"CallSid=CA1", signed(PUBLIC + "/v1/telephony/twilio")),
        phones.post("/v1/telephony/twilio", b"", signed("https://other.example.com/v1/telephony/twilio")),
    ):
        assert answer.status_code == 403
        message = answer.json()["message"]
        assert message == f"X-Twilio-Signature: not that of a request to {PUBLIC}/v1/telephony/twilio"
    assert phones.twilio(CALL, query="?a=b").status_code == 200, "the query is signed, too"


def test_what_telnyx_has_not_signed_is_refused(phones: Provider) -> None:
    for answer in (
        phones.telnyx(CALL, key=Ed25519PrivateKey.generate()),
        phones.telnyx(CALL, ago=400),
        phones.telnyx(CALL, ago=-400),
        phones.telnyx(CALL, without=("telnyx-timestamp",)),
        phones.telnyx(CALL, without=("telnyx-signature-ed25519",)),
    ):
        assert answer.status_code == 403
        assert "telnyx-signature-ed25519" in answer.json()["message"]


def test_a_call_of_twilios_has_an_id(phones: Provider) -> None:
    answer = phones.twilio({"From": "+13125550100"})
    assert answer.status_code == 400
    assert answer.json()["message"] == "CallSid: missing; expected the id of the call"


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"\xff=\xfe", 400), (b"&".join(b"a=%d" % n for n in range(201)), 400), (b"a" * 70_000, 413)],
)
def test_a_webhook_that_is_no_form_is_refused(phones: Provider, body: bytes, status: int) -> None:
    assert phones.post("/v1/telephony/twilio", body, {}).status_code == status


async def test_a_ticket_opens_one_socket(phones: Provider) -> None:
    url = phones.local(stream_url(phones.twilio(CALL).text))
    async with Phone(url, "twilio") as phone:
        assert await refused(url) == (
            403,
            '{"message":"the address of this call was used, or it is too old","status":403}',
        )
        await phone.hang_up()
        await phone.over.wait()
    assert (await refused(url))[0] == 403


async def test_a_ticket_is_for_its_provider_and_its_call(phones: Provider) -> None:
    url = phones.local(stream_url(phones.twilio(CALL).text))
    assert (await refused(url.replace("/twilio/", "/telnyx/")))[0] == 403
    async with Phone(url, "twilio", call="CA2") as phone:
        await phone.over.wait()
        assert phone.socket.close_code == 1008


@pytest.mark.parametrize(
    "headers",
    [{}, {"X-Twilio-Signature": ""}, signed(TWILIO, "54321"), signed(TWILIO + "x"), signed(PUBLIC)],
)
async def test_a_socket_without_a_ticket_has_to_be_signed(phones: Provider, headers: dict[str, str]) -> None:
    status, told = await refused(phones.local(TWILIO), headers)
    assert status == 403
    assert f"X-Twilio-Signature: not that of a request to {TWILIO}" in told


async def test_a_socket_that_is_signed_needs_no_ticket(phones: Provider) -> None:
    for address in (TWILIO, TWILIO + "/", TWILIO.replace(".com", ".com:443")):
        async with Phone(phones.local(TWILIO), "twilio", headers=signed(address)) as phone:
            await phone.hang_up()
            await phone.over.wait()
            assert phone.socket.close_code == 1000


async def test_a_wrong_signature_is_not_made_good_by_a_ticket(phones: Provider) -> None:
    url = stream_url(phones.twilio(CALL).text)
    assert (await refused(phones.local(url), signed(url, "54321")))[0] == 403
    url = stream_url(phones.twilio(CALL).text)
    async with Phone(phones.local(url), "twilio", headers=signed(url)) as phone:
        await phone.hang_up()
        await phone.over.wait()


@pytest.mark.parametrize("ticket", ["", "/", "/x", "/telnyx.1.2.3.4", "/" + "a" * 5000])
async def test_a_socket_of_telnyx_needs_a_ticket(phones: Provider, ticket: str) -> None:
    assert (await refused(phones.local(TELNYX) + ticket))[0] in (403, 404)


async def test_a_page_of_another_site_opens_no_socket(phones: Provider) -> None:
    url = phones.local(stream_url(phones.twilio(CALL).text))
    status, told = await refused(url, {"Origin": "https://evil.example.com"})
    assert (status, "Origin" in told) == (403, True)


async def test_who_comes_when_all_are_busy_hears_so(phones: Provider) -> None:
    late = phones.local(stream_url(phones.twilio(CALL).text))
    before = Page.of(phones.server.url)
    async with AsyncExitStack() as stack:
        calls = []
        for _ in range(MAX_CALLS):
            url = phones.local(stream_url(phones.twilio(CALL).text))
            calls.append(await stack.enter_async_context(Phone(url, "twilio")))
        for answer in (phones.twilio(CALL), phones.telnyx(CALL)):
            assert answer.status_code == 200
            (reject,) = ElementTree.fromstring(answer.text).iter("Reject")
            assert reject.attrib == {"reason": "busy"}
        assert (await refused(late))[0] == 503
        after = Page.of(phones.server.url)
        assert after.since(before, "parrotfish_refusals_total", transport="telephony", reason="full") == 3
        for call in calls:
            await call.hang_up()
            await call.over.wait()
    await asyncio.to_thread(_until_free, phones.server)
    assert "<Connect>" in phones.twilio(CALL).text


def _until_free(server: Running) -> None:
    while server.services.calls.open:
        time.sleep(0.01)


# -- servers without a provider's secret ------------------------------------------------------------------


async def test_a_server_that_is_open_takes_anybodys_call(server: Running) -> None:
    open_ = Provider(server)
    for provider in ("twilio", "telnyx"):
        answer = open_.post(f"/v1/telephony/{provider}", b"CallSid=CA1", {})
        url = stream_url(answer.text)
        assert url.startswith(server.url.replace("http", "ws")), "as it was called"
        async with Phone(url, provider) as phone:
            await phone.hang_up()
            await phone.over.wait()
        async with Phone(f"{server.url.replace('http', 'ws')}/v1/telephony/{provider}", provider) as phone:
            await phone.hang_up()
            await phone.over.wait()


async def test_a_server_with_keys_and_no_secret_takes_no_call(tmp_path: Path) -> None:
    await _key(tmp_path)
    for running in run_server(Settings(port=0, data=tmp_path)):
        provider = Provider(running)
        for name, option in (("twilio", "--twilio-token"), ("telnyx", "--telnyx-key")):
            answer = provider.post(f"/v1/telephony/{name}", b"CallSid=CA1", {})
            assert answer.status_code == 403
            assert option in answer.text
            assert (await refused(f"{running.url.replace('http', 'ws')}/v1/telephony/{name}"))[0] == 403


async def test_where_keys_are_in_use_one_of_them_pays(tmp_path: Path) -> None:
    key = await _key(tmp_path)
    for api_key, status in ((None, 403), ("pf_none", 403), (key, 200)):
        config = TelephonyConfig(twilio_token=TOKEN, api_key=api_key)
        for running in run_server(Settings(port=0, data=tmp_path, public_url=PUBLIC, telephony=config)):
            phones = Provider(running)
            answer = phones.twilio(CALL)
            assert answer.status_code == status
            if status != 200:
                assert "--phone-key" in answer.json()["message"]
                assert (await refused(phones.local(TWILIO), signed(TWILIO)))[0] == 403
                continue
            async with Phone(phones.local(stream_url(answer.text)), "twilio") as phone:
                await phone.hang_up()
                await phone.over.wait()


@pytest.mark.parametrize("host", ["a:b", "a:99999", "["])
def test_a_host_that_is_none_is_a_mistake_and_no_failure_of_ours(tmp_path: Path, host: str) -> None:
    for running in run_server(Settings(port=0, data=tmp_path, telephony=TelephonyConfig(twilio_token=TOKEN))):
        answer = httpx.post(f"{running.url}/v1/telephony/twilio", data=CALL, headers={"Host": host})
        assert 400 <= answer.status_code < 500


async def _key(data: Path) -> str:
    async with opened(data, None) as database:
        return await Keyring(database).create("me")


def test_how_twilio_may_write_an_address() -> None:
    https = variants("https://a.example/x?b=c")
    assert https == ["https://a.example/x?b=c"] * 2 + ["https://a.example:443/x?b=c"]
    assert variants("ws://[::1]:80/x")[:3] == ["ws://[::1]:80/x", "ws://[::1]/x", "ws://[::1]:80/x"]
    assert "wss://a.example/x/" in variants("wss://a.example:443/x")


def test_without_a_token_only_this_machine_calls(server: Running) -> None:
    """A tunnel ends on this machine, too, but tells whom it carries."""
    tunnel = {"X-Forwarded-For": "203.0.113.9"}
    for path in ("twilio", "telnyx"):
        address = f"{server.url}/v1/telephony/{path}"
        assert httpx.post(address, data=CALL).status_code == 200
        refusal = httpx.post(address, data=CALL, headers=tunnel)
        assert refusal.status_code == 403
        assert f"--{path}-" in refusal.json()["message"]
