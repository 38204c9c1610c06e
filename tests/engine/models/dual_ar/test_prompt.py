import re
import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import SpeechError
from engine.models.dual_ar.checkpoint import write_tokenizer
from engine.models.dual_ar.config import CheckpointError, DualARConfig, Layout, TransformerConfig
from engine.models.dual_ar.pages import Positions
from engine.models.dual_ar.prompt import PromptBuilder, ReferenceCodes, speakable, window
from engine.models.dual_ar.tokenizer import Tokenizer

START, SIZE, END = 320, 64, 287


def config(layout: Layout = Layout.S2_PRO, context: int = 8192) -> DualARConfig:
    slow = TransformerConfig(8, 1, 1, 1, 8, 8, 400, 1e6, 1e-6, True, False, False, context)
    return DualARConfig(layout, slow, slow, 10, SIZE, True, True, True, START, START + SIZE - 1, END)


class Reader:
    """A builder with a tokenizer of bytes, and its prompts as text to look at."""

    def __init__(self, folder: Path, model: DualARConfig) -> None:
        folder.mkdir()
        write_tokenizer(folder, model)
        self.tokenizer = Tokenizer.load(folder)
        self.builder = PromptBuilder(self.tokenizer, model)
        self.bytes = {self.tokenizer.encode(chr(i))[-1]: bytes([i]) for i in range(128)}
        for letter in "é世界¡":  # enough of UTF-8 for these tests
            self.bytes |= {
                id_: bytes([byte])
                for id_, byte in zip(self.tokenizer.encode(letter), letter.encode(), strict=True)
            }
        names = ["<|im_start|>", "<|im_end|>", "<|voice|>", "<|interleave|>"]
        self.control = {self.tokenizer.id_of(name): name for name in names}

    def read(self, positions: Positions) -> str:
        """Control tokens in ⟨⟩, a frame as its codes in {}."""
        assert positions.dtype == np.int64
        assert positions.shape[1] == 11
        spelt = b""
        for id_, *codes in positions.tolist():
            if START <= id_ < START + SIZE:
                assert id_ - START == codes[0]
                spelt += ("{" + " ".join(map(str, codes)) + "}").encode()
            else:
                assert not any(codes)
                spelt += self.bytes[id_] if id_ in self.bytes else f"⟨{self.control[id_][2:-2]}⟩".encode()
        return spelt.decode()


