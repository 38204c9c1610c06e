"""How full the KV cache is, and how much of what was asked for was in it."""

from engine.models.dual_ar.pages import PagePool
from engine.numbers import Paged, PageNumbers
from engine.speech import StreamId, StreamOptions
from tests.engine.models.dual_ar.babble import Speaking, model
from tests.engine.models.dual_ar.test_pages import computed, positions


def test_a_pool_counts_its_pages_and_its_hits() -> None:
    pool = PagePool(pages=11, page_size=4)
    assert pool.numbers == PageNumbers(used=0, cached=0, pages=10, asked=0, found=0)
    prompt = positions(*range(1, 10))  # two whole pages, and one position of a third
    first = computed(pool, prompt, public=9, salt=b"one")
    assert pool.numbers == PageNumbers(used=3, cached=0, pages=10, asked=9, found=0)
    pool.open(prompt, 9, b"two").close()
    assert pool.numbers == PageNumbers(used=3, cached=0, pages=10, asked=18, found=8)
    first.close()
    assert pool.numbers == PageNumbers(used=0, cached=2, pages=10, asked=18, found=8)


def test_a_model_with_a_cache_tells_of_it_and_the_second_stream_finds_the_voice_there() -> None:
    babble = model(max_streams=2)
    assert isinstance(babble, Paged)
    babble.warm()
    before = babble.pages
    assert before is not None
    speaking = Speaking(babble)
    speaking.say(1, "Hello.", StreamOptions(("default",)))
    babble.step([StreamId(1)])
    during = babble.pages
    assert during is not None
    assert during.used > before.used
    assert during.asked > before.asked
    assert during.found > before.found  # the prompt of the voice, which the warming has read
    babble.release(StreamId(1))
    after = babble.pages
    assert after is not None
    assert after.used == 0
