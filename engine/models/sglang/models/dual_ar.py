"""S2-Pro as SGLang runs it: slow step, draws and fast loop in one forward pass.

The slow transformer is made of SGLang's layers, so that its attention, its radix cache and its tensor parallelism
serve it; the fast one and the sampler are our own. What belongs to a request lies in tensors indexed by its
slot in SGLang's pool, and a decode step reads and writes them on the device: it can be captured in a CUDA
graph. With tensor parallelism only the slow transformer is cut: the fast one is small, and its passes would
wait for one another's sums 72 times a frame. Every rank draws the same frame, as each is given the same sums.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from sglang.srt.layers.activation import SiluAndMul
from sglang.srt.layers.layernorm import RMSNorm
from sglang.srt.layers.linear import MergedColumnParallelLinear, QKVParallelLinear, RowParallelLinear
from sglang.srt.layers.logits_processor import LogitsProcessorOutput
from sglang.srt.layers.radix_attention import RadixAttention
from sglang.srt.layers.rotary_embedding import get_rope
from sglang.srt.layers.vocab_parallel_embedding import VocabParallelEmbedding
from sglang.srt.runtime_context import get_parallel
from torch import Tensor, nn

from engine.models.dual_ar.config import CheckpointError, DualARConfig, TransformerConfig, read_config
from engine.models.dual_ar.fast import FastTransformer
from engine.models.dual_ar.layout import DERIVED, entries
from engine.models.dual_ar.pages import Positions
from engine.models.dual_ar.sampling import Sampler
from engine.models.dual_ar.transformer import rope_table
from engine.models.sglang.side import rows_of, start_of


class Told(NamedTuple):
    """What the plugin tells of one request whose prompt is read: its slot, what came beside it, its frames so
    far.
    """

    side: dict[str, Any]
    frames: list[list[int]]


class Attention(nn.Module):
    """Grouped-query attention over SGLang's KV cache, with rotary positions in interleaved pairs."""

    def __init__(self, config: TransformerConfig, layer: int, quant_config: Any, prefix: str) -> None:
        super().__init__()
        ranks = get_parallel().tp_size
        self._width = config.head_dim
        self._heads, self._kv_heads = config.heads // ranks, max(1, config.kv_heads // ranks)
        self.wqkv = QKVParallelLinear(
            config.dim,
            config.head_dim,
            config.heads,
            config.kv_heads,
            bias=config.qkv_bias,
            quant_config=quant_config,
            prefix=f"{prefix}.wqkv",
        )
        self.wo = RowParallelLinear(
            config.heads * config.head_dim,
            config.dim,
            bias=config.o_bias,
            quant_config=quant_config,
            prefix=f"{prefix}.wo",
        )
        self.q_norm = RMSNorm(config.head_dim, eps=config.norm_eps) if config.qk_norm else None
        self.k_norm = RMSNorm(config.head_dim, eps=config.norm_eps) if config.qk_norm else None
        self.rope = get_rope(
            config.head_dim,
            rotary_dim=config.head_dim,
            max_position=config.max_positions,
            base=config.rope_base,
            is_neox_style=False,
        )
        # Of our own numbers, which are rounded as the model was trained; SGLang keeps cosines, then sines.
        table = rope_table(config, torch.device("cpu"))
        self.rope.cos_sin_cache.copy_(torch.cat((table[:, 0, ::2], table[:, 1, 1::2]), dim=-1))
        self.cached = RadixAttention(
            self._heads,
            config.head_dim,
            config.head_dim**-0.5,
            num_kv_heads=self._kv_heads,
            layer_id=layer,
            prefix=f"{prefix}.cached",
        )

    def forward(self, x: Tensor, positions: Tensor, batch: Any) -> Tensor:
        """``[N, dim]`` to ``[N, dim]``."""
        qkv, _ = self.wqkv(x)
        heads, kv_heads = self._heads * self._width, self._kv_heads * self._width
        q, k, v = qkv.split([heads, kv_heads, kv_heads], dim=-1)
        if self.q_norm is not None and self.k_norm is not None:
            q = self.q_norm(q.reshape(-1, self._width)).view(q.shape)
            k = self.k_norm(k.reshape(-1, self._width)).view(k.shape)
        q, k = self.rope(positions, q, k)
        projected: Tensor = self.wo(self.cached(q, k, v, batch))[0]
        return projected


class FeedForward(nn.Module):
    """SwiGLU."""

    def __init__(self, config: TransformerConfig, quant_config: Any, prefix: str) -> None:
        super().__init__()
        self.w13 = MergedColumnParallelLinear(
            config.dim, [config.ffn] * 2, bias=False, quant_config=quant_config, prefix=f"{prefix}.w13"
        )
        self.w2 = RowParallelLinear(
            config.ffn, config.dim, bias=False, quant_config=quant_config, prefix=f"{prefix}.w2"
        )
        self.act = SiluAndMul()

    def forward(self, x: Tensor) -> Tensor:
        """``[N, dim]`` to ``[N, dim]``."""
        projected: Tensor = self.w2(self.act(self.w13(x)[0]))[0]
        return projected


