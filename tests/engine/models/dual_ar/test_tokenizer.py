import base64
import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import regex
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers, trainers

from engine.models.dual_ar.checkpoint import write_tokenizer
from engine.models.dual_ar.config import CheckpointError, Layout
from engine.models.dual_ar.presets import Scale, preset
from engine.models.dual_ar.tokenizer import SPEAKER, Tokenizer

CORPUS = [
    "the cat sat on the mat, and the dog said: hello world! It's 1984.",
    "<|im_ end|> <|im im_start|> _end|> <|sem antic:0|> <| |> im_end",
    "你好，世界！ こんにちは 世界 здравствуй мир",
    "aaaa aaab abab bbaa aabb",
] * 20


def trained(specials: list[str], *, size: int = 420) -> tokenizers.Tokenizer:
    """A byte-level BPE of the kind that checkpoints have, whose merges know the control tokens' spelling."""
    text = tokenizers.Tokenizer(models.BPE())
    text.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    text.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    text.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet))
    text.add_special_tokens(specials)
    return text


SPECIALS = ["<|im_start|>", "<|im_end|>", "<|voice|>", "<|semantic:0|>", "<|semantic:1|>"]


@pytest.fixture(scope="module")
def reference() -> tokenizers.Tokenizer:
    text = trained(SPECIALS)
    text.add_tokens([AddedToken("<tool>", special=False, normalized=False)])
    return text


