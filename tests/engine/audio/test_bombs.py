"""Small files that would take hours or gigabytes: each is refused, or read without what is wrong with it.

What they cost before they were refused is no figure for a test; that they are refused by their headers is.
"""

import io
import struct
import zlib
from itertools import chain, repeat

import av
import numpy as np
import pytest

from engine.audio import DecodeError, decode, decoding

RATE = 44_100
MATRIX = struct.pack(">9I", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)


def box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), name) + body


def table(name: bytes, *words: int) -> bytes:
    """A box of version 0 with 32-bit words."""
    return box(name, bytes(4), struct.pack(f">{len(words)}I", *words))


def mp4(
    *tables: bytes, edits: int = 0, extra: bytes = b"", fragments: bytes = b"", media: int = 20_000
) -> bytes:
    """An MP4 of µ-law with these tables of samples, in one chunk behind its first box."""
    sound = box(b"ulaw", struct.pack(">6xH8x4HI", 1, 1, 16, 0, 0, RATE << 16))
    stbl = box(b"stbl", box(b"stsd", struct.pack(">II", 0, 1), sound), *tables, table(b"stco", 1, 24))
    handler = box(b"hdlr", bytes(8), b"soun", bytes(13))
    data = box(b"dinf", box(b"dref", struct.pack(">II", 0, 1), table(b"url ")))
    track = box(
        b"trak",
        box(b"tkhd", struct.pack(">IIIIII16x", 0, 0, 0, 1, 0, 1000), MATRIX, bytes(8)),
        box(b"edts", table(b"elst", edits, *chain(*repeat((1_000_000, 0, 1 << 16), edits)))),
        box(b"mdia", table(b"mdhd", 0, 0, RATE, 0, 0), handler, box(b"minf", table(b"smhd", 0), data, stbl)),
    )
    movie = box(
        b"mvhd", struct.pack(">IIIIIIH10x", 0, 0, 0, 1000, 1000, 1 << 16, 256), MATRIX, bytes(24), b"\0\0\0\2"
    )
    head = box(b"ftyp", b"M4A ", bytes(4))
    return head + box(b"mdat", bytes(media)) + box(b"moov", movie, track, extra) + fragments


def alike(count: int, size: int = 1) -> tuple[bytes, ...]:
    """The tables of so many samples of one size in bytes."""
    return (
        table(b"stts", 2, 1, 1024, count - 1, 1024),
        table(b"stsc", 1, 1, count, 1),
        table(b"stsz", size, count),
    )


EMPTY = table(b"stts", 0), table(b"stsc", 0), table(b"stsz", 0, 0)
RUNS = box(b"mvex", table(b"trex", 1, 1, 1024, 1, 0))


def run(count: int) -> bytes:
    head = box(b"mfhd", struct.pack(">II", 0, 1))
    return box(
        b"moof", head, box(b"traf", box(b"tfhd", struct.pack(">II", 0x20000, 1)), table(b"trun", count))
    )


@pytest.mark.parametrize(
    "data",
    [
        mp4(*alike(80_000_000)),
        mp4(*alike(80_000_000, size=70_000)),
        mp4(*EMPTY, extra=RUNS, fragments=run(50_000_000)),
        mp4(*EMPTY, extra=RUNS, fragments=b"".join(repeat(run(15_000), 60))),
        mp4(*EMPTY, extra=RUNS, fragments=box(b"free", b"x") + run(50_000_000)),
    ],
    ids=["a table", "of long ones", "a run", "many runs", "elsewhere"],
)
def test_an_mp4_that_claims_more_samples_than_it_has_bytes_is_refused(data: bytes) -> None:
    """FFmpeg takes 24 bytes for each as soon as it opens the file."""
    assert len(data) < 60_000
    with pytest.raises(DecodeError, match=r"its header claims [\d,]+ samples"):
        decode(data)


def test_a_packed_header_is_refused() -> None:
    packed = zlib.compress(box(b"free", bytes(50_000_000)))
    header = box(b"cmov", box(b"dcom", b"zlib"), box(b"cmvd", struct.pack(">I", 50_000_008), packed))
    with pytest.raises(DecodeError, match="its header is compressed"):
        decode(box(b"ftyp", b"M4A ", bytes(4)) + box(b"mdat", bytes(1000)) + box(b"moov", header))


def test_samples_of_a_byte_each_are_read_no_further_than_is_worth_it() -> None:
    with pytest.raises(DecodeError, match=r"\d+ packets hold no more than 0\.\d s"):
        decode(mp4(*alike(100_000), media=100_000))


def test_edits_do_not_multiply_the_samples() -> None:
    """A list of three hundred of them took FFmpeg longer than anybody waited."""
    pcm, rate = decode(mp4(*alike(5_000), edits=300, media=5_000))
    assert (rate, pcm.size) == (RATE, 5_000)


@pytest.mark.parametrize(
    "options", [{}, {"movflags": "frag_keyframe+empty_moov"}], ids=["whole", "fragments"]
)
@pytest.mark.parametrize("codec", ["pcm_s16le", "pcm_u8", "aac", "alac"])
def test_honest_files_are_read(codec: str, options: dict[str, str]) -> None:
    """PCM has a sample of a few bytes for each of its own."""
    file = io.BytesIO()
    with av.open(file, "w", format="mov", options=options) as output:
        stream = output.add_stream(codec, rate=RATE, layout="mono")
        assert isinstance(stream, av.AudioStream)
        kind = stream.codec_context.format.name
        for _ in range(20):
            samples = av.AudioFrame(kind, "mono", stream.codec_context.frame_size or 4096)
            samples.sample_rate = RATE
            for plane in samples.planes:
                plane.update(bytes(plane.buffer_size))
            output.mux(stream.encode(samples))
        output.mux(stream.encode(None))
    pcm, rate = decode(file.getvalue())
    assert rate == RATE
    assert pcm.size >= 20 * 1024


def test_the_picture_in_an_mp3_is_not_looked_at() -> None:
    """One of 14,000 by 14,000 points took 800 MB."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    def picture(side: int) -> bytes:
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0))
        return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(side * (1 + 4 * side))))

    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as output:
        stream = output.add_stream("libmp3lame", rate=RATE, layout="mono")
        assert isinstance(stream, av.AudioStream)
        for _ in range(40):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.float32), format="fltp", layout="mono")
            frame.sample_rate = RATE
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    body = b"\0image/png\0\3\0" + picture(64) + chunk(b"IEND", b"")
    frame_ = b"APIC" + struct.pack(">I", len(body)) + b"\0\0" + body
    size = bytes(len(frame_) >> shift & 127 for shift in (21, 14, 7, 0))
    mp3 = b"ID3\3\0\0" + size + frame_ + file.getvalue()
    options = decoding._OPTIONS | {"format_whitelist": decoding._CONTAINERS}
    with av.open(io.BytesIO(mp3), options=options) as container:
        (video,) = container.streams.video
        assert video.width == 0, "it was decoded"
    assert decode(mp3)[0].size >= 40 * 1152


def test_more_channels_than_anybody_has_are_refused() -> None:
    body = bytes(2 * 100 * 1000)
    kind = struct.pack("<HHIIHH", 1, 100, RATE, 0, 200, 16)
    file = b"RIFF" + struct.pack("<I", 36 + len(body)) + b"WAVEfmt " + struct.pack("<I", 16) + kind
    with pytest.raises(DecodeError, match="channels: got 100; expected at most 64"):
        decode(file + b"data" + struct.pack("<I", len(body)) + body)
