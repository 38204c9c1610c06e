"""The platform that :mod:`engine.models.sglang.platform` names; imports SGLang."""

from typing import Any

from sglang.srt.platforms.cpu import CpuDeviceMixin
from sglang.srt.platforms.device_mixin import PlatformEnum
from sglang.srt.platforms.interface import PlatformCapabilities, SRTPlatform


class PlainCpu(CpuDeviceMixin, SRTPlatform):  # type: ignore[misc]
    """A CPU without SGLang's kernels."""

    _enum = PlatformEnum.OOT
    capabilities = PlatformCapabilities()

    def get_default_attention_backend(self) -> str:
        """Attention as torch computes it."""
        return "torch_native"

    def get_dispatch_key_name(self) -> str:
        """Of two ways to compute something the one in torch."""
        return "native"

    def get_kv_pool_cls(self, *, kind: str) -> Any:
        """The cache of keys and values."""
        from sglang.srt.mem_cache import memory_pool

        names = {"mha": "MHATokenToKVPool", "mla": "MLATokenToKVPool", "dsa": "DSATokenToKVPool"}
        return getattr(memory_pool, names[kind], None)

    def get_paged_allocator_cls(self) -> None:
        """The usual one."""
        return
