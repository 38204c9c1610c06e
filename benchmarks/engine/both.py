"""``python -m benchmarks.engine.both``: our engine and SGLang's draw the same frames of one checkpoint, side by
side.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from rich.table import Table

from benchmarks.engine.checkpoint import checkpoint
from benchmarks.screen import screen
from engine.models.dual_ar import DualARModel, DualAROptions, load_dual_ar
from engine.models.dual_ar.config import Layout, read_config
from engine.models.dual_ar.contexts import Contexts, Stop
from engine.models.dual_ar.pages import Positions
from engine.models.dual_ar.presets import SPECIALS, Scale, preset
from engine.models.dual_ar.sampling import Start
from engine.models.sglang import SGLangOptions, load_sglang
from engine.speech import Sampling

_OUT = Path(__file__).parents[1] / "out" / "checkpoints"
_FRAMES = 40
_VOICE, _TEXT = 200, 60  # positions of a prompt: a voice that is in the cache, and what it is to say
_GREEDY = Sampling(temperature=0.0, repetition_penalty=1.0)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 if the engines do not draw the same."""
    parser = argparse.ArgumentParser("python -m benchmarks.engine.both", description=__doc__)
    add = parser.add_argument
    add(
        "--python",
        type=Path,
        help="the Python that has SGLang: .venv-sglang/bin/python after `make test-sglang`",
    )
    add("--scale", type=Scale, choices=list(Scale), default=Scale.TINY, help="of the random weights")
    add("--checkpoint", type=Path, help="a folder to take them from instead")
    add("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    add("--tp", type=int, default=1, help="GPUs that share SGLang's slow transformer")
    add("--batch", type=int, nargs="+", default=[1, 4, 8], help="streams at once")
    asked = parser.parse_args(arguments)
    console = screen()
    folder = asked.checkpoint or _OUT / f"s2-pro-{asked.scale}"
    checkpoint(folder, Layout.S2_PRO, asked.scale, 0, console)
    options = DualAROptions(device=asked.device, max_streams=max(asked.batch))
    sglang = SGLangOptions(tensor_parallel=asked.tp, python=asked.python)
    cue = read_config(folder).semantic_start + SPECIALS["<|voice|>"]
    said = {}
    table = Table("engine", "streams", "first frame, ms", "a frame, ms", "frames a second")
    engines: dict[str, Callable[[], DualARModel]] = {
        "ours": lambda: load_dual_ar(folder, options),
        "SGLang": lambda: load_sglang(folder, options, sglang),
    }
    for name, load in engines.items():
        with closing(load()) as model:
            for batch in asked.batch:
                first, each, said[name, batch] = _measure(model, batch, cue)
                table.add_row(
                    name, str(batch), f"{1e3 * first:.1f}", f"{1e3 * each:.2f}", f"{batch / each:,.0f}"
                )
    console.print(table)
    same = all(said["ours", batch] == said["SGLang", batch] for batch in asked.batch)
    console.print(f"codes: {'identical' if same else 'DIFFERENT'} in all {_FRAMES} frames of every stream")
    return 0 if same else 1


def _measure(model: DualARModel, batch: int, cue: int) -> tuple[float, float, list[list[list[int]]]]:
    """Seconds to the first frame of a lone stream whose voice is cached, and between frames of the batch; the
    codes.
    """
    contexts: Contexts = model._batcher
    firsts = []
    for number in range(5):
        with _streams(contexts, [100 + number], cue) as (_, first):
            firsts.append(first)
    with _streams(contexts, range(batch), cue) as (said, _):
        started = perf_counter()
        _run(contexts, said, 1 + _FRAMES)
        took = perf_counter() - started
    return median(firsts[1:]), took / _FRAMES, [codes[:_FRAMES] for codes in said.values()]


@contextmanager
def _streams(
    contexts: Contexts, seeds: Sequence[int], cue: int
) -> Iterator[tuple[dict[int, list[list[int]]], float]]:
    """So many streams, each with a text of its own, that have drawn their first frame, and how long that took."""
    said: dict[int, list[list[int]]] = {slot: [] for slot in range(len(seeds))}
    started = perf_counter()
    for slot, seed in enumerate(seeds):
        rows = np.concatenate((_positions(0, _VOICE), _positions(1 + seed, _TEXT)))
        rows[-1, 0] = cue
        start = Start(slot, _GREEDY, seed)
        contexts.begin(rows, public=_VOICE, salt=f"{slot} {seed}".encode(), start=start)
    _run(contexts, said, 1)
    try:
        yield said, perf_counter() - started
    finally:
        for slot in said:
            contexts.free(slot)


def _positions(seed: int, count: int) -> Positions:
    """Text of chance."""
    rows = np.zeros((count, 1 + preset(Layout.S2_PRO, Scale.TINY).codebooks), np.int64)
    rows[:, 0] = np.random.default_rng(seed).integers(0, 250, count)
    return rows


def _run(contexts: Contexts, said: dict[int, list[list[int]]], frames: int) -> None:
    """Until each has so many frames."""
    while left := [slot for slot, codes in said.items() if len(codes) < frames]:
        for slot, outcome in contexts.land(contexts.launch(left)).items():
            if isinstance(outcome, Stop):
                raise RuntimeError(f"stream {slot} ended after {len(said[slot])} frames: {outcome.value}")
            said[slot].append(outcome.tolist())


if __name__ == "__main__":
    raise SystemExit(main())
