"""Self-attention and its block. Training takes torch's fused path; weights are computed only when asked for."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head self-attention over [batch, step, width]; `mask` [batch, step] is True where a step is read.

    Causal: a step reads itself and the steps before it, never a later one.
    """

    def __init__(self, width: int, heads: int, causal: bool = False) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key, value, each [batch, head, step, width / heads]."""
        batch, steps, width = x.shape
        q, k, v = self.qkv(x).view(batch, steps, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        return q, k, v

    def read(self, mask: Tensor | None, steps: int) -> Tensor | None:
        """True where a query reads a key, to be broadcast over [batch, head, query, key]; None = everywhere.

        No row is empty (a softmax over nothing is NaN): where all is padding, all of it is read; in a causal row
        every step reads at least itself. Neither reaches a real step.
        """
        if mask is None:
            return None
        if not self.causal:
            return (mask | ~mask.any(1, keepdim=True))[:, None, None, :]
        before = torch.ones(steps, steps, dtype=torch.bool, device=mask.device).tril()
        itself = torch.eye(steps, dtype=torch.bool, device=mask.device)
        return (mask[:, None, None, :] & before) | itself

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        q, k, v = self.split(x)
        read = self.read(mask, x.shape[1])
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=read, is_causal=self.causal and read is None)
        return self.out(y.transpose(1, 2).flatten(2))

    def weights(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """[batch, head, query, key]: softmax(q kᵀ / √d) over what may be read; each row sums to 1."""
        q, k, _v = self.split(x)
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        if mask is None and self.causal:
            mask = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        read = self.read(mask, x.shape[1])
        if read is not None:
            scores = scores.masked_fill(~read, float("-inf"))
        return scores.softmax(-1)


class TransformerBlock(nn.Module):
    """Attention and MLP over [batch, step, width], each with a shortcut; the norm before (or after) each."""

    def __init__(
        self, width: int, heads: int, mlp_ratio: int, dropout: float, norm_first: bool, causal: bool = False
    ) -> None:
        super().__init__()
        self.norm_first = norm_first
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads, causal)
        self.mlp = nn.Sequential(nn.Linear(width, mlp_ratio * width), nn.GELU(), nn.Linear(mlp_ratio * width, width))
        self.drop1, self.drop2 = nn.Dropout(dropout), nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        if self.norm_first:
            x = x + self.drop1(self.attention(self.norm1(x), mask))
            return x + self.drop2(self.mlp(self.norm2(x)))
        x = self.norm1(x + self.drop1(self.attention(x, mask)))
        return self.norm2(x + self.drop2(self.mlp(x)))
