"""What a request says beside its token ids: the codes of its frames, and how the next ones are drawn.

SGLang carries it to the model unread, as ``custom_params`` of a request, whose values must be JSON.
"""

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np

from engine.models.dual_ar.pages import Positions
from engine.models.dual_ar.sampling import Start
from engine.speech import Sampling


def pack(rows: Positions, start: Start) -> dict[str, Any]:
    """A context ``(n, 1 + codebooks)`` and the settings of the segment that is to be drawn from its end."""
    asked = start.sampling
    return {
        "rows": base64.b64encode(rows.astype("<i4").tobytes()).decode(),
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "repetition_penalty": asked.repetition_penalty,
        "top_k": start.top_k,
        "seed": str(start.seed),  # of any size
    }


def rows_of(side: Mapping[str, Any], columns: int) -> Positions:
    """The context of :func:`pack`, whose positions have ``columns`` numbers."""
    return np.frombuffer(base64.b64decode(side["rows"]), "<i4").reshape(-1, columns).astype(np.int64)


def start_of(side: Mapping[str, Any], slot: int, spoken: tuple[int, ...]) -> Start:
    """The settings of :func:`pack`, for a slot in which the semantic columns ``spoken`` have been drawn
    already.
    """
    sampling = Sampling(side["temperature"], side["top_p"], side["repetition_penalty"])
    return Start(slot, sampling, int(side["seed"]), side["top_k"], spoken)
