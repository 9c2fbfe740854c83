"""A small GPT (Radford 2018): a Transformer that reads only backwards and says what comes next, at every step."""

from dataclasses import dataclass

from core.catalog.architectures._layers import Stack
from core.catalog.entries import EACH_STEP, TOKENS, Architecture, DataForm
from core.spec.options import Options, _, option
from core.spec.specs import LayerSpec


@dataclass(frozen=True)
class Gpt(Options):
    """Options of a causal language model."""

    width: int = option(64, _("Size of the vector of each step."), low=2, high=2048, unit=_("features"))
    heads: int = option(4, _("Attention heads; they share the width."), low=1, high=32, unit=_("heads"))
    layers: int = option(3, _("Transformer blocks on top of each other."), low=1, high=32, unit=_("blocks"))
    mlp_ratio: int = option(
        4, _("Width of each block's MLP, as a multiple of the width."), label=_("MLP ratio"), low=1, high=16, unit="×"
    )
    positions: str = option("learned", _("How a step knows its place."), choices=("learned", "sinusoidal", "none"))
    dropout: float = option(0.0, _("Share of values dropped while training."), low=0.0, high=0.95, unit=_("share"))


def layers(o: Gpt, data: DataForm) -> tuple[LayerSpec, ...]:
    stack = Stack()
    stack.as_sequence(data, o.width)
    if o.positions != "none":
        stack.add("positions", "positions", code=o.positions)
    for _block in range(o.layers):
        stack.add("transformer_block", heads=o.heads, mlp_ratio=o.mlp_ratio, dropout=o.dropout, causal=True)
    stack.add("layer_norm", "norm")
    return stack.head(data)


ENTRY = Architecture(
    name="gpt",
    title=_("small GPT"),
    options=Gpt,
    layers=layers,
    takes=(TOKENS,),
    tasks=(EACH_STEP,),
    example_data=DataForm(TOKENS, (64,), 65, vocabulary=66, task=EACH_STEP),
    recommended={"lr": 0.003, "schedule": "one_cycle", "clip_norm": 1.0, "weight_decay": 0.01},
    examples=(Gpt(), Gpt(width=8, heads=2, layers=1, positions="sinusoidal"), Gpt(width=8, layers=1, positions="none")),
    order=42,
)
