"""``parrotfish dub``, as a user meets it: the worked example of the documentation, dubbed and heard."""

from pathlib import Path

import av
import numpy as np
import orjson
import pytest
from click.testing import CliRunner

from engine.audio import decode
from tests.realtime.dubbing.dubbed import onset, words_wrong
from tests.transports.cli.process import ROOT, run
from transports.cli import main
from transports.dubbing.subtitles import read_subtitles

EXAMPLE = ROOT / "docs" / "dubbing" / "harbour.srt"
TWO = """WEBVTT

00:00.500 --> 00:03.000
<v Anna>The ship came home in the evening.

00:03.500 --> 00:05.500
<v Walter>Nobody was waiting there.

00:06.000 --> 00:07.000
<v Zoe>I was.
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", [".opus", ".wav", ".mp3"])
def test_the_example_is_heard_at_its_times(tmp_path, suffix):
    audio, report = tmp_path / f"harbour{suffix}", tmp_path / "harbour.json"
    done = run("dub", str(EXAMPLE), "-o", str(audio), "--report", str(report))
    assert (done.code, done.err) == (0, "")
    assert names(tmp_path) == sorted([audio.name, report.name])
    pcm, rate = decode(audio)
    told = orjson.loads(report.read_bytes())
    assert pcm.size / rate == pytest.approx(told["seconds"], abs=0.06)
    assert told["seconds"] == pytest.approx(18.0, abs=0.5)
    captions = read_subtitles(EXAMPLE.read_bytes(), "srt").captions
    assert [line["id"] for line in told["lines"]] == [caption.id for caption in captions]
    free, sounding = 0.0, []
    for line, caption in zip(told["lines"], captions, strict=True):
        assert (line["asked_start"], line["asked_end"]) == (caption.start, caption.end)
        if caption.text == "[seagulls]":
            assert line["outcome"] == "silent"
            continue
        assert line["outcome"] == "spoken"
        assert 1.0 <= line["speed"] <= 1.3
        assert 0 <= line["drift"] <= 2.0
        assert line["drift"] < 0.001 or line["start"] == pytest.approx(free + 0.08, abs=0.002)
        assert onset(pcm, rate, free + 0.03) == pytest.approx(line["start"], abs=0.05)
        free = line["end"]
        assert words_wrong(caption.text, pcm, rate, line["start"], line["end"]) == 0
        sounding.append((line["start"], line["end"]))
    assert told["late"] == 1  # the line behind the one that is far too long
    assert told["lines"][-1]["drift"] == 0
    quiet = np.ones(pcm.size, bool)
    for start, end in sounding:
        quiet[round((start - 0.05) * rate) : round((end + 0.1) * rate)] = False
    assert np.abs(pcm[quiet]).max() < 0.003
    table = done.out.decode()
    assert "The engine starts." in table
    assert "7 lines, at most 1." in table


def test_each_who_speaks_has_a_voice(tmp_path):
    (tmp_path / "two.vtt").write_text(TWO)

    def dubbed(*options: str) -> list[np.ndarray]:
        arguments = ["dub", str(tmp_path / "two.vtt"), "-o", str(tmp_path / "two.wav"), "-q", *options]
        result = CliRunner().invoke(main, arguments)
        assert (result.exit_code, result.output) == (0, "")
        pcm, rate = decode(tmp_path / "two.wav")
        return [
            pcm[round(start * rate) : round(end * rate)] for start, end in ((0, 3.4), (3.4, 5.9), (5.9, 9))
        ]

    plain = dubbed()
    cast = dubbed("--cast", "Anna=otto")
    assert pitch(cast[0]) < 0.75 * pitch(plain[0])
    assert pitch(plain[1]) < 0.75 * pitch(plain[0])  # Walter is the name of a voice
    assert pitch(cast[1]) == pytest.approx(pitch(plain[1]), rel=0.05)


OVERLAPPING = """WEBVTT

00:00.500 --> 00:02.000
<v Anna>Good morning.

00:00.500 --> 00:02.000
Good evening.

