"""A Transformer encoder: tokens, numbers or the rows of a picture attend to each other, and one answer is read out.

Where the data asks for an answer at every step, no step looks ahead (the blocks are causal).
"""

from core.catalog.architectures import _attention
from core.catalog.architectures._layers import Stack
from core.catalog.entries import PICTURE, SEQUENCE, TASKS, TOKENS, Architecture, DataForm
from core.spec.options import _
from core.spec.specs import LayerSpec


def layers(o: _attention.Blocks, data: DataForm) -> tuple[LayerSpec, ...]:
    stack = Stack()
    stack.as_sequence(data, o.width)
    if data.kind != TOKENS:
        stack.add("linear", "project", features=o.width)
    return _attention.finish(stack, o, data)


ENTRY = Architecture(
    name="transformer",
    title=_("Transformer"),
    options=_attention.Blocks,
    layers=layers,
    takes=(PICTURE, SEQUENCE, TOKENS),
    tasks=tuple(TASKS),
    recommended={"lr": 0.003, "schedule": "one_cycle"},
    examples=(
        _attention.Blocks(),
        _attention.Blocks(width=8, heads=2, layers=1, positions="sinusoidal", norm_first=False, read_out="class_token"),
        _attention.Blocks(width=8, heads=2, layers=1, positions="none", dropout=0.1),
    ),
    order=40,
)
