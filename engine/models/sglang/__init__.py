"""The same Dual-AR model on SGLang's engine, for those who outgrow one GPU.

Prompts, tokenizer, codec and voices are those of :mod:`engine.models.dual_ar`; SGLang computes the frames, in a
process of its own.
"""

from engine.models.sglang.client import SGLangFailed
from engine.models.sglang.load import VERSIONS, SGLangOptions, load_sglang

__all__ = ["VERSIONS", "SGLangFailed", "SGLangOptions", "load_sglang"]