class Block(nn.Module):
    """One layer of the slow transformer."""

    def __init__(self, config: TransformerConfig, layer: int, quant_config: Any, prefix: str) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(config.dim, eps=config.norm_eps)
        self.attention = Attention(config, layer, quant_config, f"{prefix}.attention")
        self.ffn_norm = RMSNorm(config.dim, eps=config.norm_eps)
        self.feed_forward = FeedForward(config, quant_config, f"{prefix}.feed_forward")

    def forward(
        self, x: Tensor, residual: Tensor | None, positions: Tensor, batch: Any
    ) -> tuple[Tensor, Tensor]:
        """What the layer adds, and what it is to be added to."""
        if residual is None:
            residual, x = x, self.attention_norm(x)
        else:
            x, residual = self.attention_norm(x, residual)
        x, residual = self.ffn_norm(self.attention(x, positions, batch), residual)
        return self.feed_forward(x), residual


class ParrotfishDualAR(nn.Module):
    """The whole model; what SGLang calls, it calls by SGLang's names."""

    codes: Tensor
    head: Tensor
    offsets: Tensor

    def __init__(self, config: Any, quant_config: Any = None, prefix: str = "") -> None:
        super().__init__()
        own = config.parrotfish
        self.config = config
        self.dual_ar = dual_ar = read_config(Path(own["checkpoint"]))
        slow = dual_ar.slow
        self.embeddings = VocabParallelEmbedding(slow.vocab, slow.dim)
        self.codebook_embeddings = nn.Parameter(
            torch.empty(dual_ar.codebooks * dual_ar.codebook_size, slow.dim)
        )
        self.layers = nn.ModuleList(
            Block(slow, layer, quant_config, f"layers.{layer}") for layer in range(slow.layers)
        )
        self.norm = RMSNorm(slow.dim, eps=slow.norm_eps)
        self.fast = FastTransformer(dual_ar)
        self.slots: int = own["slots"]
        self.told: Sequence[Told] = ()
        """Set by the plugin whenever prompts are about to be read, in the order of the batch."""
        offsets = torch.arange(dual_ar.codebooks) * dual_ar.codebook_size
        self.register_buffer("offsets", offsets, persistent=False)
        # Slot 0 is nobody's: SGLang fills up the batch of a graph with it.
        self.register_buffer(
            "codes", torch.zeros((self.slots, dual_ar.codebooks), dtype=torch.long), persistent=False
        )
        self.register_buffer("head", torch.empty((dual_ar.semantic_size + 1, slow.dim)), persistent=False)
        self._sampler = Sampler(
            self.slots,
            dual_ar.semantic_size,
            dual_ar.codebooks - 1,
            device=self.codes.device,
            greedy_residuals=own["greedy_residuals"],
        )

    @torch.no_grad()
    def forward(
        self, input_ids: Tensor, positions: Tensor, forward_batch: Any, **_: Any
    ) -> LogitsProcessorOutput:
        """One step of SGLang's: prompts are read, or a frame of each row is drawn."""
        slots = forward_batch.req_pool_indices.long()
        extend = forward_batch.forward_mode.is_extend()
        if extend:
            rows = self._read(input_ids, forward_batch)
        else:
            rows = torch.cat((input_ids.long()[:, None], self.codes[slots]), dim=1)
        x, residual = self._embed(rows), None
        for layer in self.layers:
            x, residual = layer(x, residual, positions, forward_batch)
        hidden, _ = self.norm(x, residual)
        if extend:
            hidden = hidden[torch.cumsum(forward_batch.extend_seq_lens, 0) - 1]
        return self._draw(hidden, slots)

    def load_weights(self, weights: Iterable[tuple[str, Tensor]]) -> set[str]:
        """Take the tensors of a checkpoint, each under the name that it has there."""
        taken = _Loading(self).take(weights)
        self.fast.requires_grad_(False)
        self.fast.finish()
        return taken

    def _read(self, input_ids: Tensor, batch: Any) -> Tensor:
        """The positions ``[N, 1 + codebooks]`` that are read in this step; their slots begin anew."""
        columns = 1 + self.dual_ar.codebooks
        told, self.told = self.told, ()
        if not told:  # nobody's prompt: SGLang tries out how much memory it takes
            return F.pad(input_ids.long()[:, None], (0, columns - 1))
        slots = batch.req_pool_indices.tolist()
        reads = zip(slots, told, batch.extend_prefix_lens_cpu, batch.extend_seq_lens_cpu, strict=True)
        parts: list[Positions] = []
        starts = []
        for slot, one, cached, count in reads:
            frames = np.array(one.frames, np.int64).reshape(-1, columns + 1)[:, :columns]
            rows = np.concatenate((rows_of(one.side, columns), frames))
            parts.append(rows[cached : cached + count])
            starts.append(start_of(one.side, slot, tuple((frames[:, 1]).tolist())))
        self._sampler.begin(*starts)
        return torch.from_numpy(np.concatenate(parts)).to(input_ids.device)

    def _embed(self, rows: Tensor) -> Tensor:
        config, token = self.dual_ar, rows[:, 0]
        text = self.embeddings(token)
        spoken = text + F.embedding(rows[:, 1:] + self.offsets, self.codebook_embeddings).sum(-2)
        if config.scale_embeddings:
            spoken = spoken / math.sqrt(config.codebooks + 1)
        is_spoken = (token >= config.semantic_start) & (token <= config.semantic_end)
        return torch.where(is_spoken.unsqueeze(-1), spoken, text)

    def _draw(self, hidden: Tensor, slots: Tensor) -> LogitsProcessorOutput:
        """Draw a frame of each row; the plugin finds it there in SGLang's place."""
        config = self.dual_ar
        draws = self._sampler.draws(slots)
        first = draws.semantic(F.linear(hidden, self.head).float())
        codes = self.fast.codes(hidden, first, draws.residual)
        draws.commit()
        token = torch.where(draws.ended, config.end_token, config.semantic_start + first)[:, None]
        self.codes.index_copy_(0, slots, codes)
        frame = torch.cat((token, codes, draws.bad[:, None]), dim=1)
        nothing_to_choose = hidden.new_zeros((len(slots), 1), dtype=torch.float32)
        return LogitsProcessorOutput(next_token_logits=nothing_to_choose, customized_info={"frame": frame})


