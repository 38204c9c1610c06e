"""On whose behalf something is done, and where in a trace that is."""

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import origin
from engine.origin import Origin, TraceParent, current, trace_headers, within

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
HEADER = f"00-{TRACE}-{SPAN}-01"


def test_a_traceparent_is_read_and_written() -> None:
    place = TraceParent.parse(HEADER, "vendor=1,other=2")
    assert place == TraceParent(TRACE, SPAN, True, "vendor=1,other=2")
    assert place.headers == {"traceparent": HEADER, "tracestate": "vendor=1,other=2"}


@pytest.mark.parametrize(
    ("header", "sampled"),
    [(f"00-{TRACE}-{SPAN}-00", False), (f"00-{TRACE}-{SPAN}-03", True), (f"00-{TRACE}-{SPAN}-02", False)],
)
def test_its_flags_say_whether_it_is_sampled(header: str, sampled: bool) -> None:
    place = TraceParent.parse(header)
    assert place is not None
    assert place.sampled is sampled


def test_of_a_later_version_what_we_know_is_taken() -> None:
    assert TraceParent.parse(f"01-{TRACE}-{SPAN}-01-more") == TraceParent(TRACE, SPAN, True)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "00",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01\n",
        f"٠٠-{TRACE}-{SPAN}-01",
    ],
)
def test_a_malformed_one_is_none(header: str | None) -> None:
    assert TraceParent.parse(header) is None


@pytest.mark.parametrize("state", ["", "a" * 513, "caf\xe9=1", "a=1\n"])
def test_a_malformed_tracestate_is_none_but_the_parent_counts(state: str) -> None:
    assert TraceParent.parse(HEADER, state) == TraceParent(TRACE, SPAN, True)


@given(st.text(max_size=80))
def test_whatever_is_sent_is_read_or_is_none(text: str) -> None:
    place = TraceParent.parse(text, text)
    assert place is None or TraceParent.parse(place.headers["traceparent"]) is not None


async def test_tasks_inherit_it_and_others_do_not() -> None:
    mine = Origin("r1", "http", trace=TraceParent(TRACE, SPAN, True))
    found: list[Origin | None] = []

    async def look() -> None:
        found.append(current())

    async def serve() -> None:
        origin.begin(mine)
        await asyncio.create_task(look())

    await asyncio.create_task(serve())
    await look()
    assert found == [mine, None]


def test_a_thread_works_for_one_after_the_other() -> None:
    found: list[str] = []

    def work() -> None:
        for name in ("a", "b"):
            with within(Origin(name, "live")):
                found.append(current().request)  # type: ignore[union-attr]
        found.append(str(current()))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == ["a", "b", "None"]


def test_other_servers_are_told_only_of_a_trace_that_there_is() -> None:
    assert trace_headers() == {}
    with within(Origin("r", "http")):
        assert trace_headers() == {}
    with within(Origin("r", "http", trace=TraceParent(TRACE, SPAN, True))):
        assert trace_headers() == {"traceparent": HEADER}
