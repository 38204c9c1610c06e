"""How much is in a message, without decoding it; and how deep it is, once that is done.

Msgpack after https://github.com/msgpack/msgpack/blob/master/spec.md, JSON after RFC 8259.
"""

from typing import Any

_BLOCK = 64 * 1024

# By first byte from 0xC0: bytes of the length that follows, and bytes that follow in any case.
_LENGTHS = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xC7: 1, 0xC8: 2, 0xC9: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4}
_FIXED = {
    **{0xC7: 1, 0xC8: 1, 0xC9: 1},  # the type of an extension, beside its length
    **{0xCA: 4, 0xCB: 8, 0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8, 0xD0: 1, 0xD1: 2, 0xD2: 4, 0xD3: 8},
    **{0xD4: 2, 0xD5: 3, 0xD6: 5, 0xD7: 9, 0xD8: 17},
    **{0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4},  # how many items follow: each is counted when it comes
}


def few_in_msgpack(data: bytes, most: int) -> bool:
    """Whether a msgpack message has no more than ``most`` values, keys of maps included.

    Takes time only for so many. Of what is not valid it may say either.
    """
    at, end = 0, len(data)
    for _ in range(most):
        if at >= end:
            return True
        first = data[at]
        at += 1
        if 0xA0 <= first <= 0xBF:  # a short string
            at += first & 0x1F
        elif 0xC0 <= first <= 0xDF:
            if size := _LENGTHS.get(first, 0):
                at += size + int.from_bytes(data[at : at + size], "big")
            at += _FIXED.get(first, 0)
    return at >= end


def few_in_json(data: bytes, most: int) -> bool:
    """The same of JSON, where an empty list or map counts as two values. Reads a block at a time, up to so many.

    Outside of strings each value but the first follows a comma, a colon or a bracket.
    """
    values, in_string, at = 1, False, 0
    while at < len(data) and values <= most:
        block = data[at : at + _BLOCK]
        if (len(block) - len(block.rstrip(b"\\"))) % 2:  # it would end within an escape
            block += data[at + len(block) : at + len(block) + 1]
        at += len(block)
        parts = block.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        values += sum(part.count(mark) for part in parts[in_string::2] for mark in (b",", b":", b"[", b"{"))
        in_string ^= len(parts) % 2 == 0
    return values <= most


def shallow(value: Any, most: int) -> bool:
    """Whether lists and maps lie in one another no more than ``most`` deep."""
    level = [value]
    for _ in range(most):
        level = [item for items in map(_items, level) for item in items]
        if not level:
            return True
    return not any(isinstance(item, dict | list) for item in level)


def _items(value: Any) -> Any:
    match value:
        case dict():
            return value.values()
        case list():
            return value
        case _:
            return ()
