"""Pieces of an input: groups of values that are switched on and off together, and the rows that this makes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from core.catalog.entries import PICTURE, TOKENS
from core.spec.sentences import _
from core.worker.explain.explained_case import Case, Withheld

CHUNK = 1 << 22  # bytes of rows that are made at once: what fits a cache is made and used faster

# ── which value belongs to which piece ───────────────────────────────────────────────────────────────────────────────


def groups(case: Case, options: Any) -> Tensor:
    """int64 [1, …], broadcastable to case.inputs: the piece that each value belongs to, 0 to n − 1.

    Pictures: squares or superpixels, all channels together; tokens: one piece a token, with −1 where there is padding,
    which belongs to none; sequences: one a step; vectors: one a feature. `options`: catalog/attribution Pieced.
    """
    if case.form.kind == TOKENS:
        assert case.real is not None
        if not bool(case.real.any()):
            raise Withheld(_("There is nothing but padding here: no token can be taken away. Choose another sample."))
        numbers = torch.cumsum(case.real, 0) - 1
        return numbers.where(case.real, torch.full_like(numbers, -1)).view(1, -1, 1)
    if options.pieces == "values" or case.inputs.dim() == 2:
        return torch.arange(case.inputs.numel()).view(case.inputs.shape)
    if case.form.kind != PICTURE:
        return torch.arange(case.inputs.shape[1]).view(1, -1, 1)
    if options.pieces == "slic":
        return superpixels(case.inputs, options.segments)
    _one, _channels, height, width = case.inputs.shape
    return squares(height, width, options.side)


def count(pieces: Tensor) -> int:
    """How many pieces there are."""
    return int(pieces.max()) + 1


def squares(height: int, width: int, side: int) -> torch.Tensor:
    """int64 [1, 1, height, width]: squares of side × side pixels, row by row; those at the far edges may be cut."""
    row, column = torch.arange(height) // side, torch.arange(width) // side
    return (row[:, None] * (int(column[-1]) + 1) + column).view(1, 1, height, width)


def superpixels(picture: torch.Tensor, segments: int) -> torch.Tensor:
    """int64 [1, 1, height, width]: about so many regions of like colour in a picture [1, channel, height, width].

    SLIC (Achanta 2012): k-means over colour and place. `compact`: how much nearness counts beside likeness.
    """
    from skimage.segmentation import slic

    shown = picture[0].movedim(0, -1).double()
    shown = (shown - shown.min()) / (shown.max() - shown.min()).clamp(min=1e-12)
    colour = shown.shape[2] == 3
    compact = 20.0 if colour else 0.2  # the colours of CIE Lab go to 100, greys to 1
    found = slic(shown.numpy(), segments, compact, convert2lab=colour, channel_axis=-1, start_label=0)
    numbers: torch.Tensor = torch.unique(torch.from_numpy(found), return_inverse=True)[1]
    return numbers.view(1, 1, *found.shape)


SQUARES, SUPERPIXELS = inspect.getsource(squares), inspect.getsource(superpixels)  # as they are when they are loaded


def few(case: Case, options: Any) -> Tensor:
    """As groups, but at most `options.most` pieces: larger squares, fewer regions, neighbours taken together."""
    most: int = options.most
    if case.form.kind != PICTURE:
        pieces = groups(case, options)
        n = count(pieces)
        return pieces if n <= most else torch.div(pieces * most, n, rounding_mode="floor")
    _one, _channels, height, width = case.inputs.shape
    if options.pieces == "slic":
        tried = (superpixels(case.inputs, n) for n in range(most, 0, -1))
    else:
        tried = (squares(height, width, side) for side in range(1, max(height, width) + 1))
    return next(pieces for pieces in tried if count(pieces) <= most)


# ── inputs with some pieces switched off ─────────────────────────────────────────────────────────────────────────────


def kept(case: Case, pieces: Tensor, baseline: Tensor) -> Tensor:
    """[1, …] the baseline, with the input itself where there is no piece (padding): that is never changed."""
    return torch.where(pieces >= 0, baseline, case.inputs)


def switched(x: Tensor, baseline: Tensor, pieces: Tensor, on: Tensor) -> Tensor:
    """[n, …] inputs: the pieces that are on (bool [n, pieces]) from x, the others from the baseline; both [1, …]."""
    return torch.where(on[:, pieces[0].clamp(min=0)], x, baseline)


def answers(case: Case, baseline: Tensor, pieces: Tensor, on: Tensor, whole: Tensor | None = None) -> Tensor:
    """float64 [n]: the number to explain for each row of pieces that are on, bool [n, pieces]; made chunk by chunk.

    whole: f(x) [1], if it is known. Then rows that are the input itself, because nothing is switched off but pieces
    that are like the baseline (a black background), have it without being computed.
    """
    if whole is None:
        whole, todo = torch.zeros(1), torch.arange(len(on))
    else:
        todo = torch.nonzero((~on & matters(case, baseline, pieces)).any(1)).flatten()
    found = whole.double().repeat(len(on))
    rows = max(case.rows, CHUNK // (4 * case.inputs.numel()) // case.rows * case.rows)
    for part in todo.split(rows) if len(todo) else ():
        found[part] = case.values(switched(case.inputs, baseline, pieces, on[part])).double()
    return found


def matters(case: Case, baseline: Tensor, pieces: Tensor) -> Tensor:
    """bool [pieces]: has the piece a value that differs from the baseline?"""
    differs = pieces.expand_as(case.inputs)[case.inputs != baseline]
    return torch.bincount(differs[differs >= 0], minlength=count(pieces)) > 0


# ── one value a piece → a map ────────────────────────────────────────────────────────────────────────────────────────


def shared(case: Case, pieces: Tensor, values: Tensor) -> Tensor:
    """[1, …] as case.inputs, from one value a piece [pieces], divided among its members: the sums are the same."""
    pieces = pieces.expand_as(case.inputs)
    members = torch.bincount(pieces[pieces >= 0], minlength=len(values))
    return _placed(pieces, values / members)


def spread(case: Case, pieces: Tensor, values: Tensor) -> Tensor:
    """[1, …] as case.inputs, from one value a piece [pieces], which every member gets whole, as in Captum.

    The values of a token's embedding share it: they are shown as their sum.
    """
    width = case.inputs.shape[-1] if case.form.kind == TOKENS else 1
    return _placed(pieces.expand_as(case.inputs), values / width)


def uncertain(
    case: Case, pieces: Tensor, draws: Tensor, placed: Callable[[Case, Tensor, Tensor], Tensor]
) -> float | None:
    """The standard error of the mean of draws [n, pieces], see Explained.error; None of a single draw.

    placed: `shared` or `spread`, by which the mean becomes a map; those of a token's values are alike, so that its sum
    has the same share.
    """
    if len(draws) < 2:
        return None
    peak = float(placed(case, pieces, draws.mean(0)).abs().max())
    error = float(placed(case, pieces, draws.std(0) / len(draws) ** 0.5).max())
    return error / peak if peak > 0 else 0.0


def _placed(pieces: Tensor, values: Tensor) -> Tensor:
    return torch.where(pieces >= 0, values[pieces.clamp(min=0)], torch.zeros((), dtype=values.dtype)).float()


# ── the same in lines of plain torch and Captum, for Result.code ─────────────────────────────────────────────────────


def lines(case: Case, pieces: Tensor, options: Any, call: str, share: bool) -> str:
    """Lines that bind `attribution`. `call`: of Captum, with {mask} where it is given the pieces.

    `share`: afterwards what `shared` does, else what `spread` does.
    """
    padded = bool((pieces < 0).any())
    text = _binding(case, pieces, options) + call.format(mask="pieces.clamp(min=0)" if padded else "pieces")
    if share:
        real = "pieces[pieces >= 0]" if padded else "pieces.flatten()"
        text += f"\nattribution = attribution / torch.bincount({real})[pieces]  # shared by the values of a piece"
    elif case.form.kind == TOKENS:
        text += "\nattribution = attribution / x.shape[-1]  # shared by the values of its embedding"
    return text + ("\nattribution = attribution * (pieces >= 0)  # no padding" if padded else "")


def _segments(case: Case, pieces: Tensor, most: int) -> int:
    """How many segments `few` asked for."""
    return next(n for n in range(most, 0, -1) if torch.equal(superpixels(case.inputs, n), pieces))


def _binding(case: Case, pieces: Tensor, options: Any) -> str:
    """Lines that bind `pieces` [1, …] in the shape of x."""
    if case.form.kind != PICTURE or options.pieces == "values":
        numbers = pieces.flatten().tolist()
        told = f"torch.arange({len(numbers)})" if numbers == list(range(len(numbers))) else f"torch.tensor({numbers})"
        return f"pieces = {told}.view({', '.join(map(str, pieces.shape))}).expand_as(x).contiguous()\n"
    if options.pieces == "slic":
        segments = options.segments if hasattr(options, "segments") else _segments(case, pieces, options.most)
        return f"{SUPERPIXELS}\n\npieces = superpixels(x, {segments}).expand_as(x).contiguous()\n"
    _one, _channels, height, width = pieces.shape
    side = int((pieces == 0).sum(-1).max())
    return f"{SQUARES}\n\npieces = squares({height}, {width}, {side}).expand_as(x).contiguous()\n"
