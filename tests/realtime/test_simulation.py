"""Thousands of sessions with everything that clients do, in virtual time, on the real scheduler."""

import itertools
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest

from realtime.session import Session
from tests.realtime.simulation import (
    Client,
    Process,
    SimulatedEngine,
    World,
    audit,
    demand,
    footprint,
    request_of,
)

CONTEXT_SECONDS = 30.0
CONTEXTS = ("", "a", "b", "c", "d")
MAX_CONTEXTS = 4
SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprtvz" for vowel in "aeiou"]
# What stands between plain words: all that a chunker must not cut and a normaliser says in other words.
ODDITIES = [
    *(
        "$3.14 192.168.1.1 v1.2.3 22,1% 10:45 2026-11-20 Mr. e.g. U.S. J. 1/2 5km +49 me@example.org "
        "https://example.org/a?b=c [1] 3<5 a&b ... — «x» “yes” (no) #5 1,000,000 50° — C++ ½ ² ™"
    ).split(" "),
    "[whispers]",
    "[whispers in a small voice]",
    "[pause 1.5s]",
    "[laughing]",
    "(happy)",
    "<|im_end|>",
    "<|semantic:5|>",
    "<|speaker:0|>",
    "<|speaker:1|>",
    "**",
    "\n\n# ",
    "\n- ",
    "\n| a | b |\n|---|---|\n",
    "`",
    "[a link](https://example.org)",
    "🙂",
    "👩‍👩‍👧‍👦",
    "🇩🇪🇫🇷",
    "e\u0301",
    "你好，世界。",
    "今日は三時です。",
    "مرحبا، كيف؟",
    "नमस्ते।",
    "สวัสดี",
    "\u200b",
    "\r\n",
    "\t\t  ",
]
MISHAPS = ["[", "<|", "<|speaker:", "(", '"', "[never closed", "x" * 250, "。" * 30]


def plain_words(rng: random.Random) -> Iterator[str]:
    """Words that no rule knows and that never come again."""
    for number in itertools.count():
        head = "".join(rng.choice(SYLLABLES) for _ in range(rng.randint(1, 2)))
        yield f"zu{head}{SYLLABLES[number // 65 % 65]}{SYLLABLES[number % 65]}"


def text_of(rng: random.Random, *, oddness: float, mishaps: float) -> tuple[str, frozenset[str]]:
    """A text, and its plain words."""
    words = plain_words(rng)
    parts, plain = [], []
    for _ in range(rng.choice([0, 1, 3, 8, 20, 40])):
        if rng.random() < mishaps:
            parts.append(rng.choice(MISHAPS))
        elif rng.random() < oddness:
            parts.append(rng.choice(ODDITIES))
        else:
            plain.append(next(words))
            parts.append(plain[-1] + rng.choice(["", "", "", "", ",", ".", "!", "?", ":"]))
    return " ".join(parts), frozenset(plain)


def tokens_of(rng: random.Random, text: str) -> list[str]:
    """The text as somebody might send it: in one, by words, or cut anywhere."""
    longest = rng.choice([1, 4, 12, 12, 100, 10_000])
    if longest == 4 and rng.random() < 0.7:
        return re.findall(r"\s*\S+\s*", text)
    tokens = []
    while text:
        size = rng.randint(1, longest)
        tokens.append(text[:size])
        text = text[size:]
    return tokens


def writer(client: Client, context: str, *, normalize: bool, rude: float) -> Process:
    """Some turns in one context; ``rude`` is how often something else is done than what is usual."""
    world = client.world
    rng = world.random
    for _ in range(rng.randint(1, 2)):
        yield rng.expovariate(1.0)
        # What is odd may swallow what is plain around it, when it is normalised: then there are no mishaps.
        text, plain = text_of(rng, oddness=0.2, mishaps=0.0 if normalize else 0.02)
        if client.start(request_of(rng, normalize=normalize), context, plain) is None:
            continue
        pace = rng.choice([0.0, 0.02, 0.05, 0.3])
        for token in tokens_of(rng, text):
            if pace:
                yield rng.expovariate(1 / pace)
            if rng.random() < 0.01:
                yield rng.uniform(0.1, 3.0)
            client.text(token, context)
            if (normalize and not token[-1].isspace()) or rng.random() > 0.03 + rude:
                continue  # a flush within a word makes two of it
            client.flush(context)
            if rng.random() < rude:
                yield from meddle(client, context)
        yield from rng.choice([come_to_an_end] * 6 + [break_off, break_off, leave_open])(client, context)


