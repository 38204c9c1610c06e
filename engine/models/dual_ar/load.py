"""From a checkpoint's folder to a model that speaks, on the device that there is."""

import logging
import os
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError

from engine.models.codec import Decoder, load_decoder, load_encoder
from engine.models.dual_ar.attention import KeyValues, ReadPages, page_bytes
from engine.models.dual_ar.batcher import Batcher
from engine.models.dual_ar.config import CheckpointError, DualARConfig, read_config
from engine.models.dual_ar.frame import FrameModel
from engine.models.dual_ar.model import DualARModel
from engine.models.dual_ar.pages import PagePool
from engine.models.dual_ar.prompt import PromptBuilder
from engine.models.dual_ar.sampling import Sampler
from engine.models.dual_ar.tokenizer import Tokenizer
from engine.models.dual_ar.vocoder import Vocoder
from engine.models.dual_ar.voices import NO_VOICE, Codes, Voices, read_voices
from engine.models.dual_ar.weights import load_weights
from engine.models.lane import Lane, NotEnoughMemory, enough_memory
from engine.scheduler import OVERBOOKING
from engine.speech import ModelInfo, Pcm

PAGE_SIZE = 16
CONTEXT = 4096
"""Positions of one stream at most: its voice, what it has said of late, and the segment it speaks."""

_LEAST_CONTEXT = 256

_KV_SHARE = 0.85  # of the memory that is free once everything else is loaded
_CLONING = (
    3 << 29
)  # bytes kept for the codec's encoder (0.83 GB) and what it computes, if ever a voice is cloned
_KV_ON_CPU = 1 << 30
_READ_ON_CUDA, _READ_ON_CPU = 1024, 128  # positions read in a step: about as long as a frame takes
_PREFILLS = 16  # of new segments in one step; more of them keep those that speak waiting
_STREAMS_ON_CUDA, _STREAMS_ON_CPU = 64, 8
_LM_PRIORITY, _CODEC_PRIORITY = 1, 2  # frames go before voices, what is heard now before what comes next
_LOUDNESS = -20.0  # LUFS; what a voice really measures is heard as it speaks

_log = logging.getLogger(__name__)

DType = Literal["auto", "bfloat16", "float32"]

# Tier 1 and 2 of S2-Pro's model card; it speaks some seventy more.
_LANGUAGES = ("en", "zh", "ja", "es", "ko", "pt", "ru", "ar", "fr", "de")


@dataclass(frozen=True, slots=True)
class DualAROptions:
    """How a Dual-AR model is run.

    ``device`` is ``auto`` (CUDA if there is any), ``cpu``, ``cuda`` or ``cuda:1``; ``dtype`` auto is bfloat16 on
    CUDA and float32 elsewhere. ``max_streams`` may speak at once. ``kv_memory`` is bytes for the KV cache; None
    is most of what is free. ``graphs`` captures each step as a CUDA graph (CUDA only), ``compile`` has torch
    compile them first. ``greedy_residuals`` takes the likeliest code of codebooks 1 to 9. ``voices`` is a folder
    of recordings (:func:`read_voices`), ``warm_voices`` those that are encoded and read at the start.
    """

    device: str = "auto"
    dtype: DType = "auto"
    max_streams: int | None = None
    kv_memory: int | None = None
    context: int = CONTEXT
    graphs: bool = True
    compile: bool = False
    greedy_residuals: bool = False
    voices: Path | None = None
    warm_voices: tuple[str, ...] = ()


def load_dual_ar(folder: Path, options: DualAROptions | None = None) -> DualARModel:
    """The model in a checkpoint's folder (S2-Pro's layout or S1-mini's), ready to :meth:`~DualARModel.warm`.

    Raises :class:`CheckpointError`, :class:`NotEnoughMemory`, :class:`VoiceFolderError`, or ValueError for an
    option that cannot be.
    """
    options = options or DualAROptions()
    device = pick_device(options.device)
    dtype = pick_dtype(options.dtype, device)
    with enough_memory(device):
        return _load(folder, options, device, dtype)


