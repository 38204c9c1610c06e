"""Checkpoints of random weights, laid out like the published ones: for tests, and for measuring at full size."""

import base64
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.models.codec.config import CodecConfig, real_config
from engine.models.codec.layout import layout as codec_layout
from engine.models.codec.random import random_state, tiny_config, write_codec
from engine.models.dual_ar.config import (
    CONFIG_FILE,
    SPECIAL_TOKENS_FILE,
    CheckpointError,
    DualARConfig,
    Layout,
)
from engine.models.dual_ar.layout import Stored, entries
from engine.models.dual_ar.presets import SPECIALS, Scale, config_json, preset
from engine.models.dual_ar.weights import INDEX_FILE, PICKLE_FILE

Progress = Callable[[str, int], None]
"""Called with the name of the file that is being written, and how many bytes of it are new."""

CODEC_FILE = "codec.pth"
TOKENIZER_FILE = "tokenizer.json"
TIKTOKEN_FILE = "tokenizer.tiktoken"

_DRAWN = 1 << 24  # numbers that are drawn at once
_SHARD = 5_000_000_000  # bytes in a file of the published checkpoint
_CODEC_TABLES = 1.25  # codec.pth holds tables beside its weights: 1.87 GB for 1.57
_SLACK = 64_000_000  # bytes, for the tokenizer and what the file system takes

_CODES_RMS = 0.3
"""Of each codebook embedding. A token's own embedding, of length one, is faint beside ten of them: it is that
token's row of the head as well, and a token should not call for itself."""

_STRETCHES = 40
_CUE, _ANSWER, _LAST_ANSWER = 7.0, 1.5, 2.4
"""How random speech comes to an end. The semantic ids are cut into stretches. The code of a token cues its own
stretch and the next alike, ``<|voice|>`` the first, and the last one cues the end token: a segment takes about
two frames for each stretch, four seconds in all, at every temperature. Cues stand in the first dimensions of
codebook 0's embeddings, answers in the head's; the end token, one against a hundred, answers louder. Where logits
have a standard deviation of one, a cue that is answered is worth about six."""


def write_checkpoint(
    folder: Path,
    like: Layout = Layout.S2_PRO,
    scale: Scale = Scale.TINY,
    seed: int = 0,
    progress: Progress = lambda file, count: None,
) -> None:
    """Write a whole checkpoint: configuration, weights, tokenizer and codec; the same for the same seed.

    Tensors are drawn and written one after the other: of S2-Pro's 11 GB, only the codec is ever whole in memory
    (2.8 GB at most). The folder appears when all of it is there. Raises :class:`CheckpointError` if it exists and
    is not empty, or if the disk is too full, and ``OSError`` as it comes.
    """
    config, codec = preset(like, scale), _codec(scale)
    _check(folder, checkpoint_size(like, scale))
    partial = folder.with_name(f"{folder.name}.partial-{os.getpid()}")
    partial.mkdir(parents=True)
    try:
        (partial / CONFIG_FILE).write_text(json.dumps(config_json(config), indent=1), encoding="utf-8")
        write_tokenizer(partial, config)
        drawing = _Drawing(config, codec, seed)
        if like is Layout.S2_PRO:
            _write_shards(partial, drawing, progress)
        else:
            _write_pickle(partial, drawing, progress)
        progress(CODEC_FILE, 0)
        write_codec(random_state(codec, seed), codec, partial)
        progress(CODEC_FILE, _codec_size(codec))
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def checkpoint_size(like: Layout, scale: Scale) -> int:
    """How many bytes :func:`write_checkpoint` will report to ``progress``, nearly all there are."""
    numbers = sum(math.prod(part.shape) for entry in entries(preset(like, scale)) for part in entry.parts)
    return 2 * numbers + _codec_size(_codec(scale))


def write_tokenizer(folder: Path, config: DualARConfig) -> None:
    """Write a tokenizer without merges: each byte of a text is a token, and special tokens have the model's ids.

    It is in the form in which the layout's published model has it.
    """
    special = {name: config.semantic_start + offset for name, offset in SPECIALS.items()}
    special |= {f"<|semantic:{i}|>": config.semantic_start + i for i in range(config.semantic_size)}
    if config.layout is Layout.S1_MINI:
        ranks = (f"{base64.b64encode(bytes([byte])).decode()} {byte}\n" for byte in range(256))
        (folder / TIKTOKEN_FILE).write_text("".join(ranks), encoding="ascii")
        (folder / SPECIAL_TOKENS_FILE).write_text(json.dumps(special, indent=1), encoding="utf-8")
    else:
        text = json.dumps(_tokenizer_json(special), ensure_ascii=False)
        (folder / TOKENIZER_FILE).write_text(text, encoding="utf-8")


def _tokenizer_json(special: dict[str, int]) -> dict[str, Any]:
    """Byte-level BPE as the ``tokenizers`` library reads it."""
    # GPT-2's names for bytes: printable ones are called as in Latin-1, the others from U+0100 on.
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    unprintable = iter(range(0x100, 0x200))
    names = {chr(byte if byte in printable else next(unprintable)): byte for byte in range(256)}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {
        "version": "1.0",
        "added_tokens": [{"id": number, "content": name, **flags} for name, number in special.items()],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        # The library gives ids to added tokens itself, unless they stand in the vocabulary as well.
        "model": {"type": "BPE", "vocab": names | special, "merges": []},
    }


def _codec(scale: Scale) -> CodecConfig:
    return real_config() if scale is Scale.FULL else tiny_config()


def _codec_size(config: CodecConfig) -> int:
    """Bytes of codec.pth, not too few."""
    return int(4 * _CODEC_TABLES * sum(math.prod(shape) for shape in codec_layout(config).values()))


