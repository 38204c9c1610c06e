"""Many contexts of one engine, driven as a model drives them."""

from collections.abc import Sequence

import numpy as np
import pytest

from engine.models.dual_ar.contexts import Codes, Contexts, Stop
from engine.models.dual_ar.pages import Positions
from engine.models.dual_ar.sampling import Start
from tests.engine.conformance.reference import answer, config


class Crowd:
    """Streams, what they were asked and what they have said."""

    def __init__(self, contexts: Contexts) -> None:
        self.contexts = contexts
        self.said: dict[int, list[Codes]] = {}
        self.stopped: dict[int, Stop] = {}
        self._asked: dict[int, tuple[Positions, Start]] = {}

    def begin(self, rows: Positions, start: Start, *, public: int = 0, salt: bytes | None = None) -> None:
        slot = start.slot
        own = f"{slot} {start.seed}".encode() if salt is None else salt
        self.contexts.begin(rows, public=public, salt=own, start=start)
        self._ask(rows, start)

    def extend(self, rows: Positions, start: Start) -> None:
        """Go on behind what the slot has said."""
        before, spoken = self._asked[start.slot][0], self.heard(start.slot)
        self.contexts.stop(start.slot)
        self.contexts.extend(rows, start=start)
        self._ask(np.concatenate((before, spoken, rows)), start)

    def _ask(self, rows: Positions, start: Start) -> None:
        self._asked[start.slot] = rows, start
        self.said[start.slot] = []
        self.stopped.pop(start.slot, None)

    def heard(self, slot: int) -> Positions:
        """What a slot has said, as positions."""
        codes = np.array(self.said[slot], np.int64).reshape(-1, config().codebooks)
        return np.column_stack([config().semantic_start + codes[:, 0], codes])

    def step(self, slots: Sequence[int]) -> None:
        landed = self.contexts.land(
            self.contexts.launch([slot for slot in slots if slot not in self.stopped])
        )
        for slot, outcome in landed.items():
            if isinstance(outcome, Stop):
                self.stopped[slot] = outcome
            else:
                self.said[slot].append(outcome)

    def run(self, frames: int) -> None:
        """Until each has said so many frames, or ended."""
        for _ in range(20_000):
            left = [s for s in self.said if s not in self.stopped and len(self.said[s]) < frames]
            if not left:
                return
            self.step(left)
        pytest.fail(f"{left} did not get to say what they had to")

    def check(self, slot: int, frames: int) -> None:
        """The slot has said what it must, and no more than that."""
        expected, ended = answer(*self._asked[slot], frames)
        np.testing.assert_array_equal(self.said[slot][:frames], expected)
        if ended:
            assert self.stopped.get(slot) is Stop.END

    def leave(self) -> None:
        for slot in self.said:
            self.contexts.free(slot)
        self.said.clear()
        self.stopped.clear()