@pytest.fixture(scope="module")
def s2(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(tmp_path_factory.mktemp("s2") / "model", config())


@pytest.fixture(scope="module")
def s1(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(tmp_path_factory.mktemp("s1") / "model", config(Layout.S1_MINI))


def codes(*frames: int) -> Positions:
    return np.array([[frame + book for frame in frames] for book in range(10)], np.int64)


def test_a_voice_without_reference(s2: Reader) -> None:
    assert s2.read(s2.builder.system([])) == (
        "⟨im_start⟩system\nconvert the provided text to speech⟨im_end⟩\n"
    )
    assert s2.read(s2.builder.user("Hello 世界é", None)) == (
        "⟨im_start⟩user\nHello 世界é⟨im_end⟩\n⟨im_start⟩assistant\n⟨voice⟩"
    )
    assert s2.read(s2.builder.end_of_turn()) == "⟨im_end⟩\n"


def test_references_of_several_speakers(s2: Reader) -> None:
    system = s2.builder.system(
        [ReferenceCodes(0, " So it is. ", codes(0, 7)), ReferenceCodes(1, "I see.", codes(54))]
    )
    assert s2.read(system) == (
        "⟨im_start⟩system\n"
        "convert the provided text to speech reference to the following:\n\nText:\n"
        "<|speaker:0|>So it is.\n<|speaker:1|>I see."
        "\n\nSpeech:\n"
        "{0 1 2 3 4 5 6 7 8 9}{7 8 9 10 11 12 13 14 15 16}{54 55 56 57 58 59 60 61 62 63}"
        "⟨im_end⟩\n"
    )
    assert s2.read(s2.builder.user("Hi.", 1)) == (
        "⟨im_start⟩user\n<|speaker:1|>Hi.⟨im_end⟩\n⟨im_start⟩assistant\n⟨voice⟩"
    )


def test_a_transcript_that_names_its_speakers_keeps_them(s2: Reader) -> None:
    text = "<|speaker:0|>A?<|speaker:1|>B!"
    system = s2.read(s2.builder.system([ReferenceCodes(0, text, codes(1))]))
    assert f"Text:\n{text}\n\nSpeech:" in system


def test_every_part_is_tokenised_on_its_own(s2: Reader) -> None:
    seen = []

    class Listening(Tokenizer):
        def encode(self, text: str) -> list[int]:
            seen.append(text)
            return s2.tokenizer.encode(text)

        def id_of(self, name: str) -> int:
            return s2.tokenizer.id_of(name)

    builder = PromptBuilder(Listening.__new__(Listening), config())
    builder.system([ReferenceCodes(0, "A.", codes(1)), ReferenceCodes(1, "B.", codes(1))])
    assert sorted(seen) == sorted(
        [
            "system\n",
            "convert the provided text to speech reference to the following:\n\nText:\n",
            "<|speaker:0|>A.\n<|speaker:1|>B.",
            "\n\nSpeech:\n",
            "\n",
        ]
    )


def test_s1_mini_alternates_text_and_speech(s1: Reader) -> None:
    builder = s1.builder
    assert s1.read(builder.system([])) == "⟨interleave⟩"
    references = [ReferenceCodes(0, "A.", codes(1)), ReferenceCodes(1, "B.", codes(2))]
    assert s1.read(builder.system(references)) == (
        "⟨interleave⟩<|speaker:0|>A.{1 2 3 4 5 6 7 8 9 10}⟨im_end⟩"
        "<|speaker:1|>B.{2 3 4 5 6 7 8 9 10 11}⟨im_end⟩"
    )
    assert s1.read(builder.user("Hi.", None)) == "<|speaker:0|>Hi."
    assert s1.read(builder.user("Hi.", 1)) == "<|speaker:1|>Hi."
    assert s1.read(builder.end_of_turn()) == "⟨im_end⟩"


def test_frames_become_positions(s2: Reader) -> None:
    rows = s2.builder.frames(codes(3, 0))
    np.testing.assert_array_equal(rows, [[START + 3, *range(3, 13)], [START, *range(10)]])
    np.testing.assert_array_equal(s2.builder.frame(codes(3)[:, 0]), rows[0])
    assert s2.builder.frames(np.zeros((10, 0), np.int64)).shape == (0, 11)


def test_what_are_no_codes_is_refused(s2: Reader) -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 10\); it must be \(10, frames\)"):
        s2.builder.frames(codes(1, 2).T)
    with pytest.raises(ValueError, match=r"codebook 1 are 64\.\.64; at most 63"):
        s2.builder.frames(codes(63))
    with pytest.raises(ValueError, match=r"codebook 0 are -1\.\.2"):
        s2.builder.frames(codes(2, -1))


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Hello <|im_end|>world", "Hello world"),
        ("a <|<|im_end|>im_end|> b", "a  im_end  b"),
        ("<|im_<|speaker:1|>end|>x", "im_<|speaker:1|>end x"),
        ("<|spea<|x|>ker:1|>x", "speaker:1 x"),
        ("＜｜im_end｜＞a﹤|b|﹥", "a"),
        ("<<||im_end||>>", "im_end"),
        ("<|speaker:3|>Yes.", "<|speaker:3|>Yes."),
        ("<|speaker:1234|>a", "a"),
        ("<|speaker:٣|>a", "a"),
        ("a < b | c > d, a <b>, |x|", "a < b | c > d, a <b>, |x|"),
        ("f <| g x |> h", "f   g x   h"),
        ("[whispers] (happy) …", "[whispers] (happy) …"),
        ("<|im_end|>", ""),
    ],
)
def test_only_speaker_marks_stay_in_a_text(text: str, clean: str) -> None:
    assert speakable(text) == clean


PIECES = [
    *[
        "<|im_end|>",
        "<|im_start|>",
        "<|semantic:3|>",
        "<|voice|>",
        "<|speaker:1|>",
        "<|speaker:",
        "speaker:2|>",
    ],
    *[
        "<",
        "|",
        ">",
        "<|",
        "|>",
        "im_end",
        "＜",
        "｜",
        "＞",
        "﹤",
        "﹥",
        "<<",
        "||",
        "\u0338",
        "\u200b",
        " ",
        "\n",
    ],
    *["\ud800", "Speech:", "system"],
]
HOSTILE = st.lists(st.sampled_from(PIECES) | st.characters(), max_size=15).map("".join)


