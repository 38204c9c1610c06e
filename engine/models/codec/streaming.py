"""What a causal network must remember between two calls, for many streams at once.

Nothing here reads a tensor on the host, and all shapes follow from those of the arguments: a call with a fixed
batch and a fixed number of frames can be captured in a CUDA graph.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.models.codec.config import TransformerConfig


@dataclass(frozen=True, slots=True)
class Ring:
    """Keys and values of the last positions of one transformer, by slot, and how many positions have been.

    ``entries`` is [layers, slots, length, 2, heads, head_dim]; position ``p`` lies at ``p % length``.
    ``position`` is [slots] int64: the number of the next position, without an upper limit.
    """

    entries: Tensor
    position: Tensor

    @classmethod
    def make(
        cls, config: TransformerConfig, slots: int, pass_length: int, device: torch.device, dtype: torch.dtype
    ) -> "Ring":
        """Room for a window and for the ``pass_length`` positions that are computed in one pass."""
        length = (
            -(-(config.window - 1 + pass_length) // 8) * 8
        )  # memory-efficient attention wants rows of masks aligned
        shape = (config.layers, slots, length, 2, config.heads, config.head_dim)
        return cls(
            torch.zeros(shape, device=device, dtype=dtype),
            torch.zeros(slots, device=device, dtype=torch.int64),
        )


@dataclass(frozen=True, slots=True)
class StreamState:
    """All that a codec's half remembers of its streams, by slot.

    ``contexts`` is [slots, n]: what each convolution saw last, one after the other.
    """

    contexts: Tensor
    rings: tuple[Ring, ...]

    @property
    def slots(self) -> int:
        """How many streams there is room for."""
        return self.contexts.shape[0]

    @property
    def nbytes(self) -> int:
        """Memory that the state takes."""
        return self.contexts.nbytes + sum(ring.entries.nbytes + ring.position.nbytes for ring in self.rings)

    def reset(self, slots: Tensor) -> None:
        """Make ``slots`` [n] int64 forget everything, also what is not a number."""
        self.contexts.index_fill_(0, slots, 0.0)
        for ring in self.rings:
            # An entry outside of the window has weight zero; but zero times NaN would still be NaN.
            ring.entries.index_fill_(1, slots, 0.0)
            ring.position.index_fill_(0, slots, 0)


class Past:
    """The past of the rows of one call.

    The convolutions run in the same order in every call, so each finds its context where the one before it
    left off.
    """

    def __init__(self, state: StreamState, slots: Tensor) -> None:
        self.slots = slots
        self._kept = state.contexts
        self._contexts = state.contexts.index_select(0, slots)
        self._rings = iter(state.rings)
        self._at = 0

    def extend(self, x: Tensor, length: int) -> Tensor:
        """``x`` [B, C, T] behind the ``length`` steps that came before it: [B, C, length + T]."""
        if not length:
            return x
        rows, channels, _ = x.shape
        start, self._at = self._at, self._at + channels * length
        before = self._contexts[:, start : self._at].view(rows, channels, length)
        joined = torch.cat((before, x), -1)
        kept = self._kept[:, start : self._at].view(-1, channels, length)
        kept.index_copy_(0, self.slots, joined[..., -length:])
        return joined

    def ring(self) -> Ring:
        """The ring of the next transformer."""
        return next(self._rings)
