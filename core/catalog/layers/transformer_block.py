"""Transformer block (Vaswani 2017): self-attention, then a small MLP on each step, each with a shortcut and a norm."""

from dataclasses import dataclass

from core.catalog.entries import SEQUENCE, Fault, Form, Layer
from core.spec.options import Options, _, option
from core.spec.sentences import Sentence, counted


@dataclass(frozen=True)
class TransformerBlock(Options):
    """Options of a Transformer block."""

    heads: int = option(4, _("Attention heads; they share the width."), low=1, high=64, unit=_("heads"))
    mlp_ratio: int = option(
        2,
        _("Width of the MLP's inner layer, as a multiple of the width."),
        label=_("MLP ratio"),
        low=1,
        high=16,
        unit="×",
    )
    dropout: float = option(0.0, _("Share of values dropped while training."), low=0.0, high=0.95, unit=_("share"))
    norm_first: bool = option(True, _("Normalise before attention and MLP (steadier), or after them (as in 2017)."))
    causal: bool = option(False, _("A step reads only itself and what came before it, as a language model must."))


def fault(o: TransformerBlock, form: Form) -> Fault | None:
    width = form.shape[1]
    if width % o.heads == 0:
        return None
    best = max(h for h in range(1, o.heads + 1) if width % h == 0)
    return Fault(
        Sentence("{heads} heads cannot share a width of {width} equally", heads=o.heads, width=width),
        counted("use {n} head", "use {n} heads", n=best),
        options={"heads": best},
    )


ENTRY = Layer(
    name="transformer_block",
    title=_("Transformer block"),
    module="core.worker.model.modules.attention:TransformerBlock",
    takes=(SEQUENCE,),
    options=TransformerBlock,
    arguments=lambda o, form: {
        "width": form.shape[1],
        "heads": o.heads,
        "mlp_ratio": o.mlp_ratio,
        "dropout": o.dropout,
        "norm_first": o.norm_first,
        "causal": o.causal,
    },
    fault=fault,
    masked=True,
    attention="attention",
    examples=(
        (TransformerBlock(heads=2), Form(SEQUENCE, (5, 8))),
        (TransformerBlock(heads=1, mlp_ratio=4, norm_first=False), Form(SEQUENCE, (3, 6))),
        (TransformerBlock(heads=2, causal=True), Form(SEQUENCE, (4, 8))),
    ),
    order=34,
)
