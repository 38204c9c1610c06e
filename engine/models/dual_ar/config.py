"""What a checkpoint's ``config.json`` says of a Dual-AR model. Every dimension comes from there."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from engine.errors import EngineError

CONFIG_FILE = "config.json"
SPECIAL_TOKENS_FILE = "special_tokens.json"  # of S1-mini: {"<|im_end|>": 151645, ...}
END_TOKEN = "<|im_end|>"  # noqa: S105 - no secret


class CheckpointError(EngineError):
    """A checkpoint folder that cannot be used. The text names the file, and what would be right."""


class Layout(StrEnum):
    """How a checkpoint's files, keys and tensors are named."""

    S2_PRO = "s2-pro"
    S1_MINI = "s1-mini"


MODEL_TYPES = {Layout.S2_PRO: "fish_qwen3_omni", Layout.S1_MINI: "dual_ar"}


@dataclass(frozen=True, slots=True)
class TransformerConfig:
    """The dimensions of one of the two transformers."""

    dim: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    rope_base: float
    norm_eps: float
    qk_norm: bool
    qkv_bias: bool
    o_bias: bool
    max_positions: int


@dataclass(frozen=True, slots=True)
class DualARConfig:
    """A whole model: the slow transformer over time, the fast one over the codebooks of a frame.

    ``codebook_size`` is the width of the fast vocabulary and of each block of codebook embeddings. ``tied`` says
    that the slow head is the embedding table, ``norm_fast_input`` that the fast transformer hears the slow one's
    output after its last norm, ``scale_embeddings`` that a spoken position's eleven embeddings are scaled to the
    size of one. Semantic ids run from ``semantic_start`` to ``semantic_end``, both included.
    """

    layout: Layout
    slow: TransformerConfig
    fast: TransformerConfig
    codebooks: int
    codebook_size: int
    tied: bool
    norm_fast_input: bool
    scale_embeddings: bool
    semantic_start: int
    semantic_end: int
    end_token: int

    @property
    def semantic_size(self) -> int:
        """How many semantic ids there are."""
        return self.semantic_end - self.semantic_start + 1


def read_config(
    folder: Path, special: Callable[[str], int] | Mapping[str, int] | None = None
) -> DualARConfig:
    """The configuration of the checkpoint in ``folder``; unknown keys are ignored.

    ``special`` tells the id of a special token by its name. Only S1-mini's layout needs it, as its config.json
    has no token ids; without it they are read from ``special_tokens.json``.

    Raises :class:`CheckpointError`, which names the file and the key.
    """
    path = folder / CONFIG_FILE
    top = _Section(path, _read_object(path))
    model_type = top.text("model_type")
    if model_type == MODEL_TYPES[Layout.S2_PRO]:
        config = _s2_pro(top)
    elif model_type == MODEL_TYPES[Layout.S1_MINI]:
        config = _s1_mini(top, _SpecialTokens(folder, special))
    else:
        known = " or ".join(repr(name) for name in MODEL_TYPES.values())
        raise CheckpointError(f"{path}: model_type is {model_type!r}; this engine runs {known}")
    _check(path, config)
    return config


def _s2_pro(top: "_Section") -> DualARConfig:
    slow, fast = top.section("text_config"), top.section("audio_decoder_config")
    slow_config = _transformer(slow, slow, slow.integer("max_seq_len"))
    return DualARConfig(
        layout=Layout.S2_PRO,
        slow=slow_config,
        fast=_transformer(fast, slow, fast.integer("num_codebooks")),
        codebooks=fast.integer("num_codebooks"),
        codebook_size=fast.integer("vocab_size"),
        tied=slow.flag("tie_word_embeddings", True),
        # Neither stands in the file: both hold for every model of this type.
        norm_fast_input=True,
        scale_embeddings=True,
        semantic_start=top.integer("semantic_start_token_id"),
        semantic_end=top.integer("semantic_end_token_id"),
        end_token=top.integer("eos_token_id"),
    )


def _transformer(own: "_Section", slow: "_Section", positions: int) -> TransformerConfig:
    """One transformer of the S2-Pro layout. The fast one is run with the slow one's RoPE base and norm."""
    return TransformerConfig(
        dim=own.integer("dim"),
        layers=own.integer("n_layer"),
        heads=own.integer("n_head"),
        kv_heads=own.integer("n_local_heads"),
        head_dim=own.integer("head_dim"),
        ffn=own.integer("intermediate_size"),
        vocab=own.integer("vocab_size"),
        rope_base=slow.number("rope_base"),
        norm_eps=slow.number("norm_eps"),
        qk_norm=own.flag("attention_qk_norm", False),
        qkv_bias=own.flag("attention_qkv_bias", False),
        o_bias=own.flag("attention_o_bias", False),
        max_positions=positions,
    )


