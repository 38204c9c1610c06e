"""What a Dual-AR model asks of whoever computes its frames: our own batcher, or an engine beside it."""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from engine.errors import ModelGone
from engine.models.dual_ar.pages import Positions
from engine.models.dual_ar.sampling import Start
from engine.numbers import PageNumbers

Codes = npt.NDArray[np.int64]
"""The codes of one frame, shape ``(codebooks,)``."""


class Stop(Enum):
    """Why a context gives no more frames."""

    END = "the model has said all"
    BROKEN = "the numbers of its row are no numbers"
    NO_PAGES = "there is not enough memory even for it alone"


class Contexts(Protocol):
    """The contexts of all slots: positions ``(n, 1 + codebooks)`` that frames are drawn from, one by one.

    All calls come from one thread.
    """

    @property
    def device(self) -> torch.device:
        """Where the codec should run, too."""
        ...

    @property
    def longest(self) -> int:
        """How many positions a context may have."""
        ...

    def capture(self) -> None:
        """Do once what would make the first frames slower than the next."""
        ...

    def begin(self, rows: Positions, *, public: int, salt: bytes, start: Start) -> None:
        """Put a new context ``rows`` into ``start.slot`` and draw from what it ends with.

        The first ``public`` rows are those of the voices: they are shared with whoever has the same. The others
        are only found again under the same ``salt``. Raises ``ValueError``, with nothing changed, for settings
        out of range.
        """
        ...

    def extend(self, rows: Positions, *, start: Start) -> None:
        """Go on in the context of ``start.slot``, which was stopped: add ``rows`` and draw from their end.

        Raises as :meth:`begin` does.
        """
        ...

    def stop(self, slot: int) -> None:
        """Draw no more in this slot; its context stays, without what nobody has taken."""
        ...

    def free(self, slot: int, *, broken: bool = False) -> None:
        """Forget the slot's context, with ``broken`` so that nobody meets its numbers again."""
        ...

    @property
    def pages(self) -> PageNumbers | None:
        """How full the cache is, and how much was found in it; None if that is not known."""
        ...

    def found(self, slot: int) -> int:
        """How many positions of the slot's context had been computed before, when it was last opened or
        extended.
        """
        ...

    def launch(self, slots: Sequence[int]) -> Any:
        """Start the next step of these slots, the most urgent first; the result is for :meth:`land`."""
        ...

    def land(self, flight: Any) -> dict[int, Codes | Stop]:
        """Wait for a step: the next frame of each of its slots that has one, or why it has no more."""
        ...

    def watch(self, gone: Callable[[ModelGone], None]) -> None:
        """Have this called, on any thread, when what computes has ended; at once if it has."""
        ...

    def close(self) -> None:
        """Let go of everything. The last call of all."""
        ...
