"""The mind of an agent that has none: it says back what it understood."""

from collections.abc import AsyncIterator, Sequence

from realtime.mind.base import Message, TextDelta, Thought, Tool

_BRACKETS = str.maketrans("[]", "  ")


class Parrot:
    """Repeats the caller's last words, one after the other, so that the whole loop runs without any model."""

    async def reply(self, messages: Sequence[Message], tools: Sequence[Tool]) -> AsyncIterator[Thought]:
        """The last message, word for word; a voice would take what is in brackets, such as keys, for a tag."""
        for word in messages[-1].content.translate(_BRACKETS).split():
            yield TextDelta(f"{word} ")
