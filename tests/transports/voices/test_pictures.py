"""Cover pictures: which are taken, and which would be too much for whoever shows them."""

import struct
import zlib

import pytest

from tests.transports.voices.recordings import JPEG, PNG, SVG, WEBP, picture
from transports.voices.pictures import BadPicture, picture_type


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (PNG, "image/png"),
        (JPEG, "image/jpeg"),
        (WEBP, "image/webp"),
        (picture("png", "image2pipe", 4096, 2), "image/png"),
        (PNG + SVG, "image/png"),  # it is shown as what it begins as, and nothing else
    ],
)
def test_pictures_that_are_taken(data: bytes, kind: str) -> None:
    assert picture_type(data) == kind


def png(width: int, height: int) -> bytes:
    """The largest comes in a few bytes."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))


def jpeg(width: int, height: int, marker: int = 0xC0) -> bytes:
    at = JPEG.index(bytes([0xFF, 0xC0])) + 5
    changed = JPEG[:at] + struct.pack(">HH", height, width) + JPEG[at + 4 :]
    return changed.replace(b"\xff\xc0", bytes([0xFF, marker]))


def webp(name: bytes, body: bytes) -> bytes:
    chunk = name + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


CANVAS = webp(b"VP8X", bytes(10))  # of one point
LARGE = webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 16383, 16383))


@pytest.mark.parametrize(
    "data",
    [
        png(60_000, 60_000),
        png(1, 4097),
        png(0, 5),
        jpeg(65_535, 65_535),
        jpeg(65_535, 8, marker=0xC2),
        LARGE,
        webp(b"VP8L", b"\x2f" + struct.pack("<I", 16383 | 16383 << 14)),
        webp(b"VP8X", bytes(4) + b"\xff\xff\xff" * 2),
        CANVAS + LARGE[12:],
    ],
    ids=["png", "high", "empty", "jpeg", "progressive", "lossy", "lossless", "canvas", "within"],
)
def test_more_points_than_a_page_should_unpack(data: bytes) -> None:
    with pytest.raises(BadPicture, match=r"got \d+ × \d+ points; expected 1 to 4096 each way"):
        picture_type(data)


@pytest.mark.parametrize(
    "data", [picture("libwebp_anim", "webp", frames=3), picture("apng", "apng", frames=3)]
)
def test_what_moves_is_no_cover(data: bytes) -> None:
    with pytest.raises(BadPicture, match="moves"):
        picture_type(data)


@pytest.mark.parametrize("data", [b"", SVG, b"GIF89a" + bytes(20), b"RIFF\4\0\0\0WAVE", b"\xff\xd8", PNG[1:]])
def test_what_is_none(data: bytes) -> None:
    with pytest.raises(BadPicture, match="expected a picture as PNG, JPEG or WebP"):
        picture_type(data)


@pytest.mark.parametrize("whole", [PNG, JPEG, WEBP], ids=["png", "jpeg", "webp"])
def test_what_is_cut_off_in_its_header(whole: bytes) -> None:
    for length in range(12, 24):
        with pytest.raises(BadPicture):
            picture_type(whole[:length])
