"""A checkpoint's tokenizer: text to token ids, and the ids of control tokens by their names.

Control tokens (``<|im_end|>``, ``<|semantic:17|>``) are looked up, never parsed: text that is encoded cannot
become one, whatever it holds. The tokenizer that reads text does not have them at all.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import models, pre_tokenizers

from engine.models.dual_ar.config import SPECIAL_TOKENS_FILE, CheckpointError

TOKENIZER_FILE = "tokenizer.json"
TIKTOKEN_FILE = "tokenizer.tiktoken"  # of S1-mini

SPEAKER = re.compile(r"<\|speaker:[0-9]{1,3}\|>")
"""The only ``<|...|>`` that is text: who speaks from here on."""
_CONTROL = re.compile(r"<\|.*\|>", re.DOTALL)

# How fish-speech's own tokenizer cuts text before the merges. The seventh line is meant to be a look-ahead and
# is none; the models were trained with it as it stands.
_TIKTOKEN_PATTERN = "|".join(
    [
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)",
        r"\p{P}",
        r"[^\r\n\p{L}\p{N}]?\p{L}+",
        r"\p{N}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(\?!\S)",
        r"\s+",
    ]
)


class Tokenizer:
    """The tokenizer of the checkpoint in a folder, made by :meth:`load`."""

    def __init__(self, text: tokenizers.Tokenizer, special: Mapping[str, int], source: Path) -> None:
        self._text = text
        self._special = dict(special)
        self._source = source
        # Speaker marks are ordinary text to S2-Pro; a tokenizer that has tokens for them gets those.
        speakers = [re.escape(name) for name in special if SPEAKER.fullmatch(name)]
        self._speakers = re.compile(f"({'|'.join(speakers)})") if speakers else None
        names = {**text.get_vocab(with_added_tokens=False), **special}
        self._control = frozenset(
            id_ for name, id_ in names.items() if name in special or _CONTROL.fullmatch(name)
        )

    @classmethod
    def load(cls, folder: Path) -> "Tokenizer":
        """Read ``tokenizer.json``, or else S1-mini's ``tokenizer.tiktoken`` with its ``special_tokens.json``.

        Raises :class:`CheckpointError`, which names the file.
        """
        path = folder / TOKENIZER_FILE
        if path.exists():
            return cls._load_json(path)
        path = folder / TIKTOKEN_FILE
        if path.exists():
            return cls._load_tiktoken(path, folder / SPECIAL_TOKENS_FILE)
        raise CheckpointError(f"{folder} has no tokenizer: neither {TOKENIZER_FILE} nor {TIKTOKEN_FILE}")

    def encode(self, text: str) -> list[int]:
        """The ids of ordinary text; never one of a control token. Lone surrogates are left out."""
        clean = text.encode("utf-8", "ignore").decode("utf-8")
        ids: list[int] = []
        for part in self._speakers.split(clean) if self._speakers else [clean]:
            if self._speakers and self._speakers.fullmatch(part):
                ids.append(self._special[part])
            else:
                # A vocabulary may spell a control token among its ordinary entries.
                encoded = self._text.encode(part, add_special_tokens=False).ids
                ids += [id_ for id_ in encoded if id_ not in self._control]
        return ids

    def id_of(self, name: str) -> int:
        """The id of the control token ``name``; raises :class:`CheckpointError` if there is none."""
        id_ = self._special.get(name)
        if id_ is None:
            raise CheckpointError(f"{self._source} has no token {name!r}; is it the tokenizer of this model?")
        return id_

    @classmethod
    def _load_json(cls, path: Path) -> "Tokenizer":
        spec = _read_json(path)
        try:
            added = spec["added_tokens"]
            special = {str(token["content"]): int(token["id"]) for token in added}
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"{path}: added_tokens is not a list of tokens with content and id"
            ) from error
        spec["added_tokens"] = []
        spec["post_processor"] = spec["truncation"] = spec["padding"] = None
        try:
            text = tokenizers.Tokenizer.from_str(json.dumps(spec))
        except Exception as error:  # the library has no narrower one
            raise CheckpointError(f"{path} cannot be read: {error}") from error
        return cls(text, special, path)

    @classmethod
    def _load_tiktoken(cls, path: Path, special_path: Path) -> "Tokenizer":
        ranks: dict[bytes, int] = {}
        for number, line in enumerate(path.read_text("ascii", "replace").splitlines(), 1):
            try:
                if line.strip():
                    token, rank = line.split()
                    ranks[base64.b64decode(token, validate=True)] = int(rank)
            except (ValueError, binascii.Error) as error:
                raise CheckpointError(f"{path}, line {number}: {line!r} is not 'base64 rank'") from error
        spec = _read_json(special_path)
        if not all(isinstance(id_, int) for id_ in spec.values()):
            raise CheckpointError(f"{special_path} does not map names to ids")
        text = tokenizers.Tokenizer(models.BPE(*_vocabulary(ranks), ignore_merges=True))
        text.pre_tokenizer = _byte_level(_TIKTOKEN_PATTERN)
        return cls(text, spec, path)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        spec = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing") from error
    except ValueError as error:
        raise CheckpointError(f"{path} is not JSON: {error}") from error
    if not isinstance(spec, dict):
        raise CheckpointError(f"{path} is not a JSON object")
    return spec


def _byte_level(pattern: str) -> Any:
    split = pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def _vocabulary(ranks: Mapping[bytes, int]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Tiktoken's ranks as a vocabulary and its merges.

    Tiktoken merges any two neighbours that make a token together, the one of the lowest rank first: so every
    way to cut a token into two others is a merge, in the order of the ranks.
    """
    spelt = _byte_letters()
    merges = []
    for token in sorted(ranks, key=ranks.__getitem__):
        cuts = [(token[:at], token[at:]) for at in range(1, len(token))]
        ways = [(ranks[a], ranks[b], a, b) for a, b in cuts if a in ranks and b in ranks]
        merges += [(_spell(a, spelt), _spell(b, spelt)) for _, _, a, b in sorted(ways)]
    return {_spell(token, spelt): rank for token, rank in ranks.items()}, merges


def _byte_letters() -> list[str]:
    """The letter that stands for each byte in byte-level vocabularies: itself if visible (GPT-2's table)."""
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in visible else next(others)) for byte in range(256)]


def _spell(token: Iterable[int], letters: list[str]) -> str:
    return "".join(letters[byte] for byte in token)
