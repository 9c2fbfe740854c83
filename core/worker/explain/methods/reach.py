"""Which places of a layer the answer hangs on, found by changing what the layer gives there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from core.catalog.attribution._layers import MAPS, Place
from core.spec.quoting import quoted
from core.spec.sentences import Sentence, _
from core.worker.explain.explained_case import ROUNDING, Withheld

if TYPE_CHECKING:
    from core.worker.explain.methods.layers import At

SIZE = 3.0  # a changed place lies so many times the layer's largest value above, or below, what it was
TINY = 1e-6  # of the largest gradient: a place with less is looked at, one with more is read

Onward = Callable[[Tensor], Tensor]  # what the layer gives [n, …] → the number that is explained [n]


def unread(at: At, values: Tensor, place: Place, by_itself: bool) -> list[int]:
    """The places of the layer that lie somewhere in the input and are not read; Withheld where all are so.

    by_itself: a contribution is 0 where nobody reads, so that only a map of nothing (`values` [1, …]) is looked at.
    """
    maps, case = place.how == MAPS, at.case
    if by_itself and bool(values[:, place.before :].any()):
        return []
    price = case.forward_rows, case.backward_rows
    given, gradient, _f = at.gradients(case.inputs)
    case.forward_rows, case.backward_rows = price  # a check is not part of the price
    found = read(at.alone, given, gradient, 1 if maps else 2, float(case.answers.abs().max())).flatten()
    mapped = torch.arange(len(found)) >= place.before
    if not bool(found[mapped].any()):
        raise Withheld(
            Sentence(
                "The answer reads {layer} at no place of the input: it stays the same whatever the layer gives "
                "there, because only the class token is read, or nothing. Choose a layer before it.",
                layer=quoted(case.layer),
            )
        )
    if case.real is not None and not maps:
        mapped[place.before :] &= case.real
    return [int(i) for i in torch.nonzero(mapped & ~found).flatten()]


def told(layer: str, count: int, zero: bool) -> str:
    """The sentence about unread places."""
    places = "1 place" if count == 1 else f"{count} places"
    return Sentence(
        "The answer does not read {layer} at {places}: it stays the same whatever is put there",
        layer=layer,
        places=places,
    ) + (_(", so the map is 0 there.") if zero else ".")


def without(values: Tensor, places: list[int], maps: bool) -> tuple[Tensor, str]:
    """The values with 0 at these places, and the line that does it."""
    where, at = f"torch.tensor({places})", torch.tensor(places)
    if maps:
        line = f"\nvalues = values.flatten(2).index_fill(2, {where}, 0).view_as(values)  # which nobody reads"
        return values.flatten(2).index_fill(2, at, 0).view_as(values), line
    return values.index_fill(1, at, 0), f"\nvalues = values.index_fill(1, {where}, 0)  # which nobody reads"


def read(onward: Onward, values: Tensor, gradient: Tensor, axis: int, size: float) -> Tensor:
    """bool [place, …]: does the answer change, beyond its rounding, when the layer's values [1, …] change there?

    A gradient that is not 0 is an influence. One that is 0 may be none (a max-pool took another place): such places are
    moved far up, and those that show nothing far down; first all of them at once, as mostly there is nothing to find.
    axis: where the maps or features lie. size: of the answers, whose rounding is no change.
    """
    felt = gradient.abs().amax((0, axis))
    found: Tensor = felt > TINY * felt.max()
    left = torch.nonzero(~found.flatten()).flatten()
    if not len(left):
        return found
    alone = onward(values)
    if not _changes(onward, values, alone, ~found.flatten()[None], axis, size).any():
        return found
    for sign in (1.0, -1.0):
        one_each = torch.zeros(len(left), found.numel(), dtype=torch.bool)
        one_each[torch.arange(len(left)), left] = True
        changed = _moved(onward, values, alone, one_each, axis, size, sign)
        found.view(-1)[left[changed]] = True
        left = left[~changed]
        if not len(left):
            break
    return found


def _changes(onward: Onward, values: Tensor, alone: Tensor, where: Tensor, axis: int, size: float) -> Tensor:
    """bool [n]: up or down, does it change the answer?"""
    up, down = (_moved(onward, values, alone, where, axis, size, sign) for sign in (1.0, -1.0))
    return up | down


def _moved(onward: Onward, values: Tensor, alone: Tensor, where: Tensor, axis: int, size: float, sign: float) -> Tensor:
    """bool [n]: does the answer change when the places of each row of `where` [n, place] are moved?"""
    far = sign * SIZE * max(1.0, float(values.abs().max()))
    uneven = 1.0 + torch.rand(values.shape[axis], generator=torch.Generator().manual_seed(0))  # a norm takes even moves
    shape = [1] * values.dim()
    shape[axis] = -1
    places = [n for i, n in enumerate(values.shape) if i not in (0, axis)]
    found = []
    for some in where.split(64):
        moved = torch.where(some.view(len(some), *places).unsqueeze(axis), values + far * uneven.view(shape), values)
        found.append((onward(moved) - alone).abs() > ROUNDING * size)
    return torch.cat(found)
