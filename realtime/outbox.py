"""What a client is to be told, until it takes it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from realtime.conversation.events import ConversationEvent, ReplyText

_LONGEST = 4096  # characters of words that are joined


class Outbox:
    """Events that wait to be taken, no more than ``most``; iterated by one, until the last after :meth:`close`.

    Words of a reply that follow one another while they wait are one event: a mind may write thousands in the time
    that a slow client needs for a few.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._events: deque[ConversationEvent] = deque()
        self._news = asyncio.Event()
        self._closed = False

    def put(self, event: ConversationEvent) -> bool:
        """One more; False if too many wait."""
        match self._events[-1] if self._events else None, event:
            case ReplyText(turn, before), ReplyText(same, text) if turn == same and len(before) < _LONGEST:
                self._events[-1] = ReplyText(turn, before + text)
                return True
        if len(self._events) >= self._most:
            return False
        self._events.append(event)
        self._news.set()
        return True

    def close(self) -> None:
        """Nothing more will be told."""
        self._closed = True
        self._news.set()

    async def __aiter__(self) -> AsyncIterator[ConversationEvent]:
        """What is to be told, in order."""
        while self._events or not self._closed:
            if self._events:
                yield self._events.popleft()
            else:
                self._news.clear()
                await self._news.wait()
