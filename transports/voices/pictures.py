"""Cover pictures: told by content, never decoded."""

_KINDS = (
    (b"\x89PNG\r\n\x1a\n", 0, "image/png"),
    (b"\xff\xd8\xff", 0, "image/jpeg"),
    (b"WEBP", 8, "image/webp"),
)


def picture_type(data: bytes) -> str | None:
    """The media type of a PNG, JPEG or WebP; None for anything else, such as SVG, which may hold scripts."""
    for magic, at, kind in _KINDS:
        if data[at : at + len(magic)] == magic and (at == 0 or data[:4] == b"RIFF"):
            return kind
    return None
