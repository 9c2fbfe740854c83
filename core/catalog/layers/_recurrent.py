"""What the recurrent layers share."""

from dataclasses import dataclass
from typing import Any

from core.catalog.entries import SEQUENCE, Form, Layer
from core.options import Options, _, option


@dataclass(frozen=True)
class Recurrent(Options):
    """Options of a recurrent layer."""

    hidden: int = option(64, _("Size of the hidden state."), low=1, high=4096, unit=_("units"))
    layers: int = option(1, _("Recurrent layers on top of each other."), low=1, high=16, unit=_("layers"))


def entry(name: str, title: str, module: str, options: type[Recurrent], order: int) -> Layer:
    """A recurrent layer: [step, feature] → the hidden state after every step, [step, hidden]."""

    def arguments(o: Any, form: Form) -> dict[str, Any]:
        extra = {"nonlinearity": o.nonlinearity} if hasattr(o, "nonlinearity") else {}
        return {"input_size": form.shape[1], "hidden_size": o.hidden, "num_layers": o.layers, **extra}

    return Layer(
        name=name,
        title=title,
        module=module,
        takes=(SEQUENCE,),
        gives=SEQUENCE,
        options=options,
        arguments=arguments,
        examples=(
            (options(hidden=8), Form(SEQUENCE, (6, 5))),
            (options(hidden=4, layers=2), Form(SEQUENCE, (3, 7))),
        ),
        order=order,
    )
