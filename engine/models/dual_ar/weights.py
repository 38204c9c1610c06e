"""A checkpoint's tensors, into our modules: mapped from the file, copied once, straight to the device."""

import json
import pickle
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from engine.models.dual_ar.config import CheckpointError, DualARConfig
from engine.models.dual_ar.fast import FastTransformer
from engine.models.dual_ar.layout import DERIVED, Entry, Stored, entries
from engine.models.dual_ar.slow import SlowTransformer

INDEX_FILE = "model.safetensors.index.json"
SINGLE_FILE = "model.safetensors"
PICKLE_FILE = "model.pth"

_LISTED = 12  # how many tensors of a kind an error names


def load_weights(
    folder: Path, config: DualARConfig, device: torch.device | str, dtype: torch.dtype
) -> tuple[SlowTransformer, FastTransformer]:
    """Both transformers of the checkpoint in ``folder``, ready to run on ``device`` in ``dtype``.

    Files are memory-mapped and each tensor is copied to its place, so that no second copy is ever in memory.

    Raises :class:`CheckpointError`, which names every tensor that is missing, unexpected or wrongly shaped.
    """
    stored = _open(folder)
    chosen = _match(folder, stored.shapes, entries(config))
    with torch.device("meta"):
        slow, fast = SlowTransformer(config), FastTransformer(config)
    filled: dict[str, Tensor] = {}
    for entry, parts in chosen:
        filled[entry.target] = _join(stored, parts, device, dtype)
    for prefix, module in (("slow.", slow), ("fast.", fast)):
        own = {name.removeprefix(prefix): filled[name] for name in filled if name.startswith(prefix)}
        module.load_state_dict(own, assign=True)
        module.requires_grad_(False).eval()
        module.finish()
    return slow, fast


def _join(
    stored: "_Store", parts: Iterable[Stored], device: torch.device | str, dtype: torch.dtype
) -> Tensor:
    """The parts, one below the other, on the device."""
    parts = tuple(parts)
    rows = sum(part.shape[0] for part in parts)
    joined = torch.empty((rows, *parts[0].shape[1:]), device=device, dtype=dtype)
    start = 0
    for part in parts:
        end = start + part.shape[0]
        joined[start:end].copy_(stored.tensor(part.name))
        start = end
    return joined


def _match(
    folder: Path, found: Mapping[str, tuple[int, ...]], wanted: Iterable[Entry]
) -> list[tuple[Entry, tuple[Stored, ...]]]:
    """For each entry the parts that are there. Raises one error about all that do not fit."""
    chosen, missing, misshapen = [], [], []
    unexpected = {name for name in found if name.rpartition(".")[2] not in DERIVED}
    for entry in wanted:
        is_split = entry.parts[0].name not in found and any(part.name in found for part in entry.split)
        parts = entry.split if is_split else entry.parts
        chosen.append((entry, parts))
        for part in parts:
            unexpected.discard(part.name)
            shape = found.get(part.name)
            if shape is None:
                missing.append(f"{part.name} {list(part.shape)}")
            elif shape != part.shape:
                misshapen.append(f"{part.name} is {list(shape)}, must be {list(part.shape)}")
    surplus = [f"{name} {list(found[name])}" for name in sorted(unexpected)]
    if missing or misshapen or surplus:
        told = (
            _told("missing", missing) + _told("of the wrong shape", misshapen) + _told("unexpected", surplus)
        )
        raise CheckpointError(
            f"the weights in {folder} do not fit its config.json:{told}\n"
            "  Is the download complete, and are all files of the same model?"
        )
    return chosen


def _told(what: str, items: list[str]) -> str:
    if not items:
        return ""
    listed = items[:_LISTED]
    if len(items) > _LISTED:
        listed.append(f"and {len(items) - _LISTED} more")
    return f"\n  {what} ({len(items)}):" + "".join(f"\n    {item}" for item in listed)


class _Store(Protocol):
    """Tensors by name, mapped from files."""

    shapes: Mapping[str, tuple[int, ...]]

    def tensor(self, name: str) -> Tensor:
        """The tensor as it is stored, on the host; it may be a view of the file."""
        ...


class _Safetensors:
    """One safetensors file, or several."""

    def __init__(self, paths: Iterable[Path]) -> None:
        shapes: dict[str, tuple[int, ...]] = {}
        self._file: dict[str, Any] = {}
        for path in paths:
            try:
                file: Any = safe_open(path, framework="pt")
            except FileNotFoundError:
                raise CheckpointError(f"{path} is missing, though {INDEX_FILE} names it") from None
            except (OSError, SafetensorError) as error:
                raise CheckpointError(f"{path} is no complete safetensors file: {error}") from error
            for name in file.keys():  # noqa: SIM118 - not a dict
                shapes[name] = tuple(file.get_slice(name).get_shape())
                self._file[name] = file
        self.shapes: Mapping[str, tuple[int, ...]] = shapes

    def tensor(self, name: str) -> Tensor:
        tensor: Tensor = self._file[name].get_tensor(name)
        return tensor


class _Pickle:
    """A file of ``torch.save``, of which only tensors are read: nothing in it is executed."""

    def __init__(self, path: Path) -> None:
        try:
            saved = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
            raise CheckpointError(f"{path} is no readable file of weights: {error}") from error
        saved = saved.get("state_dict", saved) if isinstance(saved, dict) else saved
        if not isinstance(saved, dict) or not all(isinstance(value, Tensor) for value in saved.values()):
            raise CheckpointError(f"{path} holds something else than a dict of tensors")
        self._tensors: dict[str, Tensor] = {
            str(name).removeprefix("model."): value for name, value in saved.items()
        }
        self.shapes: Mapping[str, tuple[int, ...]] = {
            name: tuple(tensor.shape) for name, tensor in self._tensors.items()
        }

    def tensor(self, name: str) -> Tensor:
        return self._tensors[name]


def _open(folder: Path) -> _Store:
    """Whatever weights there are in the folder; names and files do not depend on one another."""
    index = folder / INDEX_FILE
    if index.exists():
        try:
            weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
            paths = sorted({folder / str(name) for name in weight_map.values()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{index} is no index of shards: {error!r}") from error
        return _Safetensors(paths)
    if (folder / SINGLE_FILE).exists():
        return _Safetensors([folder / SINGLE_FILE])
    if (folder / PICKLE_FILE).exists():
        return _Pickle(folder / PICKLE_FILE)
    raise CheckpointError(
        f"{folder} holds no weights: looked for {INDEX_FILE}, {SINGLE_FILE} and {PICKLE_FILE}"
    )