00:00.500 --> 00:02.000
<v Walter>Good night.
"""


@pytest.mark.parametrize("options", [["--cast", "Anna=heart"], ["--cast", "Anna=otto", "--voice", "otto"]])
def test_two_who_share_a_voice_do_not_speak_at_a_time(tmp_path, options):
    (tmp_path / "x.vtt").write_text(OVERLAPPING)
    report = tmp_path / "x.json"
    arguments = ["dub", str(tmp_path / "x.vtt"), "-o", str(tmp_path / "x.wav"), "--report", str(report)]
    result = CliRunner().invoke(main, [*arguments, "-q", *options])
    assert (result.exit_code, result.output) == (0, "")
    anna, usual, walter = sorted(orjson.loads(report.read_bytes())["lines"], key=lambda line: line["id"])
    assert usual["start"] >= anna["end"]
    assert walter["start"] == pytest.approx(0.5, abs=0.05)
    assert (anna["voice"], "voice" in usual, walter["voice"]) == ("Anna", False, "Walter")


def pitch(pcm: np.ndarray, rate: int = 44_100) -> float:
    """The median fundamental of speech in Hz, by autocorrelation of its loud parts."""
    found = []
    for at in range(0, pcm.size - 2048, 1024):
        piece = pcm[at : at + 2048]
        if piece.std() > 0.05:
            spectrum = np.abs(np.fft.rfft(piece, 4096)) ** 2
            lags = np.fft.irfft(spectrum)[rate // 350 : rate // 60]
            found.append(rate / (int(lags.argmax()) + rate // 350))
    return float(np.median(found))


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "aac"), (".mkv", "opus")])
def test_a_film_gets_another_sound(tmp_path, suffix, codec):
    film, target = tmp_path / "film.mp4", tmp_path / f"dubbed{suffix}"
    with av.open(str(film), "w") as out:
        pictures = out.add_stream("mpeg4", rate=10)
        pictures.width, pictures.height = 64, 48
        for number in range(200):
            image = np.full((48, 64, 3), number, np.uint8)
            out.mux(pictures.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(pictures.encode(None))
    arguments = ["dub", str(EXAMPLE), "--video", str(film), "-o", str(target), "-q"]
    result = CliRunner().invoke(main, arguments)
    assert (result.exit_code, result.output) == (0, "")
    assert names(tmp_path) == sorted(["film.mp4", target.name])
    with av.open(str(target)) as dubbed:
        (sound,) = dubbed.streams.audio
        assert sound.codec_context.name.startswith(codec) or codec in sound.codec_context.name
        frames = sum(1 for _ in dubbed.decode(video=0))
    assert frames == 200
    pcm, rate = decode(target)
    assert pcm.size / rate == pytest.approx(20.0, abs=0.1)  # as long as the film
    assert onset(pcm, rate, 0) == pytest.approx(1.0, abs=0.05)
    assert words_wrong("The last boat leaves the town at seven in the evening.", pcm, rate, 1.0, 3.3) == 0


@pytest.mark.parametrize(
    ("name", "data", "arguments", "named"),
    [
        ("x.txt", "1", ["-o", "x.wav"], "x.txt does not end in .srt or .vtt"),
        ("x.srt", "rubbish", ["-o", "x.wav"], "x.srt: this is no SRT file"),
        ("x.vtt", TWO, ["-o", "x.bin"], "--output: x.bin does not say which format"),
        ("x.vtt", TWO, ["-o", "nowhere/x.wav"], "--output: there is no folder nowhere"),
        ("x.vtt", TWO, ["-o", "x.wav", "--report", "nowhere/x"], "--report: there is no folder nowhere"),
        ("x.vtt", TWO, ["-o", "x.wav", "--max-speed", "1.5"], "'--max-speed': 1.5 is not in the range"),
        ("x.vtt", TWO, ["-o", "x.wav", "--voice", "bob"], "--voice: 'bob' is not one of heart"),
        ("x.vtt", TWO, ["-o", "x.wav", "--cast", "Anna=bob"], "--cast: 'bob' is not one of heart"),
        ("x.vtt", TWO, ["-o", "x.wav", "--cast", "Ann=otto"], "speaks in the file: Anna, Walter, Zoe"),
        ("x.vtt", TWO, ["-o", "x.mp4", "--video", "x.vtt"], "--video"),
        ("x.vtt", TWO, ["-o", "x.wav", "--video", "x.vtt"], "--output: x.wav does not say which film"),
        ("x.vtt", TWO, ["-o", "x.mp4", "--video", "x.vtt", "--bitrate", "64"], "--bitrate"),
    ],
)
def test_what_is_wrong_is_a_usage_error_that_names_it(tmp_path, monkeypatch, name, data, arguments, named):
    monkeypatch.chdir(tmp_path)
    Path(name).write_text(data)
    result = CliRunner().invoke(main, ["dub", name, *arguments])
    assert result.exit_code == 2, result.output
    assert named in result.output
    assert names(tmp_path) == [name]


def test_what_was_left_out_is_noted(tmp_path):
    path = tmp_path / "x.srt"
    path.write_text("1\n00:00:00,000 --> 00:00:01,000\nHello.\n\n2\n00:00:02,000 --> soon\nLost.\n")
    result = CliRunner().invoke(main, ["dub", str(path), "-o", str(tmp_path / "x.wav")])
    assert result.exit_code == 0
    assert "cannot be read: 1" in result.stderr
    assert "1 lines, at most 0.0 s late" in result.stdout