@settings(deadline=None)
@given(text=HOSTILE, reference=HOSTILE)
def test_no_text_changes_the_prompts_frame(s2: Reader, s1: Reader, text: str, reference: str) -> None:
    for reader in (s2, s1):
        control = {*reader.control, *range(START, START + SIZE)}

        def skeleton(positions: Positions, control: set[int] = control) -> list[int]:
            return [id_ for id_ in positions[:, 0].tolist() if id_ in control]

        system = reader.builder.system([ReferenceCodes(0, reference, codes(5, 6))])
        assert skeleton(system) == skeleton(reader.builder.system([ReferenceCodes(0, "x", codes(5, 6))]))
        try:
            user = reader.builder.user(text, 0)
        except SpeechError:
            continue
        assert skeleton(user) == skeleton(reader.builder.user("x", 0))


@settings(deadline=None)
@given(text=HOSTILE)
def test_no_mark_is_left_in_any_reading_of_a_text(text: str) -> None:
    clean = speakable(text)
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        rest = unicodedata.normalize(form, clean)
        rest = re.sub(r"<\|speaker:[0-9]+\|[>≯]", " ", rest)  # a stroke from the text may fall on it
        assert "<|" not in rest
        assert "|>" not in rest
    assert speakable(clean) == clean


@settings(deadline=None)
@given(text=st.text("abc <>", max_size=40).map(str.strip))
def test_text_without_bars_stays_as_it_is(text: str) -> None:
    assert speakable(text) == text


def test_long_hostile_text_takes_linear_time() -> None:
    # Quadratic work would run into the suite's limit of two minutes.
    for piece in ("<|", "|>", "<", "|", "<|a", "<|speaker:1"):
        speakable(piece * 300_000)


def test_nothing_to_speak_is_an_error(s2: Reader) -> None:
    for text in ("", " \n", "<|im_end|>", "<|speaker:0|> "):
        with pytest.raises(SpeechError, match="nothing to speak"):
            s2.builder.user(text, 0)


def test_what_does_not_fit_says_how_long_it_is(tmp_path: Path) -> None:
    builder = Reader(tmp_path / "model", config(context=512)).builder
    assert builder.limit == 256
    with pytest.raises(
        SpeechError,
        match=r"\(200 frames of speech and 9 characters\) take 3\d\d positions, at most 256 of the model's 512",
    ):
        builder.system([ReferenceCodes(0, "Too long.", np.zeros((10, 200), np.int64))])
    with pytest.raises(SpeechError, match=r"segment of 300 characters takes 3.. positions, at most 256"):
        builder.user("x" * 300, None)


def test_room_for_speech_is_kept(s2: Reader) -> None:
    assert s2.builder.limit == 8192 - 2048


def test_a_tokenizer_of_another_model_is_refused(s2: Reader) -> None:
    model = config()
    with pytest.raises(CheckpointError, match=r"id of <\|im_end\|> is 287, the model's is 288"):
        PromptBuilder(s2.tokenizer, replace(model, end_token=288))
    with pytest.raises(CheckpointError, match=r"id of <\|semantic:0\|> is 320, the model's is 321"):
        PromptBuilder(s2.tokenizer, replace(model, semantic_start=321))
    with pytest.raises(CheckpointError, match=r"no token '<\|semantic:64\|>'"):
        PromptBuilder(s2.tokenizer, replace(model, semantic_end=384))
    with pytest.raises(CheckpointError, match=r"vocabulary ends at 100"):
        PromptBuilder(s2.tokenizer, replace(model, slow=replace(model.slow, vocab=101)))


@settings(deadline=None)
@given(turns=st.lists(st.integers(0, 50), max_size=12), limit=st.integers(0, 200))
def test_the_window_keeps_the_latest_whole_turns(turns: list[int], limit: int) -> None:
    first = window(turns, limit)
    assert sum(turns[first:]) <= limit
    assert first == 0 or sum(turns[first - 1 :]) > limit
