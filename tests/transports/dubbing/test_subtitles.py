import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.dubbing import Caption
from transports.dubbing import subtitles
from transports.dubbing.subtitles import BadSubtitles, read_subtitles

SRT = """1
00:00:01,500 --> 00:00:03,000 X1:100
{\\an8}Hello <i>you</i> &amp; me,
<font color="#fff">all of you!</font>

2
00:01:00,000 --> 01:00:00,250
- Is 3 < 5?
- ♪ Yes ♪

3
00:00:01 --> nonsense
Lost.

4
01:00:01,000 --> 01:00:02,000

5
01:00:03,000 --> 01:00:03,000
-5 degrees
"""

VTT = """WEBVTT - with a title

NOTE nobody reads this

STYLE
::cue { color: red }

first
00:01.000 --> 00:02.000 align:start
<v Mary Ann>Hello <00:01.500><c.loud>there</c></v>

00:02.000 --> 00:05.000
<v.loud Bob>Hi &lt;you&gt;.
<v Mary Ann>How are you?
"""


def test_srt():
    read = read_subtitles(SRT.encode(), "srt")
    assert read.captions == (
        Caption("1", 1.5, 3.0, "Hello you & me, all of you!"),
        Caption("2", 60.0, 3600.25, "Is 3 < 5? Yes"),
        Caption("3", 3603.0, 3603.0, "-5 degrees"),
    )
    assert read.notes == ("captions left out because they have no text or cannot be read: 2 (lines 12, 16)",)
    assert read.speakers == ("",)


def test_webvtt_with_those_who_speak():
    read = read_subtitles(VTT.encode(), "vtt")
    first, second, third = read.captions
    assert first == Caption("1", 1.0, 2.0, "Hello there", "Mary Ann")
    assert (second.id, second.voice, second.text, second.start) == ("2.1", "Bob", "Hi <you>.", 2.0)
    assert (third.id, third.voice, third.text, third.end) == ("2.2", "Mary Ann", "How are you?", 5.0)
    assert second.end == third.start == pytest.approx(2 + 3 * 9 / 21)  # by how much each has to say
    assert read.speakers == ("Mary Ann", "Bob")
    assert read.notes == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(encoding, newline):
    text = SRT.replace("Hello", "Grüß").replace("\n", newline)
    assert read_subtitles(("\n" + text).encode(encoding), "srt").captions[0].text.startswith("Grüß you")


def cue(start: str, end: str, text: str = "Hello.") -> str:
    return f"1\n{start} --> {end}\n{text}\n"


FIRST, SECOND = "00:00:01,000 --> 00:00:02,000", "00:00:03,000 --> 00:00:04,000"


