"""Has a map any digit of its own, or is it rounding? One check for every method and every layer.

A number that should be 0 but is the sum of many terms comes out in float32 as some 1e-7 of them, and a map of such
numbers looks like any other once it is divided by its largest value. So a map that is small beside the answer is made
again, a few times, with every weight moved by about one unit of its last digit, which the network does not notice: what
changes by a good part of its own size has no digit that means something (stochastic arithmetic: Parker 1997,
"Monte Carlo arithmetic"; Jézéquel and Chesneaux 2008, CADNA).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from core.spec.sentences import Sentence
from core.worker.explain.explained_case import CONTRIBUTION, GRADIENT, ROUNDING, VALUE, VARIANCE, Case, Result, Withheld

SMALL = 1e-3  # of the answers: a map of larger values is not made again. Rounding is far below it (1e-7 times a few)
DRAWS = 3  # times that it is made again
CHANGED = 0.25  # of its largest value: with such a change it has not one digit
TINY = 1e-30
LEVEL = 8  # last digits by which the values of a map may differ that is the same everywhere
LAST = torch.finfo(torch.float32).eps  # a move by this share is one unit of the last digit, or two

# One value a token from its embedding's values [1, step, width]. Contributions add up; so do variances (the trace of
# their matrix). The sum of a gradient's parts depends on the axes of the embedding, and before a layer norm it is 0
# whatever the network does, as a constant added to all features changes nothing: its length means the same in all axes.
OF_TOKENS = {
    CONTRIBUTION: "attribution = attribution.sum(-1)  # of each token",
    VALUE: "attribution = attribution.sum(-1)  # of each token",
    VARIANCE: "attribution = attribution.sum(-1)  # of each token: how far the gradient strays in all directions",
    GRADIENT: "attribution = attribution.norm(dim=-1)  # the length of each token's gradient: its sum has no meaning",
}

Again = Callable[[Case], Tensor]  # the map as it is shown [1, …], of another case


def one_a_token(found: Tensor, of: str) -> Tensor:
    """[1, step, width] → [1, step]; see OF_TOKENS, which are the lines that do the same."""
    return found.norm(dim=-1) if of == GRADIENT else found.sum(-1)


def rounding(case: Case, result: Result, shown: Tensor, size: float, again: Again) -> str:
    """Why nothing can be read off the map `shown` [1, …]; empty where it can. size: of the number that is explained."""
    values = shown.double().abs()
    largest = float(values.max())
    if not largest:
        return ""  # exactly nothing: that is said elsewhere
    if result.of != VALUE and _reach(case, result.of, float(values.sum())) <= ROUNDING * size:
        return Sentence(
            "This map is no more than rounding beside the answer: all that it speaks of is {rounding:g} of "
            "the answer's size, {size:.3g}, or less, and float32 tells no smaller differences of it apart. "
            "By this method no place matters here.",
            rounding=ROUNDING,
            size=size,
        )
    beside = case.inputs if result.of == VALUE else case.answers
    if _reach(case, result.of, largest) > SMALL * max(size, float(beside.abs().max())):
        return ""
    moved = max(_moved(case, shown, again, draw) for draw in range(DRAWS)) / largest
    if moved < CHANGED:
        return ""
    return Sentence(
        "This map is rounding: its largest value is {largest:.2g}, and when each weight is moved by its "
        "last digit, which changes nothing else, the map changes by {moved:.0%} of that. By this method "
        "no place matters here.",
        largest=largest,
        moved=moved,
    )


def slight(result: Result, shown: Tensor, size: float) -> str:
    """A sentence where all of a map is next to nothing beside the answer; it can be right all the same."""
    share = float(shown.double().abs().sum()) / max(size, TINY)
    if result.of != CONTRIBUTION or not ROUNDING < share < SMALL:
        return ""
    return Sentence(
        "All of this map together is {share:.1g} of the answer's size, {size:.3g}: by this method hardly "
        "anything of the answer comes from here, so do not read sizes off its colours.",
        share=share,
        size=size,
    )


def level(shown: Tensor) -> bool:
    """Is the map the same everywhere, up to rounding?"""
    return float(shown.max() - shown.min()) <= LEVEL * LAST * float(shown.abs().max())


def _reach(case: Case, of: str, value: float) -> float:
    """By how much an answer can change for what a map's value says: a gradient times the largest input."""
    if of == GRADIENT:
        return value * float(case.inputs.abs().max())
    return value**0.5 * float(case.inputs.abs().max()) if of == VARIANCE else value


def _moved(case: Case, shown: Tensor, again: Again, draw: int) -> float:
    """The largest difference of the map that weights moved by their last digits give."""

    def move(network: nn.Module) -> None:
        generator = torch.Generator().manual_seed(draw)
        for weight in (*network.parameters(), *network.buffers()):
            if weight.is_floating_point():
                signs = 2.0 * torch.randint(0, 2, weight.shape, generator=generator) - 1.0
                weight.data.mul_(1.0 + LAST * signs)

    try:
        other = again(case.again(move))
    except Withheld:
        return 0.0
    return float((other - shown).double().abs().max())
