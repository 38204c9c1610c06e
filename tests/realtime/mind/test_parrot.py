from realtime.mind import Message, TextDelta
from realtime.mind.parrot import Parrot


async def said(text: str) -> str:
    thoughts = [thought async for thought in Parrot().reply([Message("user", text)], ())]
    assert all(isinstance(thought, TextDelta) for thought in thoughts)
    return "".join(thought.text for thought in thoughts if isinstance(thought, TextDelta)).strip()


async def test_it_says_back_what_it_understood() -> None:
    assert await said("Hello, who  is there?") == "Hello, who is there?"


async def test_it_says_keys_aloud() -> None:
    assert await said("My number is [keypad: 4#]") == "My number is keypad: 4#"
