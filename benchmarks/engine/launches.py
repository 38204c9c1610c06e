"""How many kernels a frame takes, counted without a device: on a GPU each costs its launch, and a gap."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from engine.models.codec import Decoder
from engine.models.codec.config import CodecConfig
from engine.models.codec.layout import layout
from engine.models.codec.weights import Source
from engine.models.dual_ar.attention import KeyValues, PagedCache
from engine.models.dual_ar.config import DualARConfig
from engine.models.dual_ar.fast import FastTransformer
from engine.models.dual_ar.frame import FrameModel
from engine.models.dual_ar.sampling import Sampler
from engine.models.dual_ar.slow import SlowTransformer

_NOTHING = torch.device("meta")
_ROWS = 8
_PAGED = 2  # kernels of attention in Triton: the chunks, and what combines them
_FREE = ("empty", "empty_like", "new_empty", "detach", "alias")
_SEVERAL = {"topk": 2, "isfinite": 4}  # at least, on CUDA

Launches = Mapping[str, int]
"""Kernels by the name of the operation."""


def launches(config: DualARConfig, codec: CodecConfig) -> dict[str, Launches]:
    """The operations that launch kernels: ``slow``, ``fast``, ``sampling``, ``codec``, and the whole ``frame``.

    ``frame`` is a decode step, without the codec. An operation counts as one kernel at least: a matrix product
    may take two. Attention over pages is that in Triton.
    """
    with _NOTHING:
        slow, fast = SlowTransformer(config).bfloat16(), FastTransformer(config).bfloat16()
    for module in (slow, fast):
        module.requires_grad_(False)
        module.finish()
    sampler = Sampler(_ROWS + 1, config.semantic_size, config.codebooks - 1, device=_NOTHING)
    shapes = {"slots": _ROWS + 1, "pages": 2, "page_size": 16, "context": 4096}
    memory = KeyValues(config.slow, **shapes, device=_NOTHING, dtype=torch.bfloat16)
    counter = _Counter()

    def read(
        q: Tensor, keys: Tensor, values: Tensor, tables: Tensor, slots: Tensor, lengths: Tensor
    ) -> Tensor:
        counter.add("paged attention", _PAGED)
        return torch.empty_like(q)

    model = FrameModel(slow, fast, sampler, memory, read)
    rows = torch.zeros(_ROWS, dtype=torch.long, device=_NOTHING)
    hidden = torch.empty((_ROWS, config.slow.dim), dtype=torch.bfloat16, device=_NOTHING)
    heard = rows[:, None].expand(-1, 1 + config.codebooks)

    def step() -> None:
        cache = PagedCache(memory, rows, rows[:, None], context=1, read=read)
        slow.semantic_logits(slow(slow.embed(heard)[:, None], rows[:, None], cache)[:, 0])

    def draws() -> None:
        drawn = sampler.draws(rows)
        drawn.semantic(hidden.new_empty((_ROWS, config.semantic_size + 1), dtype=torch.float32))
        for i in range(1, config.codebooks):
            drawn.residual(i, hidden.new_empty((_ROWS, config.codebook_size), dtype=torch.float32))
        drawn.commit()

    tensors = {name: torch.empty(shape, device=_NOTHING) for name, shape in layout(codec).items()}
    decoder = Decoder(codec, Source(tensors, _NOTHING, torch.bfloat16))
    state = decoder.state(_ROWS + 1)
    codes = rows[:, None, None].expand(-1, codec.codebooks, 1)
    parts: dict[str, Callable[[], object]] = {
        "slow": step,
        "fast": lambda: fast.codes(hidden, rows, lambda i, logits: rows),
        "sampling": draws,
        "codec": lambda: decoder.stream(codes, rows, state),
        "frame": lambda: model.decode(rows),
    }
    return {name: counter.of(run) for name, run in parts.items()}


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what torch is asked for, one level above where it would be taken apart."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._counts: Counter[str] = Counter()

    def add(self, name: str, count: int) -> None:
        self._counts[name] += count

    def of(self, run: Callable[[], object]) -> Launches:
        self._counts.clear()
        with torch.inference_mode(), self:
            run()
        return dict(self._counts.most_common())

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = func.overloadpacket.__name__
        out = func(*args, **(kwargs or {}))
        if name not in _FREE and not _is_view(name, out, args):
            self.add(name, _SEVERAL.get(name, 1))
        return out


def _is_view(name: str, out: Any, args: tuple[Any, ...]) -> bool:
    """Whether nothing was computed: the result shares its memory with what was given, and was not written to."""
    results = out if isinstance(out, list | tuple) else (out,)
    given = {_memory(one) for one in args if isinstance(one, Tensor)}
    written = name.endswith("_") and not name.endswith("__")
    return not written and all(isinstance(one, Tensor) and _memory(one) in given for one in results)


def _memory(tensor: Tensor) -> int:
    storage: int = tensor.untyped_storage()._cdata
    return storage
