"""One frame on the device: what a CUDA graph needs of it can be seen without one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from engine.models.dual_ar.attention import KeyValues
from engine.models.dual_ar.config import Layout
from engine.models.dual_ar.fast import FastTransformer
from engine.models.dual_ar.frame import FrameModel
from engine.models.dual_ar.presets import Scale, preset
from engine.models.dual_ar.sampling import Sampler
from engine.models.dual_ar.slow import SlowTransformer

META = torch.device("meta")
SLOTS = 5


class Watch(TorchDispatchMode):
    """Counts operations, and insists that every tensor is on the device."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: Counter[str] = Counter()

    def __torch_dispatch__(
        self,
        function: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        for argument in (*args, *(kwargs or {}).values()):
            for tensor in argument if isinstance(argument, list | tuple) else [argument]:
                assert not isinstance(tensor, Tensor) or tensor.device == META, (
                    f"{function} on {tensor.device}"
                )
        self.operations[str(function)] += 1
        return function(*args, **(kwargs or {}))


def full_size() -> FrameModel:
    """S2-Pro as it is, of bfloat16 without any memory: reading a value of it is an error."""
    config = preset(Layout.S2_PRO, Scale.FULL)
    torch.set_default_dtype(torch.bfloat16)
    try:
        with META:
            slow, fast = SlowTransformer(config), FastTransformer(config)
    finally:
        torch.set_default_dtype(torch.float32)
    slow.finish()
    fast.finish()
    memory = KeyValues(
        config.slow, slots=SLOTS, pages=9, page_size=16, context=256, device=META, dtype=torch.bfloat16
    )
    sampler = Sampler(SLOTS, config.semantic_size, config.codebooks - 1, device=META)
    return FrameModel(slow, fast, sampler, memory)


def test_a_frame_never_waits_for_the_host_and_stays_on_the_device() -> None:
    with torch.inference_mode():
        model = full_size()
        slots = torch.zeros(3, dtype=torch.long, device=META)
        with Watch() as watch:
            drawn = model.decode(slots)
    assert drawn.shape == (3, 12)
    assert drawn.dtype == torch.long
    assert not {name for name in watch.operations if "_local_scalar_dense" in name or "nonzero" in name}


def test_what_follows_a_prompt_needs_the_host_no_more_than_a_frame() -> None:
    with torch.inference_mode():
        model = full_size()
        slots, at = (torch.zeros(2, dtype=torch.long, device=META) for _ in range(2))
        with Watch() as watch:
            hidden = model.read(
                torch.zeros((2, 7, 11), dtype=torch.long, device=META), slots, at, at + 7, context=32
            )
            drawn = model.draw(hidden, slots, at)
    assert hidden.shape == (2, 2560)
    assert hidden.dtype == torch.bfloat16
    assert drawn.shape == (2, 12)
    assert not {name for name in watch.operations if "_local_scalar_dense" in name or "nonzero" in name}
