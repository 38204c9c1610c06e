"""``/model`` as the official SDK drives it, sync and async, and as other clients spell it."""

import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from fishaudio import AsyncFishAudio, FishAudio
from fishaudio.exceptions import NotFoundError
from fishaudio.types import Voice

from engine.audio import decode, loudness
from tests.transports.conftest import Running, run_server
from tests.transports.voices.recordings import JPEG, PNG, SENTENCE, recording
from transports.settings import Settings


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server with a library of its own."""
    yield from run_server(Settings(port=0, data=tmp_path_factory.mktemp("library")))


@pytest.fixture(scope="module")
def sdk(library: Running) -> Iterator[FishAudio]:
    with FishAudio(api_key="any", base_url=library.url) as client:
        yield client


@pytest.fixture
async def async_sdk(library: Running) -> AsyncIterator[AsyncFishAudio]:
    async with AsyncFishAudio(api_key="any", base_url=library.url) as client:
        yield client


@pytest.fixture
def http(library: Running) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=library.url, headers={"Authorization": "Bearer any"}) as client:
        yield client


def until_trained(sdk: FishAudio, voice: str) -> Voice:
    """The voice when its training is over."""
    end = time.monotonic() + 20
    while (found := sdk.voices.get(voice)).state in ("created", "training"):
        assert time.monotonic() < end, found.state
        time.sleep(0.02)
    return found


def test_the_sdk_makes_lists_changes_and_deletes_voices(sdk: FishAudio, http: httpx.Client) -> None:
    made = sdk.voices.create(
        title="Walter's Voice",
        voices=[recording("wav"), recording("mp3")],
        texts=[SENTENCE, SENTENCE],
        description="An old man",
        tags=["male", "english"],
        cover_image=PNG,
    )
    assert (made.title, made.description, made.visibility) == ("Walter's Voice", "An old man", "private")
    assert made.state in ("created", "training", "trained")
    assert made.tags == ["male", "english"]
    assert made.author.id == "local"
    trained = until_trained(sdk, made.id)
    assert trained.state == "trained"
    assert trained.languages == ["en"]
    assert [sample.text for sample in trained.samples] == [SENTENCE, SENTENCE]
    assert http.get(trained.cover_image).content == PNG
    heard = http.get(trained.samples[1].audio)
    assert heard.headers["content-type"] == "audio/flac"
    pcm, rate = decode(heard.content)
    assert rate == 44100
    assert loudness(pcm, rate) == pytest.approx(-20, abs=1)

    mine = sdk.voices.list(self_only=True, title="walter", tags=["male", "english"], language="en")
    assert mine.total == 1
    assert mine.items[0] == sdk.voices.get(made.id)
    assert sdk.voices.list(tags=["male", "german"]).total == 0
    assert sdk.voices.list(title="zoe").total == 0

    sdk.voices.update(made.id, title="Otto", tags=["calm"], visibility="unlist", description="")
    changed = sdk.voices.get(made.id)
    assert (changed.title, changed.tags, changed.visibility) == ("Otto", ["calm"], "unlist")
    sdk.voices.update(made.id, cover_image=JPEG)
    assert http.get(changed.cover_image).headers["content-type"] == "image/jpeg"

    sdk.voices.delete(made.id)
    with pytest.raises(NotFoundError):
        sdk.voices.get(made.id)
    with pytest.raises(NotFoundError):
        sdk.voices.delete(made.id)
    assert http.get(trained.samples[1].audio).status_code == 404


async def test_the_asynchronous_sdk_does_as_well(async_sdk: AsyncFishAudio) -> None:
    made = await async_sdk.voices.create(title="Clara", voices=[recording("opus")], texts=[SENTENCE])
    found = await async_sdk.voices.list(title="Clara", sort_by="created_at", page_size=1)
    assert [voice.id for voice in found.items] == [made.id]
    await async_sdk.voices.update(made.id, title="Clara II")
    assert (await async_sdk.voices.get(made.id)).title == "Clara II"
    await async_sdk.voices.delete(made.id)
    with pytest.raises(NotFoundError):
        await async_sdk.voices.get(made.id)
