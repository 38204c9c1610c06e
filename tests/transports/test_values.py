"""Counting what is in a message without decoding it, against what a decoder finds."""

import json
from typing import Any

import ormsgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transports import values
from transports.values import few_in_json, few_in_msgpack, shallow

TRICKY = st.text(alphabet='a"\\,:[]{}é\n')
# An empty list or map counts as two in JSON.
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | TRICKY,
    lambda inner: st.lists(inner, min_size=1) | st.dictionaries(TRICKY, inner, min_size=1),
)


def count(value: Any) -> int:
    """Values, keys included."""
    match value:
        case dict():
            return 1 + sum(1 + count(item) for item in value.values())
        case list():
            return 1 + sum(map(count, value))
        case _:
            return 1


def depth(value: Any) -> int:
    match value:
        case dict():
            return 1 + max(map(depth, value.values()), default=0)
        case list():
            return 1 + max(map(depth, value), default=0)
        case _:
            return 0


@given(VALUES, st.integers(1, 70), st.booleans())
def test_json_is_counted_exactly_wherever_its_blocks_end(value: Any, block: int, ascii_: bool) -> None:
    data = json.dumps(value, ensure_ascii=ascii_).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(values, "_BLOCK", block)
        assert few_in_json(data, count(value))
        assert not few_in_json(data, count(value) - 1)


@given(VALUES)
def test_msgpack_is_counted_exactly(value: Any) -> None:
    data = ormsgpack.packb(value)
    assert few_in_msgpack(data, count(value))
    assert not few_in_msgpack(data, count(value) - 1)


@given(VALUES)
def test_depth(value: Any) -> None:
    assert shallow(value, depth(value))
    assert depth(value) == 0 or not shallow(value, depth(value) - 1)


@given(st.binary())
def test_noise_is_counted_without_a_fault(data: bytes) -> None:
    assert few_in_json(data, len(data) + 1)
    assert few_in_msgpack(data, len(data) + 1)


def test_empty_lists_count_as_two() -> None:
    assert few_in_json(b"[[], {}]", 5)
    assert not few_in_json(b"[[], {}]", 4)
