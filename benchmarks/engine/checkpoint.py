"""The random checkpoint that is measured, written once and kept."""

from pathlib import Path

from rich.console import Console

from engine.models.dual_ar.checkpoint import checkpoint_size, write_checkpoint
from engine.models.dual_ar.config import CONFIG_FILE, Layout
from engine.models.dual_ar.presets import Scale


def checkpoint(folder: Path, like: Layout, scale: Scale, seed: int, console: Console) -> Path:
    """``folder``, if a checkpoint is there; else a random one is written to it first.

    Raises :class:`CheckpointError` if it cannot be.
    """
    if (folder / CONFIG_FILE).is_file():
        return folder
    size = checkpoint_size(like, scale)
    written = 0
    with console.status("") as status:

        def told(_: str, count: int) -> None:
            nonlocal written
            written += count
            status.update(f"writing random weights: {written / 1e9:.1f} of {size / 1e9:.1f} GB to {folder}")

        folder.parent.mkdir(parents=True, exist_ok=True)
        write_checkpoint(folder, like, scale, seed, told)
    return folder
