from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from engine.models.dual_ar.pages import PagedSequence, PagePool, Positions


def positions(*tokens: int, code: int = 0) -> Positions:
    rows = np.zeros((len(tokens), 11), np.int64)
    rows[:, 0] = tokens
    rows[:, 1:] = code
    return rows


def computed(pool: PagePool, history: Positions, public: int, salt: bytes) -> PagedSequence:
    """A sequence all of whose history has been computed."""
    sequence = pool.open(history, public, salt)
    assert sequence.grow(len(history))
    sequence.advance(history[sequence.computed :])
    return sequence


def said(pool: PagePool, history: Positions, public: int, salt: bytes) -> None:
    computed(pool, history, public, salt).close()


def found(pool: PagePool, history: Positions, public: int, salt: bytes) -> int:
    """How many positions of a history are cached for a caller."""
    sequence = pool.open(history, public, salt)
    count = sequence.computed
    sequence.close()
    return count


def test_whole_pages_of_a_prompt_are_found_again() -> None:
    pool = PagePool(9, 4)
    history = positions(*range(11))
    first = computed(pool, history, 11, b"a")
    second = pool.open(history, 11, b"b")
    assert second.computed == 8
    assert second.pages == first.pages[:2]
    np.testing.assert_array_equal(second.history, history[:8])
    assert second.grow(12)
    assert not set(second.pages[2:]) & set(first.pages)


@pytest.mark.parametrize("length", [1, 4, 8, 12])
def test_the_last_position_is_always_left_to_compute(length: int) -> None:
    pool = PagePool(9, 4)
    history = positions(*range(length))
    said(pool, history, length, b"a")
    assert found(pool, history, length, b"a") == (length - 1) // 4 * 4


def test_page_0_is_nobodys() -> None:
    pool = PagePool(4, 2)
    sequence = pool.open(positions(1), 0, b"a")
    assert sequence.grow(6)
    assert sorted(sequence.pages) == [1, 2, 3]


def test_codes_are_part_of_the_key() -> None:
    pool = PagePool(9, 2)
    history = positions(1, 2, 3, 4, 5)
    said(pool, history, 5, b"a")
    for row, column in [(0, 1), (1, 10), (3, 7)]:
        other = history.copy()
        other[row, column] = 9
        assert found(pool, other, 5, b"a") == row // 2 * 2
    assert found(pool, history, 5, b"a") == 4


def test_a_page_is_only_found_behind_the_same_past() -> None:
    pool = PagePool(9, 2)
    said(pool, positions(1, 2, 3, 4, 5), 5, b"a")
    assert found(pool, positions(3, 4, 5), 3, b"a") == 0
    assert found(pool, positions(9, 2, 3, 4, 5), 5, b"a") == 0


def test_grow_fails_without_changing_anything() -> None:
    pool = PagePool(4, 2)
    sequence = pool.open(positions(1), 0, b"a")
    assert sequence.grow(3)
    assert not sequence.grow(7)
    assert (len(sequence.pages), pool.free) == (2, 1)
    assert sequence.grow(6)


def test_pages_unused_for_longest_make_room_and_a_history_goes_from_its_end() -> None:
    pool = PagePool(7, 1)
    old, new = positions(1, 2, 3, 0), positions(4, 5, 0)
    for history in (old, new):
        said(pool, history[:-1], len(history) - 1, b"a")
    assert (pool.free, pool.cached) == (1, 5)
    taker = pool.open(positions(9), 0, b"a")
    assert taker.grow(2)
    assert found(pool, new, 3, b"a") == 2
    assert found(pool, old, 4, b"a") == 2  # its last page went first
    assert taker.grow(4)
    assert found(pool, new, 3, b"a") == 0  # it had been asked for before the other one
    assert found(pool, old, 4, b"a") == 2


def test_pages_in_use_are_never_taken() -> None:
    pool = PagePool(4, 1)
    user = computed(pool, positions(1, 2), 2, b"a")
    other = pool.open(positions(7), 0, b"b")
    assert not other.grow(2)
    assert other.grow(1)
    assert not set(user.pages) & set(other.pages)


