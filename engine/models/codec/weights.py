"""Reading ``codec.pth`` or ``codec.safetensors``: each tensor is checked, only what is used is read."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from engine.models.codec.config import CodecConfig, Shape
from engine.models.codec.layout import BUFFERS, FOLDED, layout, transformers

FILES = ("codec.pth", "codec.safetensors")
"""What a checkpoint's folder may call its codec."""

_PREFIX = "generator."


class CodecFile(Mapping[str, Tensor]):
    """The parameters in a file, by the names of :func:`layout`; a tensor is read when it is asked for.

    ``path`` is the file, or the folder that holds it. A ``.pth`` may have its tensors under ``state_dict`` and
    the prefix ``generator.``, and may hold the six buffers of the transformers, which are left unread.
    Raises :class:`ValueError` naming every tensor that is missing, unexpected or of a wrong shape.
    """

    def __init__(self, path: Path) -> None:
        self.path = _file(path)
        if self.path.suffix == ".safetensors":
            file: Any = safe_open(self.path, framework="pt")
            self._read: Callable[[str], Tensor] = file.get_tensor
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - no dict
        else:
            tensors = _unpickled(self.path)
            self._read = tensors.__getitem__
            shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        self._names = {name.removeprefix(_PREFIX): name for name in shapes}
        found = {name: shapes[stored] for name, stored in self._names.items()}
        try:
            self.config = CodecConfig.of(found, _stated(self.path))
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from None
        self._names = {name: self._names[name] for name in _checked(self.path, found, self.config)}

    def __getitem__(self, name: str) -> Tensor:
        return self._read(self._names[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True, slots=True)
class Source:
    """A place in a set of tensors from which layers take their own, ready to compute with.

    Folding is done in float32; what a layer keeps goes through :meth:`keep`.
    """

    tensors: Mapping[str, Tensor]
    device: torch.device
    dtype: torch.dtype
    prefix: str = ""

    def at(self, name: str) -> "Source":
        """The place one step further down the dotted names."""
        return Source(self.tensors, self.device, self.dtype, f"{self.prefix}{name}.")

    def tensor(self, name: str) -> Tensor:
        """A tensor as float32 on the device."""
        return self.tensors[self.prefix + name].to(self.device, torch.float32)

    def weight(self) -> Tensor:
        """The weight of a convolution, its weight norm folded in, whichever way that is spelt."""
        if self.prefix + "weight" in self.tensors:
            return self.tensor("weight")
        if self.prefix + "weight_g" in self.tensors:
            return _folded(self.tensor("weight_g"), self.tensor("weight_v"))
        return _folded(self.tensor(FOLDED + "0"), self.tensor(FOLDED + "1"))

    def keep(self, tensor: Tensor) -> Tensor:
        """A tensor as a layer is to hold it."""
        return tensor.to(self.dtype).contiguous()


def _folded(gain: Tensor, direction: Tensor) -> Tensor:
    norm: Tensor = torch.linalg.vector_norm(direction, dim=(1, 2), keepdim=True)
    return direction * (gain / norm)


def _file(path: Path) -> Path:
    if not path.is_dir():
        return path
    for name in FILES:
        if (path / name).is_file():
            return path / name
    raise FileNotFoundError(f"no codec in {path}: there is neither {' nor '.join(FILES)}")


def _unpickled(path: Path) -> dict[str, Tensor]:
    content: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict):
        raise ValueError(f"{path}: holds a {type(content).__name__}, not a dictionary of tensors")
    strange = [str(name) for name, tensor in content.items() if not isinstance(tensor, Tensor)]
    if strange:
        raise ValueError(f"{path}: not tensors: {', '.join(strange)}")
    return content


def _stated(path: Path) -> Mapping[str, Any]:
    beside = path.with_name("codec.json")
    if not beside.is_file():
        return {}
    stated: Mapping[str, Any] = json.loads(beside.read_text(encoding="utf-8"))
    return stated


def _checked(path: Path, found: Mapping[str, Shape], config: CodecConfig) -> list[str]:
    expected = layout(config)
    skipped = {f"{name}.{buffer}" for name in transformers(config) for buffer in BUFFERS}
    complaints = {
        "missing": [name for name in expected if name not in found],
        "unexpected": [name for name in found if name not in expected and name not in skipped],
        "wrong shape": [
            f"{name} is {list(found[name])}, should be {list(shape)}"
            for name, shape in expected.items()
            if found.get(name, shape) != shape
        ],
    }
    if len(complaints["missing"]) == len(expected):
        raise ValueError(f"{path} holds no codec: none of its {len(expected)} tensors")
    if any(complaints.values()):
        told = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in complaints.items() if names)
        raise ValueError(f"{path} is not the codec that it should be: {told}")
    return list(expected)
