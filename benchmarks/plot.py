"""The picture of a run."""

from pathlib import Path

import numpy as np

from benchmarks.report import TARGETS, Results


def draw(results: Results, path: Path) -> None:
    """Cumulative shares of onset and of the longest wait, a line for each level. Raises ImportError without
    matplotlib.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, (onsets, waits) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained", sharey=True)
    for result in results.levels:
        label = f"{result.level.streams} stream{'s' * (result.level.streams > 1)}"
        for axes, name in ((onsets, "onset"), (waits, "longest_wait")):
            values = sorted(value for one in result.counted if (value := getattr(one, name)) is not None)
            if values:
                share = np.arange(len(values) + 1) / len(values)
                axes.step(1000 * np.array([values[0], *values]), share, where="post", label=label)
    for seconds in sorted({target.p95 for target in TARGETS.values() if target.p95}):
        onsets.axvline(seconds * 1000, color="grey", linestyle=":")
    onsets.axhline(0.95, color="grey", linestyle=":")
    waits.axvline(100, color="grey", linestyle=":")
    onsets.set(
        title="Audible onset after the first speakable fragment", xlabel="ms", ylabel="share of utterances"
    )
    waits.set(title="Longest wait after the first sound", xlabel="ms")
    for axes in (onsets, waits):
        axes.set_xlim(left=-2)
    onsets.legend()
    facts = results.machine
    figure.suptitle(f"parrotfish {facts['revision']} on {facts['cpu']}, {facts['cores']} cores", fontsize=9)
    figure.savefig(path, dpi=120)
    plt.close(figure)