def test_two_that_computed_the_same_keep_their_own_pages() -> None:
    pool = PagePool(9, 2)
    history = positions(1, 2, 3, 4, 5)
    one, two = pool.open(history, 5, b"a"), pool.open(history, 5, b"b")
    for sequence in (one, two):
        assert sequence.grow(5)
        sequence.advance(history)
    assert not set(one.pages) & set(two.pages)
    one_pages = one.pages[:2]
    two.close()
    one.close()
    assert (pool.cached, pool.free) == (2, 6)
    assert pool.open(history, 5, b"c").pages == one_pages


def test_truncate_drops_what_ran_past_the_end() -> None:
    pool = PagePool(9, 4)
    sequence = computed(pool, positions(*range(6)), 0, b"a")
    assert sequence.grow(12)
    assert sequence.truncate(8) == 6  # two rows of room remain
    assert len(sequence.pages) == 2
    assert sequence.truncate(5) == 5
    sequence.advance(positions(50, 60, 70))
    np.testing.assert_array_equal(sequence.history[:, 0], [0, 1, 2, 3, 4, 50, 60, 70])
    sequence.close()
    assert found(pool, positions(0, 1, 2, 3, 4, 50, 60, 70, 80), 0, b"a") == 8
    assert found(pool, positions(0, 1, 2, 3, 4, 5, 60, 70, 80), 0, b"a") == 4


def test_truncate_into_a_full_page_takes_it_back() -> None:
    pool = PagePool(9, 4)
    sequence = computed(pool, positions(*range(8)), 0, b"a")
    pages = sequence.pages.copy()
    assert sequence.truncate(6) == 6
    assert sequence.pages == pages
    assert found(pool, positions(*range(9)), 0, b"a") == 4
    sequence.advance(positions(60, 70))
    assert found(pool, positions(*range(9)), 0, b"a") == 4
    assert found(pool, positions(*range(6), 60, 70, 80), 0, b"a") == 8


def test_truncate_into_a_page_that_others_read_gives_it_up() -> None:
    pool = PagePool(9, 4)
    one = computed(pool, positions(*range(8)), 8, b"a")
    two = pool.open(positions(*range(9)), 9, b"b")
    assert two.pages == one.pages
    assert one.truncate(6) == 4
    assert one.pages == two.pages[:1]
    assert one.grow(8)
    assert one.pages[1] != two.pages[1]


def test_a_poisoned_sequence_is_not_found_again() -> None:
    pool = PagePool(9, 2)
    history = positions(*range(7))
    bad = computed(pool, history, 4, b"a")
    reader = pool.open(history[:5], 4, b"b")
    shared = bad.pages[:2]
    assert reader.pages == shared
    own = bad.pages[2:]
    assert sorted(bad.close(poisoned=True)) == sorted(own)  # what others still read is theirs to judge
    assert found(pool, history, 4, b"a") == 0
    assert sorted(reader.close()) == sorted(shared)
    assert pool.free == 8


def test_private_pages_can_be_forgotten() -> None:
    pool = PagePool(9, 2)
    history = positions(*range(7))
    computed(pool, history, 5, b"a").close(forget=True)
    assert pool.cached == 2
    assert found(pool, history, 5, b"a") == 4


def test_clear_forgets_only_what_nobody_uses() -> None:
    pool = PagePool(9, 2)
    said(pool, positions(1, 2, 3), 3, b"a")
    user = computed(pool, positions(4, 5, 6), 3, b"a")
    pool.clear()
    assert (pool.cached, pool.used, pool.free) == (0, 2, 6)
    assert found(pool, positions(1, 2, 3), 3, b"a") == 0
    assert pool.open(positions(4, 5, 6), 3, b"a").pages == user.pages[:1]


def test_a_closed_sequence_is_dead() -> None:
    pool = PagePool(9, 2)
    sequence = computed(pool, positions(1, 2, 3), 3, b"a")
    sequence.close()
    assert sequence.close() == []
    for use in (
        lambda: sequence.grow(1),
        lambda: sequence.advance(positions(1)),
        lambda: sequence.truncate(0),
    ):
        with pytest.raises(ValueError, match="closed"):
            use()
    assert pool.used == 0


def test_misuse_says_what_would_be_right() -> None:
    with pytest.raises(ValueError, match="pages is 1; at least 2"):
        PagePool(1, 4)
    with pytest.raises(ValueError, match="page_size is 0"):
        PagePool(4, 0)
    pool = PagePool(4, 2)
    with pytest.raises(ValueError, match="salt is empty"):
        pool.open(positions(1), 0, b"")
    with pytest.raises(ValueError, match=r"public is 2; it must be 0\.\.1"):
        pool.open(positions(1), 2, b"a")
    with pytest.raises(ValueError, match=r"shape \(0, 11\)"):
        pool.open(positions(), 0, b"a")
    sequence = pool.open(positions(1), 0, b"a")
    with pytest.raises(ValueError, match="grow first"):
        sequence.advance(positions(1))
    with pytest.raises(ValueError, match="length is -1"):
        sequence.truncate(-1)