class _Loading:
    """Puts a checkpoint's tensors, which come in any order, to their places."""

    def __init__(self, model: ParrotfishDualAR) -> None:
        self._model = model
        self._config: DualARConfig = model.dual_ar
        self._parameters = dict(model.named_parameters())
        self._places: dict[str, tuple[str, int | None]] = {}
        self._wanted: dict[str, int] = {}  # targets, and how many rows of each are not there yet
        for entry in entries(self._config):
            rows = sum(part.shape[0] for part in entry.parts)
            self._wanted[entry.target] = rows
            for parts in (entry.parts, entry.split):
                for shard, part in enumerate(parts):
                    self._places[part.name] = entry.target, shard if len(parts) > 1 else None

    def take(self, weights: Iterable[tuple[str, Tensor]]) -> set[str]:
        """All of them; the names of what was filled. Raises :class:`CheckpointError` for what is missing or
        unknown.
        """
        for name, tensor in weights:
            if (place := self._places.get(name)) is None:
                if name.rpartition(".")[2] in DERIVED:
                    continue
                raise CheckpointError(f"the checkpoint holds {name}, which is unknown")
            target, shard = place
            self._place(target, shard, tensor)
            self._wanted[target] -= tensor.shape[0]
        if missing := [target for target, rows in self._wanted.items() if rows]:
            raise CheckpointError(f"the checkpoint lacks {', '.join(missing[:8])}")
        return set(self._parameters)

    def _place(self, target: str, shard: int | None, tensor: Tensor) -> None:
        config = self._config
        if target == ("slow.embeddings" if config.tied else "slow.output"):
            head = self._model.head
            head[:-1] = tensor[config.semantic_start : config.semantic_end + 1]
            head[-1] = tensor[config.end_token]
        if target == "slow.output":
            return
        if target.startswith("fast."):
            self._fill_fast(target, shard, tensor)
            return
        name = target.removeprefix("slow.")
        if name == "embeddings" or name.endswith(("q_norm", "k_norm")):
            name += ".weight"
        parameter: Any = self._parameters[name]  # SGLang hangs a loader on its own
        if ".wqkv." in name:
            query, key = config.slow.heads * config.slow.head_dim, config.slow.kv_heads * config.slow.head_dim
            whole = torch.split(tensor, [query, key, key]) if shard is None else (tensor,)
            for kind, part in zip("qkv" if shard is None else "qkv"[shard], whole, strict=True):
                parameter.weight_loader(parameter, part, kind)
        elif ".w13." in name:
            parameter.weight_loader(parameter, tensor, shard)
        elif hasattr(parameter, "weight_loader"):
            parameter.weight_loader(parameter, tensor)
        else:
            parameter.data.copy_(tensor)

    def _fill_fast(self, target: str, shard: int | None, tensor: Tensor) -> None:
        """Our own layers: parts stand one below the other."""
        parameter = self._parameters[target]
        if shard is None:
            parameter.data.copy_(tensor)
            return
        config = self._config.fast
        query, key = config.heads * config.head_dim, config.kv_heads * config.head_dim
        starts = (0, query, query + key) if ".wqkv." in target else (0, config.ffn)
        parameter.data[starts[shard] : starts[shard] + len(tensor)].copy_(tensor)


EntryClass = ParrotfishDualAR
