"""A model's parts as the engine puts them together, each within reach, so that it can be run alone."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from statistics import median
from time import perf_counter
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmarks.engine.floor import Floor
from benchmarks.engine.setting import Setting
from engine.models.codec import load_decoder
from engine.models.dual_ar.attention import KeyValues, PagedCache
from engine.models.dual_ar.batcher import Batcher, Flight
from engine.models.dual_ar.config import read_config
from engine.models.dual_ar.contexts import Stop
from engine.models.dual_ar.frame import FrameModel
from engine.models.dual_ar.load import CONTEXT, PAGE_SIZE, compile_step, paged_attention
from engine.models.dual_ar.pages import PagePool, Positions
from engine.models.dual_ar.presets import SPECIALS
from engine.models.dual_ar.sampling import Sampler, Start
from engine.models.dual_ar.tokenizer import Tokenizer
from engine.models.dual_ar.vocoder import Vocoder
from engine.models.dual_ar.weights import load_weights
from engine.models.lane import Captured, Lane
from engine.speech import Sampling

Part = Callable[..., Tensor]

PREFILLS = (60, 400, 1024)
"""Positions that are read: a sentence for a voice that is in the cache, a voice of 10 s, one of 40 s."""

_BUDGET_ON_CUDA, _BUDGET_ON_CPU = 1024, 128  # positions read in a step, as the engine has it
_ROOM = 256  # positions beyond the context, for what is drawn while it is timed
_TEXT = 256  # ids of text are below


class Step(NamedTuple):
    """One step of a batch, in seconds: all of it, and what the host took to launch it."""

    took: float
    launched: float


class Rig:
    """The transformers, the sampler, the KV cache and the codec of a checkpoint, for the batches of a setting.

    All that runs here runs in :attr:`lane`. The KV cache is as large as the largest batch needs.
    """

    def __init__(self, setting: Setting) -> None:
        device, dtype = setting.device, setting.dtype
        tokenizer = Tokenizer.load(setting.folder)
        self.config = config = read_config(setting.folder, tokenizer.id_of)
        self.setting = setting
        self.lane = lane = Lane(device)
        self.floor = Floor.of(config, dtype.itemsize)
        self.random = np.random.default_rng(setting.seed)
        self.slow, self.fast = load_weights(setting.folder, config, device, dtype)
        self.decoder = load_decoder(setting.folder, device, dtype)
        if setting.cuda:
            torch.cuda.synchronize(
                device
            )  # weights are derived outside of the lane, which does not wait for it
        largest = setting.largest
        longest = max(setting.context + _ROOM, *PREFILLS)
        context = min(max(CONTEXT, longest), config.slow.max_positions)
        self._longest = context
        # As the engine does: where shapes are fixed every pass looks as far as there are pages.
        self._looks_far = setting.graphs or setting.compile
        with lane.work():
            self.memory = KeyValues(
                config.slow,
                slots=largest + 1,
                pages=1 + largest * -(-longest // PAGE_SIZE),
                page_size=PAGE_SIZE,
                context=context,
                device=device,
                dtype=dtype,
            )
            self.sampler = Sampler(largest + 1, config.semantic_size, config.codebooks - 1, device=device)
            self.reader = paged_attention() if setting.cuda else None
            self.model = FrameModel(self.slow, self.fast, self.sampler, self.memory, self.reader)
            self._make_inputs()
        self.batcher = Batcher(
            self.model,
            PagePool(self.memory.keys.shape[1], PAGE_SIZE),
            lane,
            budget=_BUDGET_ON_CUDA if setting.cuda else _BUDGET_ON_CPU,
            largest=largest,
            graphs=setting.graphs,
            compiled=compile_step if setting.compile else None,
        )
        self.vocoder = Vocoder(
            self.decoder,
            Lane(device),
            slots=largest,
            largest=largest,
            graphs=setting.graphs,
            compiled=compile_step if setting.compile else None,
        )

    @property
    def frame_seconds(self) -> float:
        """How long a frame is heard."""
        return self.decoder.config.frame_samples / self.decoder.config.sample_rate

    @property
    def weights_bytes(self) -> int:
        """Memory of both transformers and the codec's decoder."""
        modules = (self.slow, self.fast, self.decoder)
        tensors = (tensor for module in modules for tensor in (*module.parameters(), *module.buffers()))
        return sum(tensor.nbytes for tensor in tensors)

    # -- contexts

    def rows(self, count: int) -> Positions:
        """Positions of chance, which end as those do that are to be spoken."""
        rows = np.zeros((count, 1 + self.config.codebooks), np.int64)
        rows[:, 0] = self.random.integers(0, _TEXT, count)
        rows[-1] = self._cue()
        return rows

    @contextmanager
    def contexts(self, batch: int) -> Iterator[list[int]]:
        """So many streams of the setting's context, no two alike, which have drawn their first frame."""
        slots = list(range(batch))
        for slot in slots:
            self.read(slot, self.rows(self.setting.context))
        try:
            yield slots
        finally:
            for slot in slots:
                self.batcher.free(slot)

    def read(self, slot: int, rows: Positions) -> float:
        """Have a new context read and its first frame drawn; the seconds that takes."""
        salt = self.random.bytes(16)
        started = perf_counter()
        self.batcher.begin(rows, public=0, salt=salt, start=self._start(slot))
        while slot not in self.batcher.land(self.batcher.launch([slot])):
            pass
        return perf_counter() - started

    def steps(self, slots: Sequence[int], count: int) -> list[Step]:
        """Run a batch for ``count`` steps as the engine does: on a GPU the next is launched before one lands.

        Who says that all is said goes on speaking.
        """
        steps: list[Step] = []
        flight: Flight | None = None
        for _ in range(count):
            started = perf_counter()
            launched = self.batcher.launch(slots)
            after = perf_counter()
            if self.setting.cuda:
                flight, launched = launched, flight
            if launched is not None:
                self._land(launched)
            steps.append(Step(perf_counter() - started, after - started))
        if flight is not None:
            self._land(flight)
        return steps

    def _land(self, flight: Flight) -> None:
        for slot, outcome in self.batcher.land(flight).items():
            if isinstance(outcome, Stop):
                self.batcher.stop(slot)
                self.batcher.extend(self._cue()[None], start=self._start(slot))

    def _start(self, slot: int) -> Start:
        return Start(slot, replace(Sampling(), seed=None), int(self.random.integers(1 << 62)))

    def _cue(self) -> Positions:
        cue = np.zeros(1 + self.config.codebooks, np.int64)
        cue[0] = self.config.semantic_start + SPECIALS["<|voice|>"]
        return cue

    # -- parts, each a function of the batch's slots

    def captured(self, part: Part, *padding: int) -> Captured:
        """The part as the engine runs it: compiled and as CUDA graphs, if that was asked for.

        ``padding`` as :class:`Captured` has it; unless given, the part's one argument are slots.
        """
        return Captured(
            compile_step(part) if self.setting.compile else part,
            self.lane,
            padding or (self.model.nobody,),
            graphs=self.setting.graphs,
            largest=self.setting.largest,
        )

    def slow_at(self, context: int) -> Part:
        """The slow transformer's step at so many positions, up to what is drawn from."""

        def slow(slots: Tensor) -> Tensor:
            at = torch.full_like(slots, context - 1)[:, None]
            look = self._longest if self._looks_far else context
            cache = PagedCache(self.memory, slots, at, context=look, read=self.reader)
            hidden = self.slow(self.slow.embed(self._heard[: len(slots)])[:, None], at, cache)[:, 0]
            return self.slow.semantic_logits(hidden)

        return slow

    def fast_loop(self, slots: Tensor) -> Tensor:
        """The fast transformer's passes, with nothing to choose."""
        rows = len(slots)
        # A code that depends on the logits, or a compiler would leave them out: 0, unless they are broken.
        return self.fast.codes(
            self._hidden[:rows], self._first[:rows], lambda i, logits: logits[:, 0].isnan().long()
        )

    def sampling(self, slots: Tensor) -> Tensor:
        """All draws of a frame, from logits of chance."""
        rows = len(slots)
        draws = self.sampler.draws(slots)
        codes = [draws.semantic(self._semantic[:rows])]
        codes += [draws.residual(i, logits[:rows]) for i, logits in enumerate(self._residual, 1)]
        draws.commit()
        return torch.stack(codes, 1)

    def draw(self, slots: Tensor) -> Tensor:
        """The frame that follows a context which has just been read: head, draws and fast transformer."""
        at = torch.full_like(slots, self.setting.context)
        return self.model.draw(self._hidden[: len(slots)], slots, at)

    def decode(self, slots: Tensor) -> Tensor:
        """The whole decode step, slow and fast."""
        if self._looks_far:
            return self.model.decode(slots)
        return self.model.decode(slots, context=self.setting.context + _ROOM)

    def upload(self, slots: Sequence[int]) -> Tensor:
        """A batch's slots on the device."""
        with self.lane.work():
            return self.lane.upload(np.array(slots))

    def read_alone(self, positions: int) -> Callable[[], Tensor]:
        """One pass that reads so many positions in slot 0, which has to have pages for them."""
        with self.lane.work():
            rows = self.lane.upload(self.rows(positions)[None])
            start, counts = self.lane.upload(np.zeros(1, np.int64)), self.lane.upload(np.array([positions]))
        return lambda: self.model.read(rows, start, start, counts, context=positions)

    def codec(self, batch: int, frames: int) -> Callable[[], Tensor]:
        """Decoding so many frames of each of a batch's streams, in one pass."""
        with self.lane.work():
            state = self.decoder.state(self.setting.largest + 1)
            slots = self.lane.upload(np.arange(batch))
            codes = self.lane.upload(self._codes(batch, frames))
            largest = self.setting.largest
        part = self.captured(lambda codes, at: self.decoder.stream(codes, at, state), 0, largest)
        return lambda: part(codes, slots)

    def first_audio(self, times: int) -> float:
        """Median seconds from one stream's first codes to its samples on the host."""
        frame = self._codes(1, 1)[0, :, 0]
        took = []
        for _ in range(times):
            started = perf_counter()
            self.vocoder.decode({0: [frame]})
            took.append(perf_counter() - started)
        return median(took)

    def _codes(self, batch: int, frames: int) -> Positions:
        sizes = np.array(self.decoder.config.codebook_sizes)[None, :, None]
        return self.random.integers(0, sizes, (batch, len(self.decoder.config.codebook_sizes), frames))

    def _make_inputs(self) -> None:
        """What the parts work on: of chance, as what is of one value may be quicker."""
        config, device, largest = self.config, self.setting.device, self.setting.largest
        generator = torch.Generator(device).manual_seed(self.setting.seed)

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, device=device)

        def below(limit: int, *shape: int) -> Tensor:
            return torch.randint(limit, shape, generator=generator, device=device)

        self._hidden = normal(largest, config.slow.dim).to(self.setting.dtype)
        self._first = below(config.semantic_size, largest)
        codes = below(config.codebook_size, largest, config.codebooks)
        self._heard = torch.cat((config.semantic_start + self._first[:, None], codes), 1)
        self._semantic = 3 * normal(largest, config.semantic_size + 1)
        self._residual = 3 * normal(config.codebooks - 1, largest, config.codebook_size)