# An attacker knows everything but the victim's salt: text, voice, codes, page size, and may lie about `public`.

VOICE = positions(*range(100, 106))
SECRET = positions(*range(7, 16), code=3)


@pytest.mark.parametrize("page_size", [1, 2, 4, 5, 16])
def test_the_same_words_under_another_salt_share_only_the_voice(page_size: int) -> None:
    pool = PagePool(60, page_size)
    history = np.concatenate([VOICE, SECRET])
    victim = computed(pool, history, len(VOICE), b"victim")
    voice_pages = len(VOICE) // page_size
    private = set(victim.pages[voice_pages:])

    attempts = []
    for salt in (b"attacker", b"victi", b"victim ", b"\0", bytes(32), VOICE.tobytes(), history.tobytes()):
        for public in range(len(history) + 1):
            attempts.append(computed(pool, history, public, salt))
            assert not set(attempts[-1].pages) & private, (salt, public)
            attempts[-1].close(forget=True)
    victim.close()
    for salt in (b"attacker", bytes(32)):
        for public in range(len(history) + 1):
            attempt = pool.open(history, public, salt)
            assert not set(attempt.pages) & private, (salt, public)
            attempt.close()

    back = pool.open(history, len(VOICE), b"victim")  # and the victim still has it all
    assert back.computed == (len(history) - 1) // page_size * page_size


def test_a_page_across_the_boundary_is_private() -> None:
    pool = PagePool(20, 4)
    history = np.concatenate([VOICE, SECRET])
    said(pool, history, 6, b"victim")
    assert found(pool, history, 6, b"attacker") == 4
    assert found(pool, history, 6, b"victim") == 12


def test_a_salt_made_of_the_voice_is_no_way_into_its_chain() -> None:
    pool = PagePool(20, 2)
    said(pool, VOICE, 6, b"a")
    assert found(pool, VOICE[2:], 0, VOICE[:2].tobytes()) == 0
    assert found(pool, VOICE[2:], 4, VOICE[:2].tobytes()) == 0


# Random lives of many sequences, with the memory behind the pages played out.


@dataclass
class Writer:
    """Who wrote a place in memory, and what."""

    row: tuple[int, ...]
    salt: bytes
    public: bool


@dataclass(eq=False)
class Life:
    sequence: PagedSequence
    salt: bytes
    public: int
    history: list[tuple[int, ...]] = field(default_factory=list)
    plan: list[tuple[int, ...]] = field(default_factory=list)  # of the prompt, what is left to compute


ROWS = st.sampled_from([(7, *[0] * 10), (7, *[1] * 10), (8, *[0] * 10)])