@pytest.mark.parametrize(
    "text",
    [
        f"1 \n {FIRST} \n Hello. \n \n2\t\n{SECOND}\nBye.",
        f"1\n\n{FIRST}\n\nHello.\n\n\n2\n\n{SECOND}\n\nBye.\n\n3\n\n",
        f"1\n{FIRST}\nHello.\n\n{SECOND}\nBye.",
        f"{FIRST}\nHello.\n{SECOND}\nBye.",
        f"1\n{FIRST}\nHello.\n1\n{SECOND}\nBye.",
        f"A film\n\n0\n{FIRST}\nHello.\n\n2\n{SECOND}\nBye.",
        f"\ufeff\ufeff1\n\u200e{FIRST}\nHello.\n\n2\n{SECOND}\nBye.",
        f"1\n{FIRST} X1:0 X2:9\n{{\\an8}}<i>Hello.</i>\n\n2\n{SECOND} align:start\n<b></b>\n\nBye.",
    ],
    ids=["spaces", "blank lines", "one number", "no numbers", "odd numbers", "a title", "marks", "markup"],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_sloppy_srt_file_is_read_by_its_times(text, newline):
    read = read_subtitles(text.replace("\n", newline).encode(), "srt")
    assert read.captions == (Caption("1", 1.0, 2.0, "Hello."), Caption("2", 3.0, 4.0, "Bye."))
    assert read.notes == ()


@pytest.mark.parametrize(
    ("times", "start", "end"),
    [
        ("00:00:01,50 --> 00:00:02,5", 1.5, 2.5),
        ("00:00:01.050 --> 00:00:02.005", 1.05, 2.005),
        ("0:00:01,5-->1:00:02", 1.5, 3602.0),
        ("00:01,500 --> 01:02,5", 1.5, 62.5),
        ("00: 00: 01, 500 -> 00: 00: 02,500", 1.5, 2.5),
        ("00:00:01:500 -- > 00:00:02:500", 1.5, 2.5),
        ("00:00:61,000 --> 00:01:02,000", 61.0, 62.0),
    ],
)
def test_times_are_read_however_they_are_written(times, start, end):
    (caption,) = read_subtitles(f"1\n{times}\nHello.\n".encode(), "srt").captions
    assert (caption.start, caption.end) == (start, end)


@pytest.mark.parametrize(
    "text", ["A --> B is an arrow", "42", "42\nis what it is", "1984", "I see\n\nthat it is\n\n5 -> 6"]
)
def test_what_looks_like_a_number_or_an_arrow_may_be_text(text):
    read = read_subtitles(f"1\n{FIRST}\n{text}\n\n2\n{SECOND}\nBye.\n".encode(), "srt")
    assert [caption.text for caption in read.captions] == [" ".join(text.split()), "Bye."]
    assert read.notes == ()
    without_numbers = read_subtitles(f"{FIRST}\n{text}\n\n{SECOND}\nBye.\n".encode(), "srt")
    assert without_numbers.captions == read.captions


@pytest.mark.parametrize(
    "times",
    ["-00:00:01,000 --> 00:00:02,000", "00:00:01,000 --> soon", "soon --> 00:00:02,000", "1:2:3x --> 4"],
)
def test_a_caption_whose_times_cannot_be_read_is_left_out_and_its_line_named(times):
    read = read_subtitles(f"1\n{SECOND}\nBye.\n\n2\n{times}\nLost.\n".encode(), "srt")
    assert [caption.text for caption in read.captions] == ["Bye."]
    (note,) = read.notes
    assert note.endswith("cannot be read: 1 (line 6)")
    with pytest.raises(BadSubtitles, match=r"no caption in the file; .* 12 \(lines 2, 5,.* 29, ...\)"):
        read_subtitles(f"2\n{times}\n\n".encode() * 12, "srt")


@pytest.mark.parametrize(
    ("data", "form", "names"),
    [
        (b"", "srt", "no SRT file"),
        (b"rubbish\n" * 9, "srt", "a line with -->"),
        (SRT.encode(), "vtt", "WEBVTT in its first line"),
        (b"WEBVTT\n", "vtt", "no caption"),
        ("Grüß".encode("latin1") + b"\n", "srt", "not UTF-8 text, from byte 2 on"),
        (cue("00:00:02,000", "00:00:01,000").encode(), "srt", "line 2, caption 1: .* 00:00:01,000, before"),
        (cue("00:00:02,000", "25:00:01,000").encode(), "srt", "caption 1: it ends at 25:00:01.000; expected"),
        (cue("00:00:02,000", "00:00:09,000", "x" * 2001).encode(), "srt", "2001 characters"),
        (b"x" * 5_000_001, "srt", "5000001 bytes"),
        (cue("00:00:02,000", "00:00:09,000").encode() * 20_001, "srt", "20001 captions"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_named(data, form, names):
    with pytest.raises(BadSubtitles, match=names):
        read_subtitles(data, form)


@given(st.text(max_size=200), st.sampled_from(["srt", "vtt"]))
def test_any_text_is_read_or_refused(text, form):
    head = "WEBVTT\n\n" if form == "vtt" else ""
    data = f"{head}1\n00:00:01.000 --> 00:00:02.000\n{text}".encode("utf-8", "replace")
    try:
        read = read_subtitles(data, form)
    except BadSubtitles:
        return
    for caption in read.captions:
        assert caption.text.strip() == caption.text != ""
        assert len(caption.text) <= subtitles.MAX_TEXT
        assert 0 <= caption.start <= caption.end <= subtitles.MAX_SECONDS
