"""Attention: how much each token reads of each other token, by layer and head, and what each head is worth."""

from dataclasses import dataclass

from core.catalog.entries import DataForm, View
from core.spec import registry
from core.spec.options import DATA, NETWORK, Options, _, option
from core.spec.specs import LayerSpec


@dataclass(frozen=True)
class Attention(Options):
    """Options of the attention."""

    head: int = option(0, _("Which head of the layer; they are counted from 0."), low=0, high=63, place_in=NETWORK)
    query: int = option(
        -1,
        _("The token that reads, counted from 0; −1 is the class token, or the last real token where there is none."),
        label=_("query token"),
        low=-1,
        high=4095,
        auto=_("the one that answers"),
        place_in=DATA,
    )
    temperature: float = option(
        1.0,
        _(
            "Scores are divided by it before the softmax: below 1 sharper, above 1 more even. The model itself uses "
            "1; only the picture changes."
        ),
        low=0.05,
        high=20,
    )
    causal: bool = option(
        False,
        _("What the weights would be if no token could read later ones. Only the picture changes."),
        label=_("as if causal"),
    )
    ablation: bool = option(
        False,
        _(
            "Silence one head after the other and measure how much the loss on test samples rises; this takes "
            "some seconds."
        ),
        label=_("measure every head"),
    )


def blocks(layers: tuple[LayerSpec, ...], _form: DataForm) -> tuple[str, ...]:
    """The layers with attention in them."""
    return tuple(spec.name for spec in layers if registry.LAYERS.get(spec.kind).attention)


def applies(layers: tuple[LayerSpec, ...], form: DataForm) -> bool:
    """Is there any?"""
    return bool(blocks(layers, form))


ENTRY = View(
    "attention",
    _("Attention"),
    "core.worker.look.attention:look",
    needs=_(
        "This model has no attention: none of its layers lets one token read another. The presets transformer, "
        "vit and gpt have it."
    ),
    options=Attention,
    applies=applies,
    layers=blocks,
    examples=(Attention(), Attention(head=1, query=0, temperature=0.5, causal=True), Attention(ablation=True)),
    order=40,
)