def _s1_mini(top: "_Section", special: "_SpecialTokens") -> DualARConfig:
    slow = _transformer(top, top, top.integer("max_seq_len"))
    codebooks, size = top.integer("num_codebooks"), top.integer("codebook_size")
    # What the file does not say of the fast transformer (or says is null) is as in the slow one.
    fast = TransformerConfig(
        dim=top.integer("fast_dim", slow.dim),
        layers=top.integer("n_fast_layer"),
        heads=top.integer("fast_n_head", slow.heads),
        kv_heads=top.integer("fast_n_local_heads", slow.kv_heads),
        head_dim=top.integer("fast_head_dim", slow.head_dim),
        ffn=top.integer("fast_intermediate_size", slow.ffn),
        vocab=size,
        rope_base=slow.rope_base,
        norm_eps=slow.norm_eps,
        qk_norm=top.flag("fast_attention_qk_norm", slow.qk_norm),
        qkv_bias=top.flag("fast_attention_qkv_bias", slow.qkv_bias),
        o_bias=top.flag("fast_attention_o_bias", slow.o_bias),
        max_positions=codebooks,
    )
    return DualARConfig(
        layout=Layout.S1_MINI,
        slow=slow,
        fast=fast,
        codebooks=codebooks,
        codebook_size=size,
        tied=top.flag("tie_word_embeddings", True),
        norm_fast_input=top.flag("norm_fastlayer_input", False),
        scale_embeddings=top.flag("scale_codebook_embeddings", False),
        semantic_start=special.id_of("<|semantic:0|>"),
        semantic_end=special.id_of(f"<|semantic:{size - 1}|>"),
        end_token=special.id_of(END_TOKEN),
    )


def _check(path: Path, config: DualARConfig) -> None:
    """Refuse what would only fail much later, or not at all."""
    for name, part in (("slow", config.slow), ("fast", config.fast)):
        if part.heads % part.kv_heads:
            raise CheckpointError(
                f"{path}: {part.heads} heads of the {name} transformer, but {part.kv_heads} KV heads"
            )
        if part.head_dim % 2:
            raise CheckpointError(
                f"{path}: head_dim of the {name} transformer is {part.head_dim}, must be even"
            )
    if not 0 <= config.semantic_start <= config.semantic_end < config.slow.vocab:
        raise CheckpointError(
            f"{path}: semantic ids {config.semantic_start}..{config.semantic_end} are no range within the "
            f"vocabulary of {config.slow.vocab}"
        )
    if config.semantic_size > config.codebook_size:
        raise CheckpointError(
            f"{path}: {config.semantic_size} semantic ids do not fit into codebooks of {config.codebook_size}"
        )
    spoken = config.semantic_start <= config.end_token <= config.semantic_end
    if spoken or not 0 <= config.end_token < config.slow.vocab:
        raise CheckpointError(
            f"{path}: the end token {config.end_token} must be in the vocabulary of {config.slow.vocab} and not "
            "a semantic id"
        )


class _Section:
    """An object in config.json, whose values are read with their types checked."""

    def __init__(self, path: Path, values: Mapping[str, object], prefix: str = "") -> None:
        self._path, self._values, self._prefix = path, values, prefix

    def section(self, key: str) -> "_Section":
        value = self._value(key)
        if not isinstance(value, dict):
            raise self._wrong(key, value, "an object")
        return _Section(self._path, value, f"{self._prefix}{key}.")

    def text(self, key: str) -> str:
        value = self._value(key)
        if not isinstance(value, str):
            raise self._wrong(key, value, "a text")
        return value

    def integer(self, key: str, default: int | None = None) -> int:
        value = self._value(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self._wrong(key, value, "a whole number above 0")
        return value

    def number(self, key: str) -> float:
        value = self._value(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
            raise self._wrong(key, value, "a number above 0")
        return float(value)

    def flag(self, key: str, default: bool) -> bool:
        value = self._value(key, default)
        if not isinstance(value, bool):
            raise self._wrong(key, value, "true or false")
        return value

    def _value(self, key: str, default: object = None) -> object:
        value = self._values.get(key)
        value = default if value is None else value
        if value is None:
            raise CheckpointError(f"{self._path}: {self._prefix}{key} is missing")
        return value

    def _wrong(self, key: str, value: object, right: str) -> CheckpointError:
        return CheckpointError(f"{self._path}: {self._prefix}{key} is {value!r}, must be {right}")


class _SpecialTokens:
    """Ids of special tokens, from whoever knows them."""

    def __init__(self, folder: Path, special: Callable[[str], int] | Mapping[str, int] | None) -> None:
        self._path = folder / SPECIAL_TOKENS_FILE
        self._special = special

    def id_of(self, name: str) -> int:
        if callable(self._special):
            return self._special(name)
        source = self._special
        if source is None:
            source = self._special = _read_object(self._path)
        found = source.get(name)
        if isinstance(found, bool) or not isinstance(found, int):
            raise CheckpointError(f"{self._path}: no id for the special token {name!r}")
        return found


def _read_object(path: Path) -> dict[str, int]:
    """A JSON file that holds an object (whose values the caller checks)."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(
            f"{path} is missing: the folder of a checkpoint is needed, with config.json, weights and tokenizer"
        ) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path} holds no JSON object")
    return value