def pick_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is CUDA where there is one. Raises ValueError if there is none."""
    available = torch.cuda.is_available()
    if name == "auto":
        return torch.device("cuda:0" if available else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ValueError(f"device is {name!r}; it must be auto, cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise ValueError(f"device is {name!r}; this model runs on cpu and cuda")
    if device.type == "cuda":
        count = torch.cuda.device_count() if available else 0
        if (device.index or 0) >= count:
            raise ValueError(
                f"device is {name!r}, but torch {torch.__version__} sees {count} CUDA devices here"
            )
        return torch.device("cuda", device.index or 0)
    return device


def pick_dtype(name: DType, device: torch.device) -> torch.dtype:
    """The type of weights and KV cache."""
    if name == "auto":
        name = "bfloat16" if device.type == "cuda" else "float32"
    return {"bfloat16": torch.bfloat16, "float32": torch.float32}[name]


class Around(NamedTuple):
    """All of a model but what computes its frames: how it is told texts, and how its codes become sound."""

    config: DualARConfig
    prompts: PromptBuilder
    vocoder: Vocoder
    voices: Voices
    sample_rate: int
    streams: int
    slots: int
    context: int

    def info(self, *details: str) -> ModelInfo:
        """The facts of the model."""
        return ModelInfo(
            name=self.config.layout.value,
            sample_rate=self.sample_rate,
            frame_samples=self.vocoder.frame_samples,
            max_batch=self.streams,
            loudness=_LOUDNESS,
            voices=self.voices.known,
            default_voice=NO_VOICE,
            languages=_LANGUAGES,
            reads_tags=True,
            max_prefills=min(self.streams, _PREFILLS),
            max_streams=self.streams,
            clones=True,
            details=details,
        )


def load_around(folder: Path, options: DualAROptions, device: torch.device, dtype: torch.dtype) -> Around:
    """Load all but the transformers. Raises as :func:`load_dual_ar` does."""
    cuda = device.type == "cuda"
    # Convolutions of float32 in float32, as the recordings of the reference were encoded: which of two near codes
    # it is, is decided by less than TF32 keeps.
    torch.backends.cudnn.allow_tf32 = False
    if not cuda and "OMP_NUM_THREADS" not in os.environ:
        # Half of the processors: the event loop and the encoders need theirs, and threads that wait for one of
        # them spin.
        torch.set_num_threads(max(1, (os.cpu_count() or 2) // 2))
    tokenizer = Tokenizer.load(folder)
    config = read_config(folder, tokenizer.id_of)
    prompts = PromptBuilder(tokenizer, config)
    streams = options.max_streams or (_STREAMS_ON_CUDA if cuda else _STREAMS_ON_CPU)
    context = min(options.context, config.slow.max_positions)
    for name, value, least in (("max_streams", streams, 1), ("context", context, _LEAST_CONTEXT)):
        if value < least:
            raise ValueError(f"{name} is {value}; it must be {least} or more")
    _log.info("loading %s (%s) to %s as %s", folder, config.layout, device, dtype)
    slots = OVERBOOKING * streams
    decoder = _decoder(folder, device, dtype)
    vocoder = Vocoder(
        decoder,
        Lane(device, priority=_CODEC_PRIORITY),
        slots=slots,
        largest=streams,
        graphs=options.graphs and cuda,
        compiled=compile_step if options.compile else None,
    )
    rate = decoder.config.sample_rate
    voices = Voices(
        read_voices(options.voices) if options.voices else {}, lambda: _encode(folder, device), rate
    )
    return Around(config, prompts, vocoder, voices, rate, streams, slots, context)


def _load(folder: Path, options: DualAROptions, device: torch.device, dtype: torch.dtype) -> DualARModel:
    cuda = device.type == "cuda"
    around = load_around(folder, options, device, dtype)
    config, slots, context = around.config, around.slots, around.context
    slow, fast = load_weights(folder, config, device, dtype)
    graphs = options.graphs and cuda

    lane = Lane(device, priority=_LM_PRIORITY)
    with lane.work():
        memory = KeyValues(
            config.slow,
            slots=slots + 1,
            pages=_pages(config, options, slots, context, device, dtype),
            page_size=PAGE_SIZE,
            context=context,
            device=device,
            dtype=dtype,
        )
        sampler = Sampler(
            slots + 1,
            config.semantic_size,
            config.codebooks - 1,
            device=device,
            greedy_residuals=options.greedy_residuals,
        )
        reader = paged_attention() if cuda else None
        model = FrameModel(slow, fast, sampler, memory, reader)
    if cuda:
        torch.cuda.synchronize(device)  # what was loaded is used in other streams
    batcher = Batcher(
        model,
        PagePool(memory.keys.shape[1], PAGE_SIZE),
        lane,
        budget=_READ_ON_CUDA if cuda else _READ_ON_CPU,
        largest=around.streams,
        graphs=graphs,
        compiled=compile_step if options.compile else None,
    )
    info = around.info(
        _runs_on(device, dtype, graphs=graphs, compiled=options.compile, kernel=reader is not None),
        _holds(memory, context, around.sample_rate / around.vocoder.frame_samples),
    )
    return DualARModel(
        info,
        batcher,
        around.vocoder,
        around.prompts,
        around.voices,
        slots=slots,
        lookahead=cuda,
        warm_voices=check_warm(options.warm_voices, info),
    )


def _runs_on(device: torch.device, dtype: torch.dtype, *, graphs: bool, compiled: bool, kernel: bool) -> str:
    name = f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)
    extras = {"CUDA graphs": graphs, "compiled": compiled, "attention in Triton": kernel}
    return ", ".join([name, str(dtype).removeprefix("torch."), *(extra for extra in extras if extras[extra])])


def _holds(memory: KeyValues, context: int, frame_rate: float) -> str:
    """What the KV cache holds, in positions and in speech: a frame takes one."""
    pages, page_size = memory.keys.shape[1:3]
    positions = (pages - 1) * page_size
    size = memory.keys.nbytes + memory.values.nbytes
    return (
        f"KV cache of {size / 2**30:.2f} GiB: {positions:,} positions, {positions / frame_rate / 60:.1f} min of "
        f"speech; a stream takes {context:,} at most"
    )


def check_warm(asked: Sequence[str], info: ModelInfo) -> tuple[str, ...]:
    """The voices to warm; raises ValueError for one that the model does not have."""
    if tuple(asked) == ("all",):
        return info.voice_ids
    for voice in asked:
        if voice not in info.voice_ids:
            raise ValueError(f"warm_voices: {voice!r} is unknown; there are {', '.join(info.voice_ids)}")
    return tuple(asked)


def _pages(
    config: DualARConfig,
    options: DualAROptions,
    slots: int,
    context: int,
    device: torch.device,
    dtype: torch.dtype,
) -> int:
    """How many pages fit into the memory that is given or left, no more than all streams can fill."""
    size = page_bytes(config.slow, PAGE_SIZE, dtype)
    memory = options.kv_memory
    if memory is None:
        memory = _KV_ON_CPU
        if device.type == "cuda":
            memory = max(0, int((torch.cuda.mem_get_info(device)[0] - _CLONING) * _KV_SHARE))
    longest = -(-context // PAGE_SIZE)
    pages = min(memory // size, 2 * slots * longest) + 1
    if pages <= longest:
        raise NotEnoughMemory(
            f"{memory / 2**30:.2f} GiB for the KV cache hold {pages - 1} pages of {PAGE_SIZE} positions, one "
            f"stream takes up to {longest} ({longest * size / 2**30:.2f} GiB): raise --kv-memory, or lower "
            "--max-streams so that more is left"
        )
    return pages


def _decoder(folder: Path, device: torch.device, dtype: torch.dtype) -> Decoder:
    try:
        with enough_memory(device):
            return load_decoder(folder, device, dtype)
    except (OSError, ValueError, RuntimeError, pickle.UnpicklingError, SafetensorError) as error:
        raise CheckpointError(f"the codec in {folder} cannot be used: {error}") from error


def _encode(folder: Path, device: torch.device) -> Callable[[Pcm], Codes]:
    """Load the codec's encoder, and give what turns samples into codes with it."""
    lane = Lane(device)
    with lane.work():  # in the lane that uses them: its weights are computed, not just copied
        encoder = load_encoder(folder, device, torch.float32)

    def encode(pcm: Pcm) -> Codes:
        with lane.work():
            download = lane.download(encoder.encode(lane.upload(pcm.astype(np.float32))))
        return download.wait()

    return encode


def paged_attention() -> ReadPages | None:
    """Attention over pages as one kernel, where Triton can make it; None where it cannot."""
    try:
        from engine.models.dual_ar.paged_triton import paged_decode
    except ImportError:
        _log.warning("no triton here: attention gathers its pages, which is slower")
        return None
    return paged_decode


def compile_step(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """A function of a batch as torch compiles it."""
    # One program for all sizes of batches (and one for a batch of 1) rather than one for each.
    compiled: Callable[..., torch.Tensor] = torch.compile(function, fullgraph=True, dynamic=True)
    return compiled
