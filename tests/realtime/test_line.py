"""Bytes of an output stream, cut into a line's packets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.audio import OutputFormat, output_format
from realtime.line import PacketCutter


@given(st.lists(st.binary(max_size=1000), max_size=20), st.sampled_from([8000, 16000, 24000]))
def test_packets_are_whole_and_nothing_is_lost(pieces: list[bytes], rate: int) -> None:
    cutter = PacketCutter(output_format("pcm", rate))
    packets = [packet for piece in pieces for packet in cutter.push(piece)]
    packets += cutter.flush()
    assert {len(packet) for packet in packets} <= {rate // 50 * 2}
    whole = b"".join(pieces)
    assert b"".join(packets) == whole + bytes(-len(whole) % (rate // 50 * 2))
    assert cutter.flush() == []


@pytest.mark.parametrize(("container", "silence"), [("mulaw", b"\xff"), ("alaw", b"\xd5")])
def test_telephone_packets_are_filled_up_with_their_own_silence(container: str, silence: bytes) -> None:
    cutter = PacketCutter(OutputFormat(container, 8000))  # type: ignore[arg-type]
    assert cutter.push(b"a" * 170) == [b"a" * 160]
    assert cutter.flush() == [b"a" * 10 + silence * 150]


def test_a_container_that_cannot_be_cut_is_refused() -> None:
    with pytest.raises(ValueError, match="'mp3'"):
        PacketCutter(output_format("mp3"))
