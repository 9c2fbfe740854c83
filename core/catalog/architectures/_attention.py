"""What the Transformers share: their blocks, and the read-out at the end."""

from dataclasses import dataclass

from core.catalog.architectures._layers import Stack
from core.catalog.entries import EACH_STEP, DataForm
from core.spec.options import Options, _, option
from core.spec.specs import LayerSpec


@dataclass(frozen=True)
class Blocks(Options):
    """Options of a stack of Transformer blocks."""

    width: int = option(32, _("Size of the vector of each step."), low=2, high=2048, unit=_("features"))
    heads: int = option(4, _("Attention heads; they share the width."), low=1, high=32, unit=_("heads"))
    layers: int = option(2, _("Transformer blocks on top of each other."), low=1, high=32, unit=_("blocks"))
    mlp_ratio: int = option(
        2, _("Width of each block's MLP, as a multiple of the width."), label=_("MLP ratio"), low=1, high=16, unit="×"
    )
    positions: str = option(
        "learned",
        _("How a step knows its place; with none the order cannot be seen."),
        choices=("learned", "sinusoidal", "none"),
    )
    dropout: float = option(0.0, _("Share of values dropped while training."), low=0.0, high=0.95, unit=_("share"))
    norm_first: bool = option(
        True, _("Normalise before attention and MLP, or after them (as in 2017)."), label=_("norm first")
    )
    read_out: str = option(
        "mean",
        _("What the head reads: the mean of all steps, or a class token."),
        label=_("read-out"),
        choices=("mean", "class_token"),
    )


def finish(stack: Stack, o: Blocks, data: DataForm) -> tuple[LayerSpec, ...]:
    """Positions, blocks, a last norm, and read-out and head.

    Where every step is to be answered there is no read-out, and no step may look ahead: blocks are causal.
    """
    each_step = data.task == EACH_STEP
    if o.read_out == "class_token" and not each_step:
        stack.add("class_token", "class_token")
    if o.positions != "none":
        stack.add("positions", "positions", code=o.positions)
    for _block in range(o.layers):
        stack.add(
            "transformer_block",
            heads=o.heads,
            mlp_ratio=o.mlp_ratio,
            dropout=o.dropout,
            norm_first=o.norm_first,
            causal=each_step,
        )
    if o.norm_first:
        stack.add("layer_norm", "norm")
    if not each_step:
        stack.add("read_out", "read_out", take="first" if o.read_out == "class_token" else "mean")
    return stack.head(data)
