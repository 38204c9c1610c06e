"""A peer whose recogniser fails: it is told so, is heard no more, and pays for no more."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from realtime.ears import RecogniserChoice
from tests.transports.conftest import Running, run_server
from tests.transports.webrtc.client import RATE, client
from tests.transports.webrtc.conftest import said
from transports.accounts import Admission
from transports.settings import Settings

# Nothing listens there.
NOBODY = RecogniserChoice("openai", "none", "http://127.0.0.1:9/v1")


@pytest.fixture
def deaf(tmp_path: Path) -> Iterator[Running]:
    yield from run_server(Settings(port=0, data=tmp_path, asr=NOBODY))


async def test_who_is_not_heard_any_more_does_not_pay_any_more(deaf: Running) -> None:
    accounts = deaf.services.accounts
    admit, admitted = accounts.admit, list[Admission]()

    async def kept(*about: Any, **more: Any) -> Admission:
        admitted.append(await admit(*about, **more))
        return admitted[-1]

    accounts.admit = kept  # type: ignore[method-assign]
    voice = np.concatenate([said("We should leave before the rain starts."), np.zeros(2 * RATE, np.float32)])
    async with client(deaf.url, voice=voice) as peer:
        await peer.connect()
        assert "recogniser" in (await peer.until("error"))["message"]
        (hearing,) = admitted
        paid = hearing._units
        assert paid > 0
        peer.say("start", request={"text": "But it is still spoken to."})
        peer.say("stop")
        await peer.until("finish")
        assert peer.voice is not None
        await asyncio.wait_for(peer.voice.said.wait(), 20)
        assert hearing._units == paid
