"""Contexts whose frames SGLang draws: what :class:`~engine.models.dual_ar.contexts.Contexts` asks, by its
requests.

Every segment of a stream is a request whose prompt is all that stood in its context before. SGLang's radix tree
has most of that from the requests before it. The tree knows tokens and a key, and a token says only the first
of a frame's codes, so

- the key is a digest of the whole prompt of the voices, all codes included: one voice, one tree;
- the first tokens behind that prompt are given to the tree as others, shifted by the stream's salt: what follows
  is found again by nobody else. The model is told the true ones beside them.
"""

import itertools
import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol

import numpy as np
import torch

from engine.errors import ModelGone
from engine.models.dual_ar.config import DualARConfig
from engine.models.dual_ar.contexts import Codes, Stop
from engine.models.dual_ar.pages import Positions
from engine.models.dual_ar.sampling import Sampler, Start
from engine.models.sglang.messages import Abort, News, Speak
from engine.models.sglang.side import pack

SALTED = 4
"""Positions whose tokens are shifted by the salt: 68 bits with the vocabulary of S2-Pro."""

_WAIT = 0.005  # seconds that a step waits if there is nothing; somebody else may come meanwhile

_log = logging.getLogger(__name__)


class Requests(Protocol):
    """Who carries requests to SGLang and their news back: the client of its process."""

    def send(self, message: Speak | Abort) -> None:
        """Ask for something."""
        ...

    def take(self, requests: list[str], timeout: float) -> dict[str, list[News]]:
        """The news of these requests since the last call; waits for the first, so many seconds at most."""
        ...

    def watch(self, gone: Callable[[ModelGone], None]) -> None:
        """Have this called, on any thread, when it has ended; at once if it has."""
        ...

    def close(self) -> None:
        """End it."""
        ...


@dataclass(slots=True)
class _Context:
    rows: Positions  # of what was taken
    public: int
    salt: bytes
    request: str | None = None  # what draws frames for it now
    frames: deque[Codes | Stop] = field(default_factory=deque)  # arrived, not taken yet
    left: int = 0  # how many more there may be
    found: int = 0


class SGLangContexts:
    """The contexts of all slots, over one process of SGLang.

    SGLang runs ahead: it draws frames as fast as it can, up to what the segment may take, and they wait here.
    """

    def __init__(
        self,
        config: DualARConfig,
        requests: Requests,
        *,
        slots: int,
        longest: int,
        device: torch.device,
    ) -> None:
        self._config, self._requests = config, requests
        self._longest, self._device = longest, device
        self._rules = Sampler(slots, config.semantic_size, config.codebooks - 1, device="cpu")
        self._contexts: dict[int, _Context] = {}
        self._numbers = itertools.count()

    @property
    def device(self) -> torch.device:
        """Where the codec should run, too."""
        return self._device

    @property
    def longest(self) -> int:
        """How many positions a context may have."""
        return self._longest

    def capture(self) -> None:
        """SGLang has captured its graphs when it is ready."""

    def begin(self, rows: Positions, *, public: int, salt: bytes, start: Start) -> None:
        """See :class:`~engine.models.dual_ar.contexts.Contexts`."""
        self._rules.check(start)
        self.free(start.slot)
        context = self._contexts[start.slot] = _Context(np.ascontiguousarray(rows, np.int64), public, salt)
        self._speak(context, start)

    def extend(self, rows: Positions, *, start: Start) -> None:
        """See :class:`~engine.models.dual_ar.contexts.Contexts`."""
        self._rules.check(start)
        context = self._contexts[start.slot]
        context.rows = np.concatenate((context.rows, rows))
        self._speak(context, start)

    def stop(self, slot: int) -> None:
        """See :class:`~engine.models.dual_ar.contexts.Contexts`."""
        context = self._contexts[slot]
        if context.request is not None:
            self._requests.send(Abort(context.request))
            context.request = None
        context.frames.clear()

    def free(self, slot: int, *, broken: bool = False) -> None:
        """See :class:`~engine.models.dual_ar.contexts.Contexts`; what is private is never found again anyway."""
        if slot in self._contexts:
            self.stop(slot)
            del self._contexts[slot]

    @property
    def pages(self) -> None:
        """SGLang keeps them to itself; its own metrics tell of them."""

    def found(self, slot: int) -> int:
        """See :class:`~engine.models.dual_ar.contexts.Contexts`; 0 until the first frame has been taken."""
        return self._contexts[slot].found

    def launch(self, slots: Sequence[int]) -> Sequence[int]:
        """Nothing needs to be started: SGLang is at it."""
        return slots

    def land(self, flight: Sequence[int]) -> dict[int, Codes | Stop]:
        """The next frame of each of the slots that has one; waits a moment if there is none at all.

        Raises :class:`~engine.models.sglang.client.SGLangFailed` if SGLang has ended.
        """
        contexts = {slot: self._contexts[slot] for slot in flight}
        by_request = {
            context.request: context for context in contexts.values() if context.request is not None
        }
        waits = not any(context.frames for context in contexts.values())
        for request, news in self._requests.take(list(by_request), _WAIT if waits else 0.0).items():
            for one in news:
                self._hear(by_request[request], one)
        landed: dict[int, Codes | Stop] = {}
        for slot, context in contexts.items():
            if context.frames:
                landed[slot] = outcome = context.frames.popleft()
                if not isinstance(outcome, Stop):
                    row = np.concatenate(([self._config.semantic_start + outcome[0]], outcome))
                    context.rows = np.concatenate((context.rows, row[None]))
        return landed

    def watch(self, gone: Callable[[ModelGone], None]) -> None:
        """See :class:`~engine.models.dual_ar.contexts.Contexts`."""
        self._requests.watch(gone)

    def close(self) -> None:
        """End SGLang."""
        self._requests.close()

    def _speak(self, context: _Context, start: Start) -> None:
        room = self._longest - len(context.rows)
        asked = start.sampling.max_new_tokens or room
        context.request = f"parrotfish-{next(self._numbers)}"
        context.frames.clear()
        context.left = min(asked, room)
        self._requests.send(
            Speak(
                context.request,
                self._ids(context),
                blake2b(context.rows[: context.public].tobytes(), digest_size=16).hexdigest(),
                pack(context.rows, start),
                context.left,
            )
        )

    def _ids(self, context: _Context) -> list[int]:
        """The tokens of a context, as the radix tree is to know them."""
        ids = context.rows[:, 0].copy()
        words = np.frombuffer(blake2b(context.salt, digest_size=8 * SALTED).digest(), "<u8")
        private = ids[context.public : context.public + SALTED]
        vocab = self._config.slow.vocab
        private[:] = (private + (words[: len(private)] % vocab).astype(np.int64)) % vocab
        return list(map(int, ids))

    def _hear(self, context: _Context, news: News) -> None:
        context.found = news.cached
        context.left -= len(news.rows)
        for row in news.rows:
            if row[-1]:
                context.frames.append(Stop.BROKEN)
            elif row[0] == self._config.end_token:
                context.frames.append(Stop.END)
            else:
                context.frames.append(np.array(row[1:-1], np.int64))
        if news.ended is None:
            return
        context.request = None
        if context.left > 0 and not (context.frames and isinstance(context.frames[-1], Stop)):
            _log.error("SGLang gave a request up with %d frames to go: %s", context.left, news.ended)
            context.frames.append(Stop.NO_PAGES)
