"""A small writer for lists of layers: each layer gets the next free name of its kind."""

from collections import Counter
from typing import Any

from core.catalog.entries import PICTURE, TOKENS, DataForm
from core.spec import registry
from core.spec.specs import LayerSpec

ACTIVATIONS = ("relu", "tanh", "sigmoid", "leaky_relu", "gelu", "silu")

_SHORT = {
    "batch_norm": "norm",
    "max_pool": "pool",
    "avg_pool": "pool",
    "transformer_block": "block",
    "layer_norm": "norm",
    "group_norm": "norm",
}


class Stack:
    """Collects layers: `stack.add("conv", channels=16)` → conv1."""

    def __init__(self) -> None:
        self.layers: list[LayerSpec] = []
        self._count: Counter[str] = Counter()

    def add(self, kind: str, name: str = "", **options: Any) -> None:
        """One more layer; `name` overrides the counted one."""
        stem = _SHORT.get(kind, kind)
        self._count[stem] += 1
        spec = registry.LAYERS.get(kind).options(**options)
        self.layers.append(LayerSpec(kind, spec, name or f"{stem}{self._count[stem]}"))

    def as_sequence(self, data: DataForm, width: int) -> None:
        """Turn what the data gives into a sequence: tokens are embedded, pictures are read row by row."""
        if data.kind == TOKENS:
            self.add("embedding", "embedding", vocabulary=data.vocabulary, width=width)
        elif data.kind == PICTURE:
            self.add("rows", "rows")

    def head(self, data: DataForm) -> tuple[LayerSpec, ...]:
        """End with one logit per class (of each step, where the data asks for that), or one number."""
        self.add("linear", "head", features=data.classes)
        return tuple(self.layers)
