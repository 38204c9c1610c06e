"""The residual vector quantiser: one semantic codebook, then nine that each code what is left."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.models.codec.config import CodecConfig
from engine.models.codec.weights import Source


class Codebooks(nn.Module):
    """Codes to latents: the sum of what each code's entry projects to."""

    entries: Tensor
    weight: Tensor
    bias: Tensor
    first: Tensor
    last: Tensor

    def __init__(self, source: Source, config: CodecConfig) -> None:
        super().__init__()
        books = _books(source, config)
        entries = torch.cat([book.tensor("codebook.weight") for book in books])
        # Ten projections side by side are one that takes the ten entries in a row.
        weight = torch.cat([book.at("out_proj").weight()[..., 0] for book in books], 1)
        bias = torch.stack([book.tensor("out_proj.bias") for book in books]).sum(0)
        sizes = torch.tensor(config.codebook_sizes, device=source.device)[:, None]
        self.register_buffer("entries", source.keep(entries))
        self.register_buffer("weight", source.keep(weight))
        self.register_buffer("bias", source.keep(bias))
        self.register_buffer("first", sizes.cumsum(0) - sizes)
        self.register_buffer("last", sizes - 1)

    def forward(self, codes: Tensor) -> Tensor:
        """[B, codebooks, T] int64 -> [B, latent, T]; a code past its codebook counts as the last entry."""
        rows = torch.minimum(codes.clamp_min(0), self.last) + self.first
        entries = F.embedding(rows.transpose(1, 2), self.entries).flatten(2)
        return F.linear(entries, self.weight, self.bias).transpose(1, 2)


class Quantizer(nn.Module):
    """Latents to codes."""

    def __init__(self, source: Source, config: CodecConfig) -> None:
        super().__init__()
        self.books = nn.ModuleList(Codebook(book) for book in _books(source, config))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """[B, latent, T] -> codes [B, codebooks, T] int64, and what was looked up, [B, codebooks * 8, T]."""
        codes, latents, left = [], [], x.transpose(1, 2)
        for book in self.books:
            code, latent, said = book(left)
            codes.append(code)
            latents.append(latent)
            left = left - said
        return torch.stack(codes, 1), torch.cat(latents, 2).transpose(1, 2)


class Codebook(nn.Module):
    """One codebook: the entry is chosen by direction, in a space of few dimensions."""

    entries: Tensor
    directions: Tensor
    weight_in: Tensor
    bias_in: Tensor
    weight_out: Tensor
    bias_out: Tensor

    def __init__(self, source: Source) -> None:
        super().__init__()
        entries = source.tensor("codebook.weight")
        self.register_buffer("entries", source.keep(entries))
        self.register_buffer("directions", source.keep(F.normalize(entries)))
        for side in ("in", "out"):
            place = source.at(f"{side}_proj")
            self.register_buffer(f"weight_{side}", source.keep(place.weight()[..., 0]))
            self.register_buffer(f"bias_{side}", source.keep(place.tensor("bias")))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B, T, latent] -> code [B, T], its projection [B, T, 8], and what the code says of x [B, T, latent]."""
        latent = F.linear(x, self.weight_in, self.bias_in)
        # Among unit vectors the nearest is the one with the largest product, whatever the length of the other.
        code = F.linear(latent, self.directions).argmax(-1)
        said = F.linear(F.embedding(code, self.entries), self.weight_out, self.bias_out)
        return code, latent, said


def _books(source: Source, config: CodecConfig) -> list[Source]:
    semantic, residual = (
        source.at("quantizer.semantic_quantizer.quantizers"),
        source.at("quantizer.quantizer.quantizers"),
    )
    return [semantic.at("0"), *(residual.at(f"{number}") for number in range(config.codebooks - 1))]
