"""Cover pictures: told by content, and measured by their headers; never decoded here."""

import struct
from collections.abc import Iterator

MAX_SIDE = 4096
"""Points. A page that shows pictures unpacks each: four bytes a point, however few it has come in."""

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD9))
_JPEG_NO_FRAMES = (0xC4, 0xC8, 0xCC)


class BadPicture(ValueError):
    """Nothing that could be a cover; the text tells its sender why."""


def picture_type(data: bytes) -> str:
    """The media type of a PNG, JPEG or WebP. Raises :class:`BadPicture`.

    Nothing else is taken: SVG may hold scripts. What moves is no cover.
    """
    try:
        kind, moves, sizes = _measured(data)
    except (struct.error, IndexError):
        raise BadPicture("the picture is cut off") from None
    if moves:
        raise BadPicture("got a picture that moves; expected one that does not")
    if not sizes:
        raise BadPicture("the picture is cut off")
    for width, height in sizes:
        if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
            raise BadPicture(f"got {width} × {height} points; expected 1 to {MAX_SIDE} each way")
    return kind


def _measured(data: bytes) -> tuple[str, bool, list[tuple[int, int]]]:
    """The media type, whether it moves, and all widths and heights that the file claims."""
    if data.startswith(_PNG):
        chunks = list(_png_chunks(data))
        if not chunks or chunks[0][0] != b"IHDR":
            raise IndexError
        sizes = [struct.unpack_from(">II", data, at) for name, at in chunks if name == b"IHDR"]
        return "image/png", any(name == b"acTL" for name, _ in chunks), sizes
    if data.startswith(b"\xff\xd8\xff"):
        frames = [struct.unpack_from(">HH", data, at) for at in _jpeg_frames(data)]
        return "image/jpeg", False, [(width, height) for height, width in frames]
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        found = list(_webp_chunks(data))
        moves = any(name in (b"ANIM", b"ANMF") for name, _ in found)
        return "image/webp", moves, [size for name, at in found if (size := _webp_size(data, name, at))]
    raise BadPicture("expected a picture as PNG, JPEG or WebP")


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """The names of chunks up to the image itself, and where their contents begin."""
    at = len(_PNG)
    while at < len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        yield name, at + 8
        if name == b"IDAT":
            return
        at += 12 + length


def _jpeg_frames(data: bytes) -> Iterator[int]:
    """Where the height and width of each frame stand, up to the first scan."""
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # filling
            at += 1
        elif marker in _JPEG_WITHOUT_LENGTH:
            at += 2
        elif marker == 0xDA:
            return
        else:
            if 0xC0 <= marker <= 0xCF and marker not in _JPEG_NO_FRAMES:
                yield at + 5
            at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """The names of chunks, and where their contents begin."""
    at = 12
    while at + 8 <= len(data):
        name, length = struct.unpack_from("<4sI", data, at)
        yield name, at + 8
        at += 8 + length + length % 2


def _webp_size(data: bytes, name: bytes, at: int) -> tuple[int, int] | None:
    match name:
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", data, at + 6)
            return width & 0x3FFF, height & 0x3FFF
        case b"VP8L":
            (bits,) = struct.unpack_from("<I", data, at + 1)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            canvas = data[at + 4 : at + 10]
            return int.from_bytes(canvas[:3], "little") + 1, int.from_bytes(canvas[3:], "little") + 1
    return None
