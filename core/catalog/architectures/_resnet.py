"""He 2015, section 4.2: a stem, three stages of n residual blocks (16, 32, 64 maps), global pooling, a linear layer."""

from dataclasses import dataclass
from typing import Any

from core.catalog.architectures._layers import Stack
from core.catalog.entries import PICTURE, Architecture, DataForm
from core.spec.options import Options, _, option
from core.spec.specs import LayerSpec


@dataclass(frozen=True)
class ResNet(Options):
    """Options of a residual network for small pictures."""

    width: int = option(
        16, _("Feature maps of the first stage; each further stage doubles them."), low=1, high=512, unit=_("maps")
    )
    shortcut: str = option(
        "padded",
        _("How shortcuts change shape; none makes it a plain network."),
        choices=("padded", "projection", "none"),
    )


@dataclass(frozen=True)
class Plain(ResNet):
    """Options of the same network without shortcuts."""

    shortcut: str = option(
        "none",
        _("How shortcuts change shape; none makes it a plain network."),
        choices=("padded", "projection", "none"),
    )


def entry(depth: int, order: int, options: type[ResNet] = ResNet) -> Architecture:
    """resnetDEPTH, depth = 6 n + 2; with options that leave the shortcuts out, plainDEPTH."""
    blocks = (depth - 2) // 6
    plain = options is Plain

    def layers(o: Any, data: DataForm) -> tuple[LayerSpec, ...]:
        stack = Stack()
        stack.add("conv", channels=o.width, bias=False)
        stack.add("batch_norm")
        stack.add("relu")
        for stage in range(3):
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                stack.add(
                    "residual",
                    f"stage{stage + 1}_block{block + 1}",
                    channels=o.width * 2**stage,
                    stride=stride,
                    shortcut=o.shortcut,
                )
        stack.add("global_pool", "global_pool")
        return stack.head(data)

    return Architecture(
        name=f"{'plain' if plain else 'resnet'}{depth}",
        title=(_("plain network") if plain else _("residual network")) + f", {depth}",
        options=options,
        layers=layers,
        takes=(PICTURE,),
        example_data=DataForm(PICTURE, (3, 32, 32), 10),
        recommended={"lr": 0.01, "schedule": "one_cycle", "steps": 300, "weight_decay": 0.01},
        examples=(options(), *(options(width=4, shortcut=s) for s in ("projection", "none"))),
        order=order,
    )
