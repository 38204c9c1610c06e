"""Continuous batching: contexts that grow frame by frame, join and leave between frames, and share pages.

The host decides here which positions are computed next and where they lie; what is in them stays on the device
until it is copied out. One flight is what was launched together. With a flight in the air the next one can be
launched already: it starts from what lies on the device.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch

from engine.errors import ModelGone
from engine.models.dual_ar.contexts import Codes, Stop
from engine.models.dual_ar.frame import FrameModel
from engine.models.dual_ar.pages import PagedSequence, PagePool, Positions
from engine.models.dual_ar.sampling import Start
from engine.models.lane import Captured, Download, Lane
from engine.numbers import PageNumbers

READERS = 16
"""Contexts that are read in one pass at most: for each, memory is taken as for the longest of them."""


class _Row(NamedTuple):
    slot: int
    life: int
    computed: int  # how many positions of its context this flight has completed


class Flight:
    """What was launched in one step, by no means computed yet."""

    def __init__(self, rows: list[_Row], download: Download | None, refused: list[_Row]) -> None:
        self.rows = rows
        self.download = download
        self.refused = refused  # rows for which there was no page


@dataclass(slots=True)
class _Context:
    """One stream's positions. Those in ``rows[:known]`` are known to the host, ``flying`` more to the device."""

    rows: Positions
    known: int
    public: int
    salt: bytes
    life: int  # another one for each stretch that is spoken: what was launched for an earlier one is void
    sequence: PagedSequence | None = None  # None: its pages were given to others
    computed: int = 0
    flying: int = 0
    found: int = 0  # positions that had been computed when it was opened or extended
    drawn: bool = False  # the device holds the position that comes next
    used: int = 0  # the step in which it ran last

    def append(self, rows: Positions) -> None:
        """Add rows ``(n, 11)`` to what is known."""
        end = self.known + len(rows)
        if end > len(self.rows):
            larger = np.empty((max(end, 2 * len(self.rows)), self.rows.shape[1]), np.int64)
            larger[: self.known] = self.rows[: self.known]
            self.rows = larger
        self.rows[self.known : end] = rows
        self.known = end


@dataclass(slots=True)
class _Launch:
    """A flight that is being put together."""

    decode: list[int] = field(default_factory=list)
    read: list[tuple[int, int]] = field(default_factory=list)  # slot, how many positions
    refused: list[int] = field(default_factory=list)

    @property
    def placed(self) -> set[int]:
        return {*self.decode, *(slot for slot, _ in self.read)}


