"""SGLang on a plain CPU (entry point ``sglang.srt.platforms``): for tests of what runs on GPUs in earnest.

SGLang's own CPU platform needs kernels that are on no package index. This one has none: every operation takes the
way that is written in torch.
"""

import os

CPU = "PARROTFISH_SGLANG_CPU"
"""Set for SGLang's processes when they are to run on a CPU."""


def activate() -> str | None:
    """Called by SGLang: the name of the platform's class, or None where it is not wanted."""
    return "engine.models.sglang.platform_cpu.PlainCpu" if os.environ.get(CPU) else None
