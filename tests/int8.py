"""What networks of int8 weights are worth on this processor."""

import platform
from pathlib import Path


def saturates() -> bool:
    """Whether onnxruntime rounds large sums of int8 products here: on x86 without VNNI, two are added in 16 bits.

    Its setting against that, ``session.x64quantprecision``, fails on our networks (1.31: "Attempt to replace the
    existing tensor").
    """
    if platform.machine() not in ("x86_64", "AMD64"):
        return False
    flags = Path("/proc/cpuinfo")
    return flags.exists() and not any(
        flag in flags.read_text().split() for flag in ("avx512_vnni", "avx_vnni")
    )
