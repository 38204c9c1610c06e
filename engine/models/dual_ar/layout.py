"""Which tensors a checkpoint holds, by name and shape, and what they are called in our modules.

Names and shapes of S2-Pro are those of the published checkpoint's headers (358 tensors), S1-mini's those of the
same model before its parts were named apart.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from engine.models.dual_ar.config import DualARConfig, Layout, TransformerConfig

DERIVED = ("freqs_cis", "fast_freqs_cis", "causal_mask")
"""Tables that an older checkpoint may hold beside its weights; they are computed."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One tensor of a checkpoint."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One of our tensors, ``slow.X`` or ``fast.X``: the ``parts`` of a checkpoint, joined along the rows.

    A checkpoint may hold the parts called ``split`` instead.
    """

    target: str
    parts: tuple[Stored, ...]
    split: tuple[Stored, ...] = ()


def entries(config: DualARConfig) -> tuple[Entry, ...]:
    """Everything that a checkpoint of this configuration holds."""
    s2 = config.layout is Layout.S2_PRO
    slow, fast = ("text_model.model.", "audio_decoder.") if s2 else ("", "fast_")
    codebook_embeddings = f"{fast if s2 else ''}codebook_embeddings.weight"
    dim, fast_dim = config.slow.dim, config.fast.dim
    found = [
        _one("slow.embeddings", f"{slow}embeddings.weight", config.slow.vocab, dim),
        *_blocks("slow.layers", f"{slow}layers", config.slow),
        _one("slow.norm.weight", f"{slow}norm.weight", dim),
        _one("slow.codebook_embeddings", codebook_embeddings, config.codebooks * config.codebook_size, dim),
        _one("fast.embeddings", f"{fast}embeddings.weight", config.codebook_size, fast_dim),
        *_blocks("fast.layers", f"{fast}layers", config.fast),
        _one("fast.norm.weight", f"{fast}norm.weight", fast_dim),
        _one("fast.output", f"{fast}output.weight", config.codebook_size, fast_dim),
    ]
    if not config.tied:
        found.append(_one("slow.output", f"{slow}output.weight", config.slow.vocab, dim))
    if dim != fast_dim:
        found.append(_one("fast.project.weight", f"{fast}project_in.weight", fast_dim, dim))
        found.append(_one("fast.project.bias", f"{fast}project_in.bias", fast_dim))
    return tuple(found)


def _blocks(target: str, stored: str, config: TransformerConfig) -> Iterator[Entry]:
    for layer in range(config.layers):
        yield from _block(f"{target}.{layer}.", f"{stored}.{layer}.", config)


def _block(target: str, stored: str, config: TransformerConfig) -> Iterator[Entry]:
    dim, ffn = config.dim, config.ffn
    query, key = config.heads * config.head_dim, config.kv_heads * config.head_dim
    to, attention, ffn_name = f"{target}attention.", f"{stored}attention.", f"{stored}feed_forward."

    def fused(kind: str, *columns: int) -> Entry:
        return Entry(
            f"{to}wqkv.{kind}",
            (Stored(f"{attention}wqkv.{kind}", (query + 2 * key, *columns)),),
            tuple(
                Stored(f"{attention}{name}.{kind}", (rows, *columns))
                for name, rows in (("wq", query), ("wk", key), ("wv", key))
            ),
        )

    yield _one(f"{target}attention_norm.weight", f"{stored}attention_norm.weight", dim)
    yield fused("weight", dim)
    if config.qkv_bias:
        yield fused("bias")
    if config.qk_norm:
        yield _one(f"{to}q_norm", f"{attention}q_norm.weight", config.head_dim)
        yield _one(f"{to}k_norm", f"{attention}k_norm.weight", config.head_dim)
    yield _one(f"{to}wo.weight", f"{attention}wo.weight", dim, query)
    if config.o_bias:
        yield _one(f"{to}wo.bias", f"{attention}wo.bias", dim)
    yield _one(f"{target}ffn_norm.weight", f"{stored}ffn_norm.weight", dim)
    gate, up = Stored(f"{ffn_name}w1.weight", (ffn, dim)), Stored(f"{ffn_name}w3.weight", (ffn, dim))
    yield Entry(f"{target}feed_forward.w13.weight", (gate, up))
    yield _one(f"{target}feed_forward.w2.weight", f"{ffn_name}w2.weight", dim, ffn)


def _one(target: str, name: str, *shape: int) -> Entry:
    return Entry(target, (Stored(name, shape),))