@pytest.fixture(scope="module")
def tokenizer(reference: tokenizers.Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("json")
    reference.save(str(folder / "tokenizer.json"))
    return Tokenizer.load(folder)


def test_text_is_encoded_as_the_library_does(tokenizer: Tokenizer, reference: tokenizers.Tokenizer) -> None:
    for text in [*CORPUS[2:4], "the cat", "", " ", "\n", "🦜 emoji"]:
        assert tokenizer.encode(text) == reference.encode(text).ids


def test_control_tokens_have_ids_by_name(tokenizer: Tokenizer, reference: tokenizers.Tokenizer) -> None:
    for name in SPECIALS:
        assert tokenizer.id_of(name) == reference.token_to_id(name)


def test_a_missing_control_token_is_named(tokenizer: Tokenizer) -> None:
    with pytest.raises(CheckpointError, match=r"tokenizer\.json has no token '<\|pad\|>'"):
        tokenizer.id_of("<|pad|>")
    with pytest.raises(CheckpointError, match="no token 'the'"):
        tokenizer.id_of("the")


HOSTILE_PIECES = [
    *SPECIALS,
    *["<tool>", "<|", "|>", "<", "|", ">", "im_end", "im_", "semantic:0", "＜｜", "｜＞", "\u0338"],
    *["\u200d", "\0", "\ud800", " ", "\n", "<|speaker:1|>", "<|speaker:", "the cat", "Ġ", "你"],
]
HOSTILE = st.lists(st.sampled_from(HOSTILE_PIECES) | st.characters(), max_size=12).map("".join)


@settings(deadline=None)
@given(text=HOSTILE)
def test_no_text_becomes_a_control_token(
    tokenizer: Tokenizer, reference: tokenizers.Tokenizer, text: str
) -> None:
    ids = tokenizer.encode(text)
    assert not set(ids) & set(reference.get_added_tokens_decoder())
    assert reference.decode(ids) == text.encode("utf-8", "ignore").decode()  # and nothing is lost


@settings(deadline=None)
@given(text=HOSTILE)
def test_nor_where_the_vocabulary_spells_it(spelling: Tokenizer, text: str) -> None:
    control = {spelling.id_of(name) for name in SPECIALS} | {250 + len(SPECIALS)}
    assert not set(spelling.encode(text)) & control


@pytest.fixture(scope="module")
def spelling(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    """A vocabulary that holds the control tokens as ordinary entries, and normalises what looks like them."""
    folder = tmp_path_factory.mktemp("spelling")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: 1000 + number for number, letter in enumerate(letters)}
    vocabulary |= {name: 250 + number for number, name in enumerate([*SPECIALS, "<|other|>"])}
    text = tokenizers.Tokenizer(models.BPE(vocabulary, [], ignore_merges=True))
    text.normalizer = normalizers.NFKC()
    text.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    spec = json.loads(text.to_str())
    spec["added_tokens"] = [{"id": 250 + number, "content": name} for number, name in enumerate(SPECIALS)]
    (folder / "tokenizer.json").write_text(json.dumps(spec))
    loaded = Tokenizer.load(folder)
    assert text.encode("<|im_end|>").ids == [loaded.id_of("<|im_end|>")]  # it would be parsed
    assert loaded.encode("<|im_end|>") == []
    return loaded


def test_speaker_marks_are_text_unless_they_have_tokens(tokenizer: Tokenizer, tmp_path: Path) -> None:
    assert len(tokenizer.encode("<|speaker:0|>")) > 1
    with_speakers = trained([*SPECIALS, "<|speaker:0|>", "<|speaker:1|>"])
    with_speakers.save(str(tmp_path / "tokenizer.json"))
    loaded = Tokenizer.load(tmp_path)
    zero, one = (with_speakers.token_to_id(f"<|speaker:{number}|>") for number in (0, 1))
    text = "<|speaker:0|>the<|speaker:1|> cat<|speaker:2|>"
    expected = [zero, *loaded.encode("the"), one, *loaded.encode(" cat<|speaker:2|>")]
    assert loaded.encode(text) == expected == with_speakers.encode(text).ids


# S1-mini: the same in tiktoken's files.

SPECIAL_IDS = {"<|im_end|>": 9000, "<|semantic:0|>": 9001, "<|semantic:1|>": 9002}


def tiktoken_ranks() -> dict[bytes, int]:
    """Ranks that tiktoken's own training would give: bytes, then merges in their order."""
    vocabulary = trained([], size=600).get_vocab()
    letters = {letter: byte for byte, letter in enumerate(byte_letters())}
    by_id = sorted(vocabulary, key=vocabulary.__getitem__)
    return {bytes(letters[letter] for letter in token): rank for rank, token in enumerate(by_id)}


def byte_letters() -> Iterator[str]:
    other = 256
    for byte in range(256):
        if 33 <= byte <= 126 or 161 <= byte <= 172 or byte >= 174:
            yield chr(byte)
        else:
            yield chr(other)
            other += 1


PATTERN = regex.compile(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|\p{P}|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(\?!\S)|\s+"
)


def tiktoken_encode(ranks: dict[bytes, int], text: str) -> list[int]:
    """What tiktoken does, in its simplest form: of all neighbours, merge those of the lowest rank, leftmost."""
    ids = []
    for match in PATTERN.finditer(text):
        piece = match.group().encode()
        if piece in ranks:
            ids.append(ranks[piece])
            continue
        parts = [bytes([byte]) for byte in piece]
        while True:
            pairs = [(ranks.get(a + b, 1 << 30), at) for at, (a, b) in enumerate(pairwise(parts))]
            if not pairs or min(pairs)[0] == 1 << 30:
                break
            at = min(pairs)[1]
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        ids += [ranks[part] for part in parts]
    return ids


@pytest.fixture(scope="module")
def ranks() -> dict[bytes, int]:
    return tiktoken_ranks()


@pytest.fixture(scope="module")
def s1(ranks: dict[bytes, int], tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("tiktoken")
    lines = [f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in ranks.items()]
    (folder / "tokenizer.tiktoken").write_text("".join(lines))
    (folder / "special_tokens.json").write_text(json.dumps(SPECIAL_IDS))
    return Tokenizer.load(folder)


@settings(deadline=None)
@given(
    text=st.lists(
        st.sampled_from(
            [*CORPUS[:4], *"ab<|>_' \n\r.?!1", "aab", "'S", "?!x", "<|im_end|>", "é", "世", "\xa0"]
        ),
        max_size=15,
    ).map("".join)
)
def test_tiktoken_files_are_read_as_tiktoken_reads_them(
    s1: Tokenizer, ranks: dict[bytes, int], text: str
) -> None:
    ids = s1.encode(text)
    assert ids == tiktoken_encode(ranks, text)
    assert not set(ids) & set(SPECIAL_IDS.values())


def test_the_control_tokens_of_tiktoken_files(s1: Tokenizer) -> None:
    assert s1.id_of("<|semantic:1|>") == 9002
    with pytest.raises(CheckpointError, match=r"no token '<\|voice\|>'"):
        s1.id_of("<|voice|>")


@pytest.mark.parametrize("layout", Layout)
def test_the_tokenizers_of_random_checkpoints_are_read(layout: Layout, tmp_path: Path) -> None:
    model = preset(layout, Scale.TINY)
    write_tokenizer(tmp_path, model)
    tokenizer = Tokenizer.load(tmp_path)
    assert tokenizer.id_of("<|im_end|>") == model.end_token
    assert tokenizer.id_of("<|semantic:4095|>") == model.semantic_end
    text = "Hello 世界\0<|im_end|>"
    assert bytes(tokenizer.encode(text)) == text.encode()


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    def fails(pattern: str) -> None:
        with pytest.raises(CheckpointError, match=pattern):
            Tokenizer.load(tmp_path)

    fails(r"no tokenizer: neither tokenizer\.json nor tokenizer\.tiktoken")
    (tmp_path / "tokenizer.tiktoken").write_text("YQ== 0\n")
    fails(r"special_tokens\.json is missing")
    (tmp_path / "special_tokens.json").write_text('{"<|im_end|>": "5"}')
    fails(r"special_tokens\.json does not map names to ids")
    (tmp_path / "tokenizer.tiktoken").write_text("YQ== 0\nnonsense\n")
    fails(r"tokenizer\.tiktoken, line 2: 'nonsense'")
    (tmp_path / "tokenizer.json").write_text("{")
    fails(r"tokenizer\.json is not JSON")
    (tmp_path / "tokenizer.json").write_text("[]")
    fails(r"tokenizer\.json is not a JSON object")
    (tmp_path / "tokenizer.json").write_text("{}")
    fails("added_tokens is not a list")
    (tmp_path / "tokenizer.json").write_text('{"added_tokens": []}')
    fails(r"tokenizer\.json cannot be read")


def test_the_speaker_mark() -> None:
    assert SPEAKER.fullmatch("<|speaker:12|>")
    assert not any(map(SPEAKER.fullmatch, ["<|speaker:|>", "<|speaker:1234|>", "<|speaker:a|>"]))
    assert not re.search(r"\w", SPEAKER.sub("", "<|speaker:0|><|speaker:1|>"))
