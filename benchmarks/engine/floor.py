"""The least time that a frame can take: weights and keys read once, products at the device's full speed.

``python -m benchmarks.engine.floor [--bandwidth TB/s] [--peak TFLOP/s]`` prints it for S2-Pro in bfloat16.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from engine.models.dual_ar.config import DualARConfig, Layout, TransformerConfig
from engine.models.dual_ar.presets import Scale, preset

_H200 = (4.3, 788.0)  # TB/s of a large copy, TFLOP/s of a large product, as they were measured
_BATCHES = (1, 8, 16, 64, 128, 256)
_CONTEXT = 1000
_FRAME_SECONDS = 2048 / 44_100


@dataclass(frozen=True, slots=True)
class Speed:
    """What a device reaches: ``bandwidth`` in bytes a second, ``peak`` in operations a second of products."""

    bandwidth: float
    peak: float


@dataclass(frozen=True, slots=True)
class Floor:
    """The arithmetic of a model. Sizes are numbers, not bytes; those of norms and embeddings are left out.

    ``slow`` and ``fast`` are the layers, ``head`` and ``fast_head`` what scores tokens. The fast transformer runs
    ``passes`` times for the ``positions`` of a frame. ``kv`` are keys and values of a position, ``attention`` the
    operations of attending to one.
    """

    slow: int
    head: int
    fast: int
    fast_head: int
    passes: int
    positions: int
    kv: int
    attention: int
    itemsize: int

    @classmethod
    def of(
        cls, config: DualARConfig, itemsize: int, *, whole_head: bool = False, merged: bool = True
    ) -> Self:
        """The floor of a model whose numbers take ``itemsize`` bytes, as we compute it.

        ``whole_head`` scores the whole vocabulary and not only what can be sampled; without ``merged`` the fast
        transformer's first two positions, which are both known, go in two passes.
        """
        slow, fast = config.slow, config.fast
        rows = slow.vocab if whole_head else config.semantic_size + 1
        return cls(
            slow=_layers(slow),
            head=rows * slow.dim,
            fast=_layers(fast),
            fast_head=config.codebook_size * fast.dim,
            passes=config.codebooks - merged,
            positions=config.codebooks,
            kv=2 * slow.layers * slow.kv_heads * slow.head_dim,
            attention=4 * slow.layers * slow.heads * slow.head_dim,
            itemsize=itemsize,
        )

    @property
    def weights(self) -> int:
        """Bytes of weights that a frame reads, however many streams it is for."""
        fast = self.passes * self.fast + (self.positions - 1) * self.fast_head
        return self.itemsize * (self.slow + self.head + fast)

    @property
    def operations(self) -> int:
        """Operations of one stream's frame, but for attention."""
        fast = self.positions * self.fast + (self.positions - 1) * self.fast_head
        return 2 * (self.slow + self.head + fast)

    def decode(self, speed: Speed, batch: int, context: int) -> float:
        """Seconds of a frame of ``batch`` streams that attend to ``context`` positions each."""
        operations = batch * (self.operations + context * self.attention)
        keys = batch * context * self.kv * self.itemsize
        return max(self.weights / speed.bandwidth, operations / speed.peak) + keys / speed.bandwidth

    def prefill(self, speed: Speed, positions: int) -> float:
        """Seconds in which so many positions, of one stream and with nothing before them, are read."""
        attended = positions * (positions + 1) // 2
        operations = 2 * positions * self.slow + attended * self.attention
        return max(self.itemsize * self.slow / speed.bandwidth, operations / speed.peak)


def _layers(config: TransformerConfig) -> int:
    """Weights of all layers."""
    width = config.heads * config.head_dim
    attention = config.dim * (config.heads + 2 * config.kv_heads) * config.head_dim + width * config.dim
    return config.layers * (attention + 3 * config.dim * config.ffn)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the floor of a decode step by batch: as the plain arithmetic has it, and as we compute a frame."""
    parser = argparse.ArgumentParser("python -m benchmarks.engine.floor")
    parser.add_argument("--bandwidth", type=float, default=_H200[0], help="TB/s (4.3, an H200's)")
    parser.add_argument("--peak", type=float, default=_H200[1], help="TFLOP/s (788, an H200's)")
    options = parser.parse_args(arguments)
    speed = Speed(1e12 * options.bandwidth, 1e12 * options.peak)
    config = preset(Layout.S2_PRO, Scale.FULL)
    plain, ours = Floor.of(config, 2, whole_head=True, merged=False), Floor.of(config, 2)
    print(
        f"weights a frame reads: {plain.weights / 1e9:.2f} GB plainly, {ours.weights / 1e9:.2f} GB as we do it"
    )
    print(f"{'batch':>5} {'plain ms':>9} {'our ms':>9} {'RTF':>6}")
    for batch in _BATCHES:
        plainly, least = (floor.decode(speed, batch, _CONTEXT) for floor in (plain, ours))
        print(f"{batch:5} {1e3 * plainly:9.2f} {1e3 * least:9.2f} {least / _FRAME_SECONDS:6.3f}")
    for positions in (60, 400, 1024):
        print(f"{positions} positions of a prompt: {1e3 * ours.prefill(speed, positions):.2f} ms")


if __name__ == "__main__":
    main()
