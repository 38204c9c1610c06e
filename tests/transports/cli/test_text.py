import asyncio
import os
import threading

import click
import pytest

from transports.cli.text import piped_text


async def heard_from(*writes: bytes) -> list[str]:
    """What comes out of a pipe, each write read before the next one is made."""
    reading, writing = os.pipe()
    pieces = piped_text(reading)
    heard = []
    try:
        for data in writes:
            os.write(writing, data)
            heard.append(await anext(pieces))
    finally:
        os.close(writing)
        try:
            heard += [piece async for piece in pieces]
        finally:
            # The reader meets the end of the pipe now. Closed before that, the number of its descriptor would
            # go to the next pipe, of which it would eat the data.
            for thread in threading.enumerate():
                if thread.name == "parrotfish-stdin":
                    await asyncio.to_thread(thread.join)
            os.close(reading)
    return heard


async def test_text_is_passed_on_as_it_comes_without_waiting_for_a_line():
    assert await heard_from(b"Hel", b"lo", b" there") == ["Hel", "lo", " there"]


async def test_a_character_that_two_writes_share_is_whole():
    assert await heard_from(b"caf\xc3", b"\xa9, \xe2\x82", b"\xac 5") == ["caf", "é, ", "€ 5"]


async def test_a_byte_order_mark_is_no_text():
    assert "".join(await heard_from(b"\xef\xbb\xbfHello")) == "Hello"


@pytest.mark.parametrize("data", [b"caf\xe9 au lait", b"caf\xc3"])
async def test_other_encodings_are_refused_with_advice(data):
    with pytest.raises(click.ClickException, match="iconv"):
        await heard_from(data)


async def test_a_file_is_read_to_its_end(tmp_path):
    text = "Grüße aus dem Hafen. " * 10_000
    (tmp_path / "book.txt").write_text(text)
    with (tmp_path / "book.txt").open() as file:
        assert "".join([piece async for piece in piped_text(file.fileno())]) == text
