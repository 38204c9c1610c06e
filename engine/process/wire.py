"""Frozen dataclasses as bytes and back, for two processes of the same program.

A message is its length (four bytes, big-endian) and MessagePack: the number of its type, then its fields in
their order. Samples are their raw float32 bytes, in this machine's order. Text is UTF-8 that may hold lone
surrogates, as a stranger's may. What arrives is read by the types of the fields: nothing in it can name another.
"""

import dataclasses
import functools
import struct
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NewType, Union, get_args, get_origin, get_type_hints

import numpy as np
import ormsgpack

LARGEST = 1 << 26
"""Bytes of a message at most; whoever sends more has gone mad."""

_LENGTH = struct.Struct("!I")


class Wire:
    """Packs and reads messages of these types, which both sides list in the same order."""

    def __init__(self, *messages: type) -> None:
        self._numbers = {message: number for number, message in enumerate(messages)}
        self._readers = [_reader(message) for message in messages]

    def pack(self, message: object) -> bytes:
        """A message with its length. Raises TypeError or ValueError if a value in it cannot be sent."""
        body = ormsgpack.packb([self._numbers[type(message)], _plain(message)])
        if len(body) > LARGEST:
            raise ValueError(f"a message of {len(body)} bytes; at most {LARGEST} can be sent")
        return _LENGTH.pack(len(body)) + body

    def read(self, body: bytes | bytearray) -> Any:
        """The message of which these are the bytes after its length."""
        number, fields = ormsgpack.unpackb(body)
        return self._readers[number](fields)


class Splitter:
    """Bytes as they come → whole messages."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def push(self, data: bytes) -> Iterator[bytes]:
        """The bodies of the messages that end in ``data``. Raises ValueError for one that is too long."""
        self._bytes += data
        at = 0
        while len(self._bytes) - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._bytes, at)
            if length > LARGEST:
                raise ValueError(f"a message of {length} bytes")
            end = at + _LENGTH.size + length
            if len(self._bytes) < end:
                break
            yield bytes(self._bytes[at + _LENGTH.size : end])
            at = end
        del self._bytes[:at]


def _plain(value: Any) -> Any:
    """A value as MessagePack knows it."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass")
    if value is None or isinstance(value, bool | int | float | bytes):
        return value
    if isinstance(value, np.ndarray):
        return np.ascontiguousarray(value, np.float32).tobytes()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value):
        type_: Any = type(value)
        return [_plain(getattr(value, name)) for name in _names(type_)]
    raise TypeError(f"a {type(value).__name__} cannot be sent")


@functools.cache
def _names(type_: Any) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(type_))


@functools.cache
def _reader(type_: Any) -> Callable[[Any], Any]:
    """What makes a value of a type out of what :func:`_plain` made of it."""
    if isinstance(type_, NewType):
        return _reader(type_.__supertype__)
    if type_ is str:
        return lambda value: value.decode("utf-8", "surrogatepass")
    if type_ in (bool, int, float, bytes, type(None)):
        return _as_it_is
    if get_origin(type_) is np.ndarray:
        return lambda value: np.frombuffer(value, np.float32)
    if get_origin(type_) is tuple:
        return _tuple_reader(get_args(type_))
    if get_origin(type_) in (Union, types.UnionType):
        (some,) = (_reader(option) for option in get_args(type_) if option is not types.NoneType)
        return lambda value: None if value is None else some(value)
    hints = get_type_hints(type_)
    readers = [_reader(hints[name]) for name in _names(type_)]
    return lambda value: type_(*_each(readers, value))


def _tuple_reader(items: Sequence[Any]) -> Callable[[Any], Any]:
    if len(items) == 2 and items[1] is Ellipsis:
        every = _reader(items[0])
        return lambda value: tuple(map(every, value))
    readers = [_reader(item) for item in items]
    return lambda value: tuple(_each(readers, value))


def _each(readers: Sequence[Callable[[Any], Any]], values: Sequence[Any]) -> Iterator[Any]:
    return (read(value) for read, value in zip(readers, values, strict=True))


def _as_it_is(value: Any) -> Any:
    return value
