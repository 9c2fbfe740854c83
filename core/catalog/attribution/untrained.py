"""A control: a method's map of the same network with weights that have learned nothing."""

import pkgutil
from dataclasses import dataclass
from typing import Any

from core.catalog import attribution
from core.catalog.entries import CONTROL, Method, Size
from core.spec import registry
from core.spec.options import Options, _, option

CONTROLS = ("random", "input_magnitude", "edge_filter", "untrained")  # they do not ask the trained network


def methods() -> tuple[str, ...]:
    """The names of all other methods; a file of the catalog is called like its method."""
    names = (module.name for module in pkgutil.iter_modules(attribution.__path__))
    return tuple(name for name in names if not name.startswith("_") and name not in CONTROLS)


@dataclass(frozen=True)
class Untrained(Options):
    """Options of the untrained control."""

    method: str = option(
        "integrated_gradients", _("The method that explains the untrained network."), choices=methods()
    )


def cost(options: Untrained, size: Size) -> float:
    """What the method itself takes."""
    method: Method = registry.METHODS.get(options.method)
    return method.cost(method.options(), size)


@dataclass(frozen=True)
class Like(Method):
    """A method that takes what another one takes."""

    def most(self, options: Any, size: Size) -> float:
        """As the other."""
        method: Method = registry.METHODS.get(options.method)
        return method.most(method.options(), size)


ENTRY = Like(
    name="untrained",
    title=_("Untrained weights"),
    attribute="core.worker.explain.methods.controls:untrained",
    words=_(
        "A control: the same method on the same layers with freshly drawn weights. What is in this map, too, was not "
        "learned."
    ),
    family=CONTROL,
    options=Untrained,
    cost=cost,
    source="Adebayo 2018, section 3",
    examples=(Untrained(), Untrained(method="saliency")),
    order=930,
)
