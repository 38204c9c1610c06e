"""Who owns which page of the KV cache, and which finished pages can be found again. Host logic only.

The cache's memory is cut into pages of ``page_size`` positions. A page is *free*, *used* by one or more
sequences, or *cached*: used by nobody, but its content is known by a key and it may be found again until its
room is needed. Keys are chained hashes over everything that the page's keys and values depend on: all positions
from the first to the page's last, token ids and codes.

Only whole pages are shared, and a sequence writes only behind the whole pages that it found: nothing is ever
copied, and nobody writes where another one reads.
"""

from collections import OrderedDict
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from engine.numbers import PageNumbers

Positions = npt.NDArray[np.int64]
"""Rows ``[token id, code 0 .. code 9]``, shape ``(n, 11)``; the codes of text are 0."""


class PagePool:
    """``pages`` pages of ``page_size`` positions each; page 0 belongs to nobody (padding rows write there).

    Not thread-safe: the thread that owns the model owns the pool.
    """

    def __init__(self, pages: int, page_size: int) -> None:
        if pages < 2:
            raise ValueError(f"pages is {pages}; at least 2 are needed, as page 0 is only for padding")
        if page_size < 1:
            raise ValueError(f"page_size is {page_size}; it must be 1 or more")
        self.pages = pages
        self.page_size = page_size
        self._free = list(range(pages - 1, 0, -1))
        self._users = [0] * pages
        self._keys: list[bytes | None] = [None] * pages
        self._found: dict[bytes, int] = {}  # the page that holds what a key stands for
        self._idle: OrderedDict[int, None] = OrderedDict()  # cached pages, the longest unused first
        self._asked = self._found_before = 0  # positions of all sequences, when they were opened

    @property
    def numbers(self) -> PageNumbers:
        """How full it is, and how much was found in it; on any thread, then perhaps a moment out of date."""
        return PageNumbers(self.used, self.cached, self.pages - 1, self._asked, self._found_before)

    @property
    def free(self) -> int:
        """Pages that hold nothing."""
        return len(self._free)

    @property
    def cached(self) -> int:
        """Pages that nobody uses but that can still be found; they make room when it is needed."""
        return len(self._idle)

    @property
    def used(self) -> int:
        """Pages that open sequences hold; a shared page counts once."""
        return self.pages - 1 - self.free - self.cached

    def room(self, length: int) -> int:
        """How many pages ``length`` positions take."""
        return -(-length // self.page_size)

    def open(self, history: Positions, public: int, salt: bytes) -> "PagedSequence":
        """Begin a sequence that is to hold ``history`` (n, 11), with the longest prefix of it that is cached.

        The first ``public`` positions (a voice's prompt) are looked up among everybody's; a page that holds
        anything beyond is only found by who gives the same ``salt``. At least the last position is always left
        to be computed, for the hidden state that the next frame starts from.
        """
        if history.ndim != 2 or not len(history):
            raise ValueError(f"history has shape {history.shape}; it must be (positions >= 1, columns)")
        if not 0 <= public <= len(history):
            raise ValueError(f"public is {public}; it must be 0..{len(history)}, the length of the history")
        if not salt:
            raise ValueError("salt is empty; give every caller one of their own")
        sequence = PagedSequence(self, history.shape[1], public, salt)
        sequence._find(history)
        self._asked += len(history)
        self._found_before += sequence.computed
        return sequence

    def clear(self) -> None:
        """Forget every cached page."""
        while self._idle:
            self._free.append(self._evict())

    def _share(self, key: bytes) -> int | None:
        page = self._found.get(key)
        if page is not None:
            self._idle.pop(page, None)
            self._users[page] += 1
        return page

    def _take(self, count: int) -> list[int] | None:
        """``count`` pages for one new user, or None and no change if there are not as many."""
        if count > self.free + self.cached:
            return None
        taken = [self._free.pop() if self._free else self._evict() for _ in range(count)]
        for page in taken:
            self._users[page] = 1
        return taken

    def _evict(self) -> int:
        page, _ = self._idle.popitem(last=False)
        self._forget(page)
        return page

    def _publish(self, page: int, key: bytes) -> None:
        """Make a full page findable; of two pages of the same content the first one stays."""
        if self._found.setdefault(key, page) == page:
            self._keys[page] = key

    def _forget(self, page: int) -> None:
        key, self._keys[page] = self._keys[page], None
        if key is not None:
            del self._found[key]

    def _release(self, page: int) -> bool:
        """One user less; True if the page is free now."""
        self._users[page] -= 1
        if self._users[page]:
            return False
        if self._keys[page] is not None:
            self._idle[page] = None
            return False
        self._free.append(page)
        return True


class PagedSequence:
    """The pages of one stream, made by :meth:`PagePool.open`.

    Position ``i`` lies in ``pages[i // page_size]`` at ``i % page_size``; the first ``computed`` positions are
    there already. Whoever computes more calls :meth:`grow` before and :meth:`advance` after.
    """

    def __init__(self, pool: PagePool, columns: int, public: int, salt: bytes) -> None:
        self.pages: list[int] = []
        self.computed = 0
        self._pool = pool
        self._public_pages = public // pool.page_size  # a page across the boundary is private
        self._salt = blake2b(salt, digest_size=32).digest()
        self._chain: list[bytes] = []  # the keys of the full pages
        self._rows: Positions = np.empty((4 * pool.page_size, columns), np.int64)
        self._closed = False

    @property
    def history(self) -> Positions:
        """What the computed positions are, (computed, 11): enough to open the sequence again elsewhere."""
        return self._rows[: self.computed].copy()

    def grow(self, length: int) -> bool:
        """Make room for ``length`` positions; False, with nothing changed, if the pool has not enough."""
        self._check_open()
        taken = self._pool._take(max(0, self._pool.room(length) - len(self.pages)))
        if taken is None:
            return False
        self.pages += taken
        return True

    def advance(self, positions: Positions) -> None:
        """The next positions (k, 11) have been computed; pages that are full now can be found by others."""
        self._check_open()
        end = self.computed + len(positions)
        if end > len(self.pages) * self._pool.page_size:
            raise ValueError(f"{end} positions are more than {len(self.pages)} pages hold; grow first")
        self._remember(positions)
        size = self._pool.page_size
        for number in range(len(self._chain), end // size):
            self._chain.append(self._key(number, self._rows[number * size : (number + 1) * size]))
            self._pool._publish(self.pages[number], self._chain[number])

    def truncate(self, length: int) -> int:
        """Drop all positions and pages beyond ``length``; returns how many positions are computed then.

        These are fewer than ``length`` where the last of them stand in a page that others share: it is given
        up and its first positions are to be computed again.
        """
        self._check_open()
        if length < 0:
            raise ValueError(f"length is {length}; it must be 0 or more")
        pool = self._pool
        self.computed = min(self.computed, length)
        whole, rest = divmod(self.computed, pool.page_size)
        keep = pool.room(length)
        if rest and whole < len(self._chain):  # the page was full, so it may be read by others
            if pool._users[self.pages[whole]] > 1:
                self.computed, keep = whole * pool.page_size, whole
            else:
                pool._forget(self.pages[whole])
        del self._chain[whole:]
        for page in reversed(self.pages[keep:]):
            pool._release(page)
        del self.pages[keep:]
        return self.computed

    def close(self, *, poisoned: bool = False, forget: bool = False) -> list[int]:
        """Give all pages back; returns those that are free now. A second call does nothing.

        Full pages stay findable. With ``forget`` the private ones do not: nobody will ask for them again.
        ``poisoned`` says that NaN was seen: none of its pages is found any more, and what is returned has to
        be zeroed before it is used again, as masked attention would still multiply the NaN by zero.
        """
        freed = []
        # The end first, so that eviction eats a history from behind and leaves a prefix that can be found.
        for number, page in reversed(list(enumerate(self.pages))):
            ours = self._pool._users[page] == 1 and number >= self._public_pages
            if poisoned or (forget and ours):
                self._pool._forget(page)
            if self._pool._release(page):
                freed.append(page)
        self.pages = []
        self.computed = 0
        self._chain = []
        self._closed = True
        return freed

    def _find(self, history: Positions) -> None:
        size = self._pool.page_size
        for number in range((len(history) - 1) // size):
            key = self._key(number, history[number * size : (number + 1) * size])
            page = self._pool._share(key)
            if page is None:
                break
            self.pages.append(page)
            self._chain.append(key)
        self._remember(history[: len(self.pages) * size])

    def _key(self, number: int, rows: Positions) -> bytes:
        """The key of page ``number``, which holds ``rows``; the chain has the keys of those before it."""
        before = self._chain[number - 1] if number else bytes(32)
        secret = self._salt if number >= self._public_pages else b""
        key = blake2b(before, digest_size=32, key=secret)
        key.update(np.ascontiguousarray(rows, np.int64).tobytes())
        return key.digest()

    def _remember(self, positions: Positions) -> None:
        end = self.computed + len(positions)
        if end > len(self._rows):
            rows = np.empty((max(end, 2 * len(self._rows)), self._rows.shape[1]), np.int64)
            rows[: self.computed] = self._rows[: self.computed]
            self._rows = rows
        self._rows[self.computed : end] = positions
        self.computed = end

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("the sequence is closed")