def _check(folder: Path, size: int) -> None:
    """Refuse what would overwrite something or fail half-way."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CheckpointError(f"{folder} exists and is not an empty folder: name another, or remove it first")
    there = next(parent for parent in folder.absolute().parents if parent.exists())
    free = shutil.disk_usage(there).free
    if free < size + _SLACK:
        raise CheckpointError(
            f"{there} has {free / 1e9:.1f} GB free, and {(size + _SLACK) / 1e9:.1f} GB are needed: free some, or "
            "name a folder on another disk"
        )


@dataclass(frozen=True, slots=True)
class _Drawing:
    """Draws the weights of a model, so scaled that activations stay near one and speech ends by itself."""

    config: DualARConfig
    codec: CodecConfig
    seed: int

    @property
    def stored(self) -> list[tuple[str, Stored]]:
        """Every tensor of the checkpoint, with the name of ours that it belongs to."""
        return [(entry.target, part) for entry in entries(self.config) for part in entry.parts]

    def rows(self, target: str, stored: Stored) -> Iterator[Tensor]:
        """The tensor as bfloat16, some rows at a time. A tensor's name decides what is drawn, not its place."""
        digest = blake2b(f"{self.seed}/{stored.name}".encode(), digest_size=8).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest) >> 1)
        mean, deviation = self._distribution(target, stored.shape)
        total, columns = stored.shape[0], stored.shape[1:]
        step = max(1, _DRAWN // math.prod(columns))
        for start in range(0, total, step):
            count = min(step, total - start)
            drawn = torch.empty((count, *columns), dtype=torch.bfloat16)
            drawn.normal_(mean, deviation, generator=generator)
            self._shape(target, start, drawn)
            yield drawn

    def _distribution(self, target: str, shape: tuple[int, ...]) -> tuple[float, float]:
        """Mean and standard deviation."""
        kind = target.removesuffix(".weight").rpartition(".")[2]
        if kind.endswith("norm"):
            return 1.0, 0.1
        if kind == "bias":
            return 0.0, 0.1
        if target == "slow.codebook_embeddings":
            return 0.0, _CODES_RMS
        if target == "fast.embeddings":
            return 0.0, 1.0
        deviation = 1 / math.sqrt(shape[-1])
        if kind in ("wo", "w2"):
            # All layers together are about as loud as what they are added to.
            slow = target.startswith("slow.")
            layers = self.config.slow.layers if slow else self.config.fast.layers
            deviation *= (_CODES_RMS if slow else 1.0) / math.sqrt(layers)
        return 0.0, deviation

    def _shape(self, target: str, start: int, rows: Tensor) -> None:
        """Put what is not chance into the rows of a tensor from ``start`` on."""
        config = self.config
        at = torch.arange(start, start + len(rows))
        if target == "fast.output":
            # As the trained model does: it leaves out codes that the codec does not have.
            rows[at >= self.codec.codebook_sizes[1]] = 0
        elif target == "slow.codebook_embeddings":
            code = at[at < config.semantic_size]
            row, stretch = code - start, self._stretch(code)
            # A tied head's answer is part of what a token is heard as, and cues its own stretch.
            rows[row, stretch] += _CUE - (_ANSWER if config.tied else 0)
            rows[row, stretch + 1] += _CUE
        if target == "slow.embeddings":
            voice = at == config.semantic_start + SPECIALS["<|voice|>"]
            rows[voice, 0] += _CUE / math.sqrt(config.codebooks + 1)
        if target == ("slow.embeddings" if config.tied else "slow.output"):
            row = ((at >= config.semantic_start) & (at <= config.semantic_end)).nonzero()[:, 0]
            rows[row, self._stretch(at[row] - config.semantic_start)] += _ANSWER
            rows[at == config.end_token, _STRETCHES] += _LAST_ANSWER

    def _stretch(self, code: Tensor) -> Tensor:
        return code * _STRETCHES // self.config.semantic_size


def _write_shards(folder: Path, drawing: _Drawing, progress: Progress) -> None:
    """Safetensors in two or more files, and their index."""
    sized = [(target, part, 2 * math.prod(part.shape)) for target, part in drawing.stored]
    total = sum(size for *_, size in sized)
    limit = min(_SHARD, math.ceil(0.55 * total))
    shards: list[list[tuple[str, Stored]]] = [[]]
    room = limit
    for target, part, size in sized:
        if size > room and shards[-1]:
            shards.append([])
            room = limit
        shards[-1].append((target, part))
        room -= size
    where: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors"
        _write_safetensors(folder / name, shard, drawing, progress)
        where |= {part.name: name for _, part in shard}
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(where.items()))}
    (folder / INDEX_FILE).write_text(json.dumps(index, indent=1), encoding="utf-8")


def _write_safetensors(
    path: Path, shard: list[tuple[str, Stored]], drawing: _Drawing, progress: Progress
) -> None:
    """One file: the length of its header (8 bytes, little-endian), the header in JSON, the tensors' bytes."""
    header, offset = {}, 0
    for _, part in shard:
        end = offset + 2 * math.prod(part.shape)
        header[part.name] = {"dtype": "BF16", "shape": part.shape, "data_offsets": [offset, end]}
        offset = end
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    with path.open("wb") as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        for target, part in shard:
            for rows in drawing.rows(target, part):
                progress(path.name, file.write(rows.view(torch.uint8).numpy().data))


def _write_pickle(folder: Path, drawing: _Drawing, progress: Progress) -> None:
    """One file of ``torch.save``. It is whole in memory once: S1-mini is 1.7 GB."""
    tensors = {}
    for target, part in drawing.stored:
        tensors[part.name] = torch.cat(list(drawing.rows(target, part)))
        progress(PICKLE_FILE, 2 * tensors[part.name].numel())
    torch.save(tensors, folder / PICKLE_FILE)