class Lives(RuleBasedStateMachine):
    lives = Bundle("lives")

    @initialize(pages=st.integers(4, 16), page_size=st.integers(1, 3))
    def start(self, pages: int, page_size: int) -> None:
        self.pool = PagePool(pages, page_size)
        self.size = page_size
        self.memory: dict[tuple[int, int], Writer] = {}
        self.open: list[Life] = []

    @rule(
        target=lives,
        rows=st.lists(ROWS, min_size=1, max_size=10),
        salt=st.sampled_from([b"a", b"b"]),
        share=st.floats(0, 1),
    )
    def begin(self, rows: list[tuple[int, ...]], salt: bytes, share: float) -> Life:
        life = self._begin(rows, salt, round(share * len(rows)))
        self.compute(life, len(life.plan), [])
        return life

    @rule(
        target=lives,
        life=lives,
        cut=st.integers(0, 3),
        rows=st.lists(ROWS, max_size=2),
        salt=st.sampled_from([b"a", b"b"]),
        public=st.none() | st.integers(0, 10),
    )
    def begin_like(
        self, life: Life, cut: int, rows: list[tuple[int, ...]], salt: bytes, public: int | None
    ) -> Life:
        """As one that lives or has lived, or nearly so."""
        whole = life.history + life.plan
        rows = whole[: max(1, len(whole) - cut)] + rows or [(7, *[0] * 10)]
        return self._begin(rows, salt, min(life.public if public is None else public, len(rows)))

    def _begin(self, rows: list[tuple[int, ...]], salt: bytes, public: int) -> Life:
        life = Life(self.pool.open(np.array(rows, np.int64), public, salt), salt, public)
        done = life.sequence.computed
        assert done < len(rows)
        assert done == len(life.sequence.pages) * self.size
        life.history, life.plan = rows[:done], rows[done:]
        for index in range(done):
            writer = self.memory[self._place(life, index)]
            page_end = (index // self.size + 1) * self.size
            assert writer.public if page_end <= public else writer.salt == salt and not writer.public
        self.open.append(life)
        return life

    @rule(life=lives, count=st.integers(1, 7), more=st.lists(ROWS, min_size=7, max_size=7))
    def compute(self, life: Life, count: int, more: list[tuple[int, ...]]) -> None:
        if life not in self.open:
            return
        before = (life.sequence.pages.copy(), self.pool.free, self.pool.cached)
        end = len(life.history) + count
        if not life.sequence.grow(end):
            assert (life.sequence.pages, self.pool.free, self.pool.cached) == before
            assert self.pool.room(end) - len(before[0]) > self.pool.free + self.pool.cached
            return
        rows = (life.plan + more)[:count]
        for number, row in enumerate(rows, len(life.history)):
            page_end = (number // self.size + 1) * self.size
            self.memory[self._place(life, number)] = Writer(row, life.salt, page_end <= life.public)
        life.sequence.advance(np.array(rows, np.int64))
        life.history = life.history + rows
        life.plan = life.plan[count:]

    @rule(life=lives, back=st.integers(-3, 5), extra=st.integers(0, 5), same=st.booleans())
    def truncate(self, life: Life, back: int, extra: int, same: bool) -> None:
        if life not in self.open:
            return
        life.sequence.grow(len(life.history) + extra)
        length = max(0, len(life.history) - back)
        kept = life.sequence.truncate(length)
        assert min(length, len(life.history)) - self.size < kept <= length
        dropped = life.history[kept:]
        life.history = life.history[:kept]
        life.plan = dropped + life.plan if same else []
        assert len(life.sequence.pages) <= self.pool.room(length)

    @rule(life=lives, poisoned=st.booleans(), forget=st.booleans())
    def end(self, life: Life, poisoned: bool, forget: bool) -> None:
        if life not in self.open:
            return
        self.open.remove(life)
        free, cached = self.pool.free, self.pool.cached
        pages = set(life.sequence.pages)
        freed = life.sequence.close(poisoned=poisoned, forget=forget)
        assert set(freed) <= pages
        assert self.pool.free == free + len(freed)
        others = {page for other in self.open for page in other.sequence.pages}
        assert not set(freed) & others
        if poisoned:
            assert set(freed) == pages - others
            assert self.pool.cached == cached
            for place in [place for place in self.memory if place[0] in freed]:
                del self.memory[place]  # nobody may read these again

    @rule()
    def end_all(self) -> None:
        for life in self.open:
            life.sequence.close()
        self.open = []
        assert self.pool.used == 0
        assert self.pool.free + self.pool.cached == self.pool.pages - 1

    @rule()
    def clear(self) -> None:
        self.pool.clear()

    def _place(self, life: Life, index: int) -> tuple[int, int]:
        return life.sequence.pages[index // self.size], index % self.size

    @invariant()
    def everybody_reads_what_they_said(self) -> None:
        for life in getattr(self, "open", []):
            assert life.sequence.computed == len(life.history)
            assert [tuple(row) for row in life.sequence.history.tolist()] == life.history
            for index, row in enumerate(life.history):
                assert self.memory[self._place(life, index)].row == row

    @invariant()
    def every_page_is_accounted_for(self) -> None:
        if not hasattr(self, "pool"):
            return
        pool = self.pool
        used = {page for life in self.open for page in life.sequence.pages}
        assert 0 not in used
        assert pool.used == len(used)
        assert pool.free + pool.cached + pool.used == pool.pages - 1
        for life in self.open:
            assert len(set(life.sequence.pages)) == len(life.sequence.pages)
            writable = life.sequence.pages[life.sequence.computed // self.size :]
            for other in self.open:
                assert other is life or not set(writable) & set(other.sequence.pages)


Lives.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
test_lives = Lives.TestCase
