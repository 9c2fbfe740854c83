"""Gradient flow: how large the gradient is at every layer, now and over the training, and what that says."""

from dataclasses import dataclass
from typing import Any

from core.catalog.entries import DataForm, View
from core.spec.facts import Facts
from core.spec.options import Options, _, option
from core.spec.specs import LayerSpec

RESHAPING = ("flatten", "rows", "dropout")  # their outputs are those of the layer before


@dataclass(frozen=True)
class Gradients(Options):
    """Options of the gradient flow."""

    batch: int = option(
        64,
        _("How many samples of the training set, from the first on, the gradient is taken of."),
        label=_("samples"),
        low=2,
        high=512,
        unit=_("samples"),
    )


def computing_layers(layers: tuple[LayerSpec, ...], _form: DataForm) -> tuple[str, ...]:
    """All that do more than rearrange; the choice is whose outputs are counted in the large histogram."""
    names = tuple(layer.name for layer in layers if layer.kind not in RESHAPING)
    return names or tuple(layer.name for layer in layers)


# L layers that have parameters (facts.layers, from the input on), K readings made while training:
NORMS = "norms"  # [L]: the norm of the loss's gradient with respect to all of a layer's parameters
HISTORY_STEPS = "history/steps"  # [K] of the whole run; only those up to the moment count for the verdict
# [U]: of each ReLU (facts.relus), the share of units that are zero for the whole batch, and for a picture at every
# place, for a sequence at every step
DEAD = "dead"
SATURATED = "saturated"  # [S]: of each of facts.squashing, the share of outputs where its slope is below 5 %


def history(kind: str) -> str:
    """The array [L, K] of a kind of reading, for the batch of its step (NaN: no reading).

    grad_norm: the same norm, after clipping · update_ratio: how far the step moved the layer's weights, as a share of
    their size.
    """
    return f"history/{kind}"


def histogram(layer: str) -> str:
    """The array [B] of a layer: how many of its outputs lie between two edges."""
    return f"histogram/{layer}"


def edges(layer: str) -> str:
    """The array [B + 1] of a layer: the edges."""
    return f"histogram/edges/{layer}"


@dataclass(frozen=True, kw_only=True)
class GradientsFacts(Facts):
    """One backward pass, and what it and the training so far say."""

    verdicts: list[dict[str, Any]]  # the fields of each core.diagnosis.Verdict, the main one first
    layers: list[str]  # those that have parameters
    judged: list[str]  # those whose norms are compared: with weight matrices
    counted: list[str]  # those that have a histogram
    relus: list[str]
    squashing: list[str]  # sigmoids and tanhs
    loss: float  # of the batch
    batch: int  # its samples
    ratio: float | None  # first layer's norm ÷ last's
    through_time: dict[str, float]  # recurrent layer → the same ratio from the first step to the last


ENTRY = View(
    name="gradients",
    title=_("Gradient flow"),
    look="core.worker.look.gradients:look",
    needs="",
    options=Gradients,
    facts=GradientsFacts,
    arrays=(NORMS, HISTORY_STEPS, history("*"), DEAD, SATURATED, histogram("*"), edges("*")),
    layers=computing_layers,
    of_sample=False,
    examples=(Gradients(), Gradients(batch=16)),
    order=60,
)
