"""What the recurrent layers share."""

from dataclasses import dataclass, fields
from typing import Any

from core.catalog.entries import SEQUENCE, Form, Layer
from core.spec.options import Options, _, option


@dataclass(frozen=True)
class Recurrent(Options):
    """Options of a recurrent layer."""

    hidden: int = option(64, _("Size of the hidden state."), low=1, high=4096, unit=_("units"))
    layers: int = option(1, _("Recurrent layers on top of each other."), low=1, high=16, unit=_("layers"))
    bidirectional: bool = option(False, _("Read the row from both ends; each step then gives both states."))


_SHARED = {"hidden": "hidden_size", "layers": "num_layers"}


def entry(name: str, title: str, module: str, options: type[Recurrent], order: int) -> Layer:
    """A recurrent layer: [step, feature] → the hidden state after every step, [step, hidden · directions]."""

    def arguments(o: Any, form: Form) -> dict[str, Any]:
        known = {_SHARED.get(f.name, f.name): getattr(o, f.name) for f in fields(o)}
        return {"input_size": form.shape[1], **known}

    return Layer(
        name=name,
        title=title,
        module=module,
        takes=(SEQUENCE,),
        gives=SEQUENCE,
        options=options,
        arguments=arguments,
        masked=True,
        examples=(
            (options(hidden=8), Form(SEQUENCE, (6, 5))),
            (options(hidden=4, layers=2, bidirectional=True), Form(SEQUENCE, (3, 7))),
        ),
        order=order,
    )
