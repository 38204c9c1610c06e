"""What a fleet survives, and what its servers have in common: small runs of ``python -m benchmarks.fleet``."""

import httpx
import pytest

from benchmarks.client import clock
from benchmarks.fleet import ending, sharing, strangers
from benchmarks.fleet.fleet import Fleet
from benchmarks.fleet.load import Call, one_call
from benchmarks.fleet.results import Row
from tests.deploy.conftest import STREAMS

pytestmark = pytest.mark.timeout(600)  # the first of them waits for three servers to start


def missed(rows: list[Row]) -> list[Row]:
    """The targets that are not met, but for those of time: this machine may be busy."""
    return [row for row in rows if not row.reached and not row.target.endswith(("ms", "less"))]


async def test_a_voice_made_on_one_server_is_spoken_with_on_the_others_at_once(fleet: Fleet) -> None:
    rows, _ = await sharing.voices(fleet)
    assert not missed(rows)


async def test_a_full_fleet_refuses_sockets_and_requests(fleet: Fleet) -> None:
    rows, found = await sharing.refusals(fleet, STREAMS, 10)
    assert not missed(rows)
    assert {one["status"] for one in found["refusals"]} == {503}
    async with httpx.AsyncClient(base_url=fleet.url, trust_env=False) as http, sharing.full(fleet, STREAMS):
        # What takes no stream is served all the same.
        for path in ("/health", "/model", "/v1/models", "/"):
            assert (await http.get(path)).status_code == 200


async def test_who_finds_one_server_full_is_served_by_another(fleet: Fleet) -> None:
    async with sharing.full(fleet, STREAMS, fleet.replicas[:2]):
        for _ in range(4):  # from the first moment, when the balancer does not know it yet
            call = Call(clock())
            await one_call(fleet.server, "Hello there. How are you?", call)
            assert (call.problem, call.replica) == (None, fleet.replicas[2].name)


async def test_limits_are_shared_and_what_a_killed_server_held_is_given_back(fleet: Fleet) -> None:
    rows, found = await sharing.limits(fleet)
    assert not missed(rows)
    assert found["given_back"] is not None


async def test_killing_a_server_loses_its_own_streams_only(fleet: Fleet) -> None:
    rows, _ = await ending.kill(fleet, 3, 1, seconds=2.0)
    assert not missed(rows)


async def test_a_server_that_is_restarted_loses_nothing(fleet: Fleet) -> None:
    rows, _ = await ending.restart(fleet, 3, 1, fleet.replicas[:1])
    assert not missed(rows)


@pytest.mark.parametrize("work", [strangers.fuzz, strangers.vanish])
async def test_strangers_leave_nothing_behind(fleet: Fleet, work: strangers.Work) -> None:
    rows, _ = await work(fleet, 3000 if work is strangers.fuzz else 60, 1, lambda _: None)
    assert not missed(rows)
