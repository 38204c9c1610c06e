"""A model described by what makes it, so that another process can."""

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from engine.models.base import SpeechModel


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A function by its name, and the arguments to call it with: it returns a :class:`SpeechModel`.

    ``maker`` is of the form ``package.module:function``; ``arguments`` are what JSON can say. ``environment`` is
    added to that of the process in which it is made, such as the number of threads of a library.
    """

    maker: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    def __call__(self) -> SpeechModel:
        """Make it, here. Raises whatever keeps it from being made."""
        module, _, function = self.maker.partition(":")
        model: SpeechModel = getattr(importlib.import_module(module), function)(**self.arguments)
        return model

    def packed(self) -> str:
        """Maker and arguments as text. Raises TypeError if an argument is not plain."""
        return json.dumps([self.maker, dict(self.arguments)])

    @classmethod
    def unpacked(cls, text: str) -> "ModelSpec":
        """What :meth:`packed` has made."""
        maker, arguments = json.loads(text)
        return cls(maker, arguments)