class Batcher:
    """The contexts of all slots over one model. Everything but :meth:`land` returns without waiting.

    ``budget`` is how many positions are read in one step beside frames, padding included, so that nobody's next
    frame is late; ``largest`` how many streams a step may have.
    """

    def __init__(
        self,
        model: FrameModel,
        pool: PagePool,
        lane: Lane,
        *,
        budget: int,
        largest: int,
        graphs: bool = False,
        compiled: Callable[[Callable[..., torch.Tensor]], Callable[..., torch.Tensor]] | None = None,
    ) -> None:
        self.pool = pool
        self._model = model
        self._lane = lane
        self._budget = budget
        # Where shapes are fixed every pass looks as far as there are pages; else as far as the streams are.
        self._looks_far = graphs or compiled is not None
        wrap = compiled or (lambda function: function)
        nobody = model.nobody
        self._decode = Captured(wrap(model.decode), lane, (nobody,), graphs=graphs, largest=largest)
        self._draw = Captured(wrap(model.draw), lane, (0, nobody, 0), graphs=graphs, largest=largest)
        self._contexts: dict[int, _Context] = {}
        self._starts: dict[int, Start] = {}  # of segments that the device does not know of yet
        self._tables = np.zeros(model.memory.tables.shape, np.int32)
        self._changed: set[int] = set()  # slots whose block tables the device does not have yet
        self._batch: tuple[list[int], torch.Tensor] | None = (
            None  # the slots of the last frames, on the device
        )
        self._lives = 0
        self._steps = 0

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return self._lane.device

    @property
    def longest(self) -> int:
        """How many positions a context may have."""
        return self._tables.shape[1] * self.pool.page_size

    @property
    def pages(self) -> PageNumbers:
        """How full the cache is, and how much was found in it."""
        return self.pool.numbers

    def begin(self, rows: Positions, *, public: int, salt: bytes, start: Start) -> None:
        """Put a new context ``rows (n, 11)`` into ``start.slot`` and draw from what it ends with.

        The first ``public`` rows are those of the voices: they are shared with whoever has the same. The others
        are only found again under the same ``salt``. Raises ``ValueError``, with nothing changed, for settings
        out of range.
        """
        self._model.sampler.check(start)
        self.free(start.slot)
        self._contexts[start.slot] = _Context(
            np.ascontiguousarray(rows, np.int64), len(rows), public, salt, self._life()
        )
        self._starts[start.slot] = start

    def extend(self, rows: Positions, *, start: Start) -> None:
        """Go on in the context of ``start.slot``, which was stopped: add ``rows`` and draw from their end.

        Raises as :meth:`begin` does.
        """
        self._model.sampler.check(start)
        context = self._contexts[start.slot]
        context.found = context.computed
        context.append(rows)
        context.life = self._life()
        self._starts[start.slot] = start

    def stop(self, slot: int) -> None:
        """Draw no more in this slot; its context stays, without what is in flight."""
        context = self._contexts[slot]
        context.life = self._life()
        context.flying, context.drawn = 0, False
        # The device may have run on past the end.
        context.computed = min(context.computed, context.known)

    def free(self, slot: int, *, broken: bool = False) -> None:
        """Forget the slot's context, with ``broken`` so that nobody finds its pages again."""
        context = self._contexts.pop(slot, None)
        if context is not None and context.sequence is not None:
            context.sequence.close(poisoned=broken, forget=True)

    def length(self, slot: int) -> int:
        """How many positions the slot's context has."""
        return self._contexts[slot].known

    def found(self, slot: int) -> int:
        """See :class:`~engine.models.dual_ar.contexts.Contexts`."""
        return self._contexts[slot].found

    def launch(self, slots: Sequence[int]) -> Flight:
        """Start the next step of these slots, the most urgent first.

        Slots whose context is read get chunks of the budget and no frame until it is read. Slots for which there
        is no page now get none in this step; a context that is idle, or whose segment began later, gives its
        pages up for them. So the segment that began first always gets on, and no two take turns in reading.
        """
        self._steps += 1
        launch = _Launch()
        for slot in slots:
            context = self._contexts[slot]
            context.used = self._steps
            if context.drawn:
                if self._grow(slot, context.known + context.flying, launch, slots):
                    launch.decode.append(slot)
            elif not context.flying and (count := self._chunk(slot, launch, slots)):
                launch.read.append((slot, count))
        rows: list[_Row] = []
        with self._lane.work():
            self._prepare()
            drawn = [*self._run_read(launch.read, rows), *self._run_decode(launch.decode, rows)]
            download = self._lane.download(torch.cat(drawn)) if drawn else None
        refused = [_Row(slot, self._contexts[slot].life, 0) for slot in launch.refused]
        return Flight(rows, download, refused)

    def land(self, flight: Flight) -> dict[int, Codes | Stop]:
        """Wait for a flight: the frame of each slot that has one, or why it has no more.

        Flights land in the order in which they were launched.
        """
        landed: dict[int, Codes | Stop] = {}
        for row in flight.refused:
            if self._alive(row):
                landed[row.slot] = Stop.NO_PAGES
        if flight.download is None:
            return landed
        # A copy, as codes are kept for long: pinned memory should be there for the next step again.
        drawn = flight.download.wait().copy()
        positions, codes = drawn[:, :-1], drawn[:, 1:-1]
        tokens, broken = drawn[:, 0].tolist(), drawn[:, -1].tolist()  # far quicker than number by number
        for index, row in enumerate(flight.rows):
            context = self._alive(row)
            if context is None:
                continue
            context.flying -= 1
            if broken[index]:
                landed[row.slot] = Stop.BROKEN
                continue
            if (sequence := context.sequence) is not None and sequence.computed < row.computed:
                sequence.advance(context.rows[sequence.computed : row.computed])
            if tokens[index] == self._model.config.end_token:
                landed[row.slot] = Stop.END
            else:
                context.append(positions[index : index + 1])
                landed[row.slot] = codes[index]
        return landed

    def capture(self) -> None:
        """Capture all graphs, so that no stream waits for it, and take the memory that reading needs at most."""
        with self._lane.work():
            slots = self._lane.upload(np.array([self._model.nobody]))
            self._decode.capture_all(slots)
            hidden = self._read_nothing(1, 1, 1)
            self._draw.capture_all(hidden, slots, torch.zeros_like(slots))
            if self.device.type == "cuda":
                for rows in (min(READERS, self._draw.buckets[-1]), 1):
                    self._read_nothing(rows, max(1, self._budget // rows), self.longest)
        self._lane.finish()

    def watch(self, gone: Callable[[ModelGone], None]) -> None:
        """What computes here ends with the process."""

    def close(self) -> None:
        """There is nothing to let go of."""

    def _read_nothing(self, rows: int, length: int, context: int) -> torch.Tensor:
        """Have nobody read ``rows`` times ``length`` positions, at the end of ``context`` positions."""
        columns = 1 + self._model.config.codebooks
        return self._model.read(
            self._lane.upload(np.zeros((rows, length, columns), np.int64)),
            self._lane.upload(np.full(rows, self._model.nobody)),
            self._lane.upload(np.full(rows, context - length)),
            self._lane.upload(np.full(rows, length)),
            context=context,
        )

    def _life(self) -> int:
        self._lives += 1
        return self._lives

    def _alive(self, row: _Row) -> _Context | None:
        context = self._contexts.get(row.slot)
        return context if context is not None and context.life == row.life else None

    def _room(self, chunks: Sequence[tuple[int, int]]) -> int:
        """How long a chunk may be that is read beside these: all are padded to the length of the longest.

        0 if it is full. A short chunk beside long ones costs as much as they do, and may have no room.
        """
        rows = len(chunks) + 1
        longest = max((count for _, count in chunks), default=0)
        return self._budget // rows if rows <= READERS and rows * longest <= self._budget else 0

    def _chunk(self, slot: int, launch: _Launch, slots: Sequence[int]) -> int:
        """How many positions of the slot's context are read in this step; 0 if there is no room or no page."""
        context, room = self._contexts[slot], self._room(launch.read)
        if not room:
            return 0
        if context.sequence is None:
            history = context.rows[: context.known]
            context.sequence = self.pool.open(history, min(context.public, context.known), context.salt)
            context.computed = context.found = context.sequence.computed
            self._changed.add(slot)
        count = min(context.known - context.computed, room)
        return count if self._grow(slot, context.computed + count, launch, slots) else 0

    def _grow(self, slot: int, length: int, launch: _Launch, slots: Sequence[int]) -> bool:
        """Make room for ``length`` positions of a slot, if need be at the cost of others."""
        sequence = self._contexts[slot].sequence
        assert sequence is not None, "a context is opened before it grows"
        pages = len(sequence.pages)
        while not sequence.grow(length):
            holding = [
                other
                for other, context in self._contexts.items()
                if other != slot and context.sequence is not None and context.sequence.pages
            ]
            victim = self._victim(slot, holding, launch.placed, slots)
            if victim is not None:
                self._preempt(victim)
                continue
            if not holding:  # else it waits for the others
                launch.refused.append(slot)
            return False
        if len(sequence.pages) != pages:
            self._changed.add(slot)
        return True

    def _victim(
        self, slot: int, holding: Sequence[int], placed: Collection[int], slots: Sequence[int]
    ) -> int | None:
        """Whose pages to take: of those that do not run the longest idle one, else the one that began last."""
        if idle := set(holding).difference(slots):
            return min(idle, key=lambda other: self._contexts[other].used)
        began = {other: self._contexts[other].life for other in holding if other not in placed}
        latest = max(began, key=began.__getitem__, default=slot)
        return latest if began.get(latest, 0) > self._contexts[slot].life else None

    def _preempt(self, slot: int) -> None:
        """Take a context's pages; it is read again when it is its turn, and goes on where it was."""
        context = self._contexts[slot]
        assert context.sequence is not None, "only who holds pages is preempted"
        context.sequence.close()
        context.sequence, context.computed, context.drawn = None, 0, False

    def _prepare(self) -> None:
        """Bring the device up to date: settings of new segments, pages of those that grew."""
        if self._starts:
            self._model.sampler.begin(*self._starts.values())
            self._starts.clear()
        if self._changed:
            changed = np.array(sorted(self._changed))
            for slot in changed:
                context = self._contexts.get(int(slot))
                pages = context.sequence.pages if context is not None and context.sequence else []
                self._tables[slot] = 0
                self._tables[slot, : len(pages)] = pages
            tables = self._model.memory.tables
            tables.index_copy_(0, self._lane.upload(changed), self._lane.upload(self._tables[changed]))
            self._changed.clear()

    def _run_read(self, chunks: Sequence[tuple[int, int]], rows: list[_Row]) -> Iterable[torch.Tensor]:
        """Read chunks of several contexts in one pass, and draw the first frame of those that are read now."""
        if not chunks:
            return
        slots = [slot for slot, _ in chunks]
        counts = np.array([count for _, count in chunks])
        contexts = [self._contexts[slot] for slot in slots]
        start = np.array([context.computed for context in contexts])
        positions = np.zeros((len(chunks), counts.max(), 1 + self._model.config.codebooks), np.int64)
        for row, context, count in zip(positions, contexts, counts, strict=True):
            row[:count] = context.rows[context.computed : context.computed + count]
            context.computed += int(count)
        upload = self._lane.upload
        hidden = self._model.read(
            upload(positions),
            upload(np.array(slots)),
            upload(start),
            upload(counts),
            context=int((start + counts).max()),
        )
        done = [index for index, context in enumerate(contexts) if context.computed == context.known]
        if done:
            at = np.array([contexts[index].known for index in done])
            ready = upload(np.array([slots[index] for index in done]))
            yield self._draw(hidden[upload(np.array(done))], ready, upload(at))
            for index in done:
                self._draws(slots[index], rows)

    def _run_decode(self, slots: list[int], rows: list[_Row]) -> Iterable[torch.Tensor]:
        """The next frame of those that have drawn one before."""
        if not slots:
            return
        for slot in slots:
            context = self._contexts[slot]
            context.computed = context.known + context.flying
        if self._batch is None or self._batch[0] != slots:
            self._batch = list(slots), self._lane.upload(np.array(slots))
        batch = self._batch[1]
        if self._looks_far:
            yield self._decode(batch)
        else:
            yield self._model.decode(batch, context=max(self._contexts[slot].computed for slot in slots))
        for slot in slots:
            self._draws(slot, rows)

    def _draws(self, slot: int, rows: list[_Row]) -> None:
        context = self._contexts[slot]
        rows.append(_Row(slot, context.life, context.computed))
        context.flying += 1
        context.drawn = True
