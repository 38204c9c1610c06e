"""From a checkpoint's folder to a model that speaks through SGLang."""

import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from engine.models.dual_ar.attention import page_bytes
from engine.models.dual_ar.load import (
    Around,
    DualAROptions,
    check_warm,
    load_around,
    pick_device,
    pick_dtype,
)
from engine.models.dual_ar.model import DualARModel
from engine.models.lane import enough_memory
from engine.models.sglang.client import Client
from engine.models.sglang.contexts import SGLangContexts
from engine.models.sglang.export import export
from engine.models.sglang.messages import Ready
from engine.models.sglang.platform import CPU

VERSIONS = ">=0.5.23,<0.5.24"
"""What the model file and the plugin are written for, as the extra ``[sglang]`` pins it."""

_MODELS = "engine.models.sglang.models"
_CHUNK_ON_CUDA, _CHUNK_ON_CPU = 1024, 128  # positions of prompts read in a step, as our own engine has it
_SHARE = (
    0.8  # of a GPU's memory for SGLang's weights and KV cache; the codec and the voices' encoder need some GB
)
_KV_ON_CPU = 1 << 30
_SPARE = 8  # positions that SGLang keeps of a context for itself


@dataclass(frozen=True, slots=True)
class SGLangOptions:
    """How SGLang is run.

    ``tensor_parallel`` GPUs share the slow transformer. ``python`` is the interpreter in whose environment
    SGLang is installed, beside parrotfish; None is the one that runs this. ``arguments`` go to SGLang as they
    are, over ours.
    """

    tensor_parallel: int = 1
    python: Path | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)


def load_sglang(
    folder: Path, options: DualAROptions | None = None, sglang: SGLangOptions | None = None
) -> DualARModel:
    """The model in a checkpoint's folder, of S2-Pro's layout, on SGLang, ready to :meth:`~DualARModel.warm`.

    The codec runs in this process, on the first of the GPUs. Raises as
    :func:`~engine.models.dual_ar.load_dual_ar` does, and :class:`~engine.models.sglang.client.SGLangFailed`.
    """
    options, sglang = options or DualAROptions(), sglang or SGLangOptions()
    if options.compile:
        raise ValueError("compile is for the engine of our own; SGLang has arguments of its own for that")
    device = pick_device(options.device)
    dtype = pick_dtype(options.dtype, device)
    with enough_memory(device), ExitStack() as undo:
        around = load_around(folder, options, device, dtype)
        undo.callback(around.voices.close)
        client, ready = _start(folder, around, options, sglang, device, dtype)
        undo.callback(client.close)
        longest = min(_longest(around), ready.positions - _SPARE)
        info = around.info(
            f"SGLang {ready.version} on {device}, {sglang.tensor_parallel} x tensor parallel, "
            f"{str(dtype).removeprefix('torch.')}",
            f"KV cache of {ready.positions:,} positions; a stream takes {longest:,} at most",
        )
        model = DualARModel(
            info,
            SGLangContexts(around.config, client, slots=around.slots, longest=longest, device=device),
            around.vocoder,
            around.prompts,
            around.voices,
            slots=around.slots,
            warm_voices=check_warm(options.warm_voices, info),
        )
        undo.pop_all()
    return model


def _start(
    folder: Path,
    around: Around,
    options: DualAROptions,
    sglang: SGLangOptions,
    device: torch.device,
    dtype: torch.dtype,
) -> tuple[Client, Ready]:
    """Have SGLang load the checkpoint."""
    type_name = str(dtype).removeprefix("torch.")
    arguments = {
        "skip_tokenizer_init": True,
        "dtype": type_name,
        "tp_size": sglang.tensor_parallel,
        "context_length": _longest(around) + _SPARE,
        "max_running_requests": around.streams,
        "incremental_streaming_output": True,
        "disable_overlap_schedule": True,  # a frame's codes are read on the host when its step is over
        "log_level": "warning",
        **_on(device, options),
    }
    kv_memory = options.kv_memory or (None if device.type == "cuda" else _KV_ON_CPU)
    if kv_memory is not None:
        arguments["max_total_tokens"] = kv_memory // page_bytes(around.config.slow, 1, dtype)
    with tempfile.TemporaryDirectory(prefix="parrotfish-sglang-") as served:
        export(
            folder,
            Path(served),
            slots=around.streams + 1,  # the first is nobody's
            dtype=type_name,
            greedy_residuals=options.greedy_residuals,
        )
        client = Client(
            {**arguments, **sglang.arguments, "model_path": served}, _environment(device), sglang.python
        )
        return client, client.wait_ready()  # by then it has read the folder


def _longest(around: Around) -> int:
    return min(around.context, around.config.slow.max_positions - _SPARE)


def _on(device: torch.device, options: DualAROptions) -> dict[str, Any]:
    if device.type == "cpu":
        return {
            "device": "cpu",
            "attention_backend": "torch_native",
            "disable_cuda_graph": True,
            "chunked_prefill_size": _CHUNK_ON_CPU,
        }
    return {
        "device": "cuda",
        "base_gpu_id": device.index or 0,
        "mem_fraction_static": _SHARE,
        "disable_cuda_graph": not options.graphs,
        "disable_prefill_cuda_graph": True,  # what a prompt says beside its tokens comes from the host
        "chunked_prefill_size": _CHUNK_ON_CUDA,
    }


def _environment(device: torch.device) -> dict[str, str]:
    environment = {"SGLANG_EXTERNAL_MODEL_PACKAGE": _MODELS}
    if device.type == "cpu":
        # With more, SGLang's processes take the processors from one another.
        environment |= {CPU: "1", "OMP_NUM_THREADS": "1"}
    return environment