def meddle(client: Client, context: str) -> Process:
    """Something that is not in the book, or not often."""
    rng = client.world.random
    match rng.randrange(7):
        case 0:
            client.start(request_of(rng, normalize=True), context, frozenset())
        case 1:
            client.reject(context)
        case 2:
            client.text("Who is there? ", "nowhere")
        case 3:
            client.disconnect()
        case 4:
            client.cancel(context)
        case 5:
            for _ in range(rng.choice([3, 1200])):
                client.flush(context)
        case _:
            client.played(context, rng.choice([0.0, 0.5, 1.0, 2.0]))
    yield 0.0


def come_to_an_end(client: Client, context: str) -> Process:
    client.stop(context)
    rng = client.world.random
    if rng.random() < 0.1:
        client.text("too late", context)
        client.stop(context)
    for _ in range(1000):
        if not client.session.active(context):
            return
        yield 0.5
        if rng.random() < 0.05:
            client.played(context, rng.random())


def break_off(client: Client, context: str) -> Process:
    yield client.world.random.choice([0.0, 0.001, 0.05, 0.5, 3.0])
    client.cancel(context)


def leave_open(client: Client, context: str) -> Process:
    """Never heard of again: the text is complete, and the session has to see to the rest."""
    if not client.flush(context) or client.world.random.random() < 0.3:
        yield client.world.random.uniform(0.0, 5.0)
        client.disconnect()
    yield 0.0


def watch(client: Client, empty: int) -> Process:
    """Look into a session from time to time: what it holds is in proportion to what it was given."""
    while not client.closed and client.world.now < client.world.begins + 120.0:
        yield client.world.random.expovariate(0.2)
        # Marks, lines with an origin for each word, words not heard yet: none of it more than the text.
        bound = empty + 400 + 3 * client.session.pending + 300 * len(CONTEXTS)
        demand(footprint(client.session) <= bound, f"{client.name} holds {footprint(client.session)} things")


def simulate(
    world: World, *, sessions: int, streams: int, rush: float, normalize: bool, rude: float
) -> tuple[int, int]:
    """Let sessions come, ``rush`` a second, live and go: how many utterances they had, and how many refused."""
    patience = 1.0 if streams > 16 else None  # what is over capacity may have to wait
    engine = SimulatedEngine(world, max_streams=streams, max_batch=16, patience=patience)
    clients: list[Client] = []
    empty = footprint(Session())

    def come() -> Process:
        for number in range(sessions):
            session = Session(
                max_queued=4,
                max_contexts=MAX_CONTEXTS,
                context_seconds=CONTEXT_SECONDS,
                max_pending=world.random.choice([1_000_000, 1_000_000, 1500]),
            )
            reading = world.random.choice([0.0, 0.0, 0.0, 0.005, 0.3, 1.5])
            if world.random.random() < 0.02:
                reading = None
            client = Client(world, engine, session, f"client {number}", reading)
            clients.append(client)
            writers = world.random.choice([1, 1, 1, 2, 5])
            # Two that write in one context tear each other's words apart.
            contexts = world.random.sample if normalize else world.random.choices
            for context in contexts(CONTEXTS, k=writers):
                world.go(writer(client, context, normalize=normalize, rude=rude))
            if reading is None:
                world.at(world.now + 60.0, client.disconnect)
            if number % 10 == 0:
                world.go(watch(client, empty))
            yield world.random.expovariate(rush)

    world.go(come())
    world.run()
    demand(not len(engine.scheduler), f"{len(engine.scheduler)} slots were never given back")
    demand(not engine.streams, "streams are left in the engine")
    for client in clients:
        for turn in client.turns:
            audit(turn)
            demand(turn.ending is not None or client.closed, "an utterance without an end:", turn)
        demand(client.session.due is None, f"{client.name} is still waiting for something")
        demand(client.session.pending == 0, f"{client.name} still holds text")
        demand(footprint(client.session) <= empty + 64, f"{client.name} still holds something")
    return sum(len(client.turns) for client in clients), engine.refused


@pytest.mark.parametrize("normalize", [False, True], ids=["as written", "normalised"])
@pytest.mark.parametrize(
    ("seed", "begins", "world_of"),
    [
        (4, 0.0, {"sessions": 300, "streams": 64, "rush": 3.0, "rude": 0.02}),
        (2, 1_000_000.0, {"sessions": 300, "streams": 48, "rush": 12.0, "rude": 0.0}),
        (3, 1_000.0, {"sessions": 400, "streams": 4, "rush": 20.0, "rude": 0.3}),
    ],
    ids=["usual", "crowded", "besieged"],
)
def test_sessions_keep_their_promises(
    seed: int, begins: float, world_of: dict[str, Any], normalize: bool
) -> None:
    world = World(seed, begins=begins)
    try:
        utterances, refused = simulate(world, normalize=normalize, **world_of)
    except BaseException:
        print(f"seed {seed}, begins {begins}, {world_of}:", *world.trace, sep="\n")
        raise
    assert utterances > world_of["sessions"]
    assert bool(refused) == (world_of["rush"] > 10.0)  # else there is room for everybody
