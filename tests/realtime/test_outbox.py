"""What waits to be told: in order, joined where it can be, and never too much."""

from realtime.conversation.events import ConversationEvent, ReplyText, Thinking
from realtime.outbox import Outbox


async def told(outbox: Outbox) -> list[ConversationEvent]:
    outbox.close()
    return [event async for event in outbox]


async def test_words_of_one_reply_that_wait_are_one_event() -> None:
    outbox = Outbox(10)
    events = [Thinking(1), ReplyText(1, "It "), ReplyText(1, "is "), ReplyText(2, "No"), Thinking(3)]
    for event in [*events, ReplyText(2, ".")]:
        assert outbox.put(event)
    assert await told(outbox) == [
        Thinking(1),
        ReplyText(1, "It is "),
        ReplyText(2, "No"),
        Thinking(3),
        ReplyText(2, "."),
    ]


async def test_no_event_has_all_the_words_in_the_world() -> None:
    outbox = Outbox(10)
    for _ in range(1000):
        assert outbox.put(ReplyText(1, "x" * 20))
    events = await told(outbox)
    assert len(events) == 5
    assert all(isinstance(event, ReplyText) and len(event.text) <= 4200 for event in events)


async def test_more_than_may_wait_does_not() -> None:
    outbox = Outbox(2)
    assert [outbox.put(Thinking(number)) for number in range(3)] == [True, True, False]
    assert await told(outbox) == [Thinking(0), Thinking(1)]
