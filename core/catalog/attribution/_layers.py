"""What the methods that explain by a layer, or by one unit of it, share: which layers they offer, and options."""

from dataclasses import dataclass
from functools import lru_cache

from core.catalog.attribution._options import Summed
from core.catalog.entries import PICTURE, SEQUENCE, TOKENS, DataForm, Layer
from core.spec import registry
from core.spec.options import NETWORK, Options, _, option
from core.spec.specs import LayerSpec

MAPS, STEPS, ROWS, PATCHES = "maps", "steps", "rows", "patches"
RESHAPING = ("flatten", "rows", "dropout")  # their outputs are those of the layer before
MIXING = ("transformer_block", "rnn", "lstm", "gru")  # one step learns of the others


@dataclass(frozen=True)
class Place:
    """Where in the input a layer's values lie."""

    how: str  # maps of a picture, steps of a sequence, rows of a picture, patches of a picture
    before: int = 0  # class tokens that stand before the first step: they have no place in the input


@lru_cache(maxsize=64)
def places(specs: tuple[LayerSpec, ...], form: DataForm) -> dict[str, Place]:  # shared: not to be changed
    """The layers whose values have a place in the input, in their order; the answer itself is none of them."""
    how, before = {PICTURE: MAPS, SEQUENCE: STEPS, TOKENS: STEPS}.get(form.kind, ""), 0
    found: dict[str, Place] = {}
    for spec in specs[:-1]:
        how = _after(spec, how)
        before += spec.kind == "class_token"
        if not how:
            break
        if spec.kind not in RESHAPING:
            found[spec.name] = Place(how, before)
    return found


def _after(spec: LayerSpec, how: str) -> str:
    """Where a layer's values lie, given where those lie that it gets; "" where they have no place."""
    entry: Layer = registry.LAYERS.get(spec.kind)
    if entry.gives == "same":
        return how
    if entry.gives == SEQUENCE and how == MAPS:
        return {"rows": ROWS, "patches": PATCHES}.get(spec.kind, "")
    return how if entry.gives == SEQUENCE and how else ""


def with_places(specs: tuple[LayerSpec, ...], form: DataForm) -> tuple[str, ...]:
    """The layers that can be drawn onto the input, the one nearest to the answer first.

    The last layer in which the steps of a sequence learn of each other, and what follows, stand behind all others: a
    step has gathered what others know by then, or one step everything, so that its place says little.
    """
    names = list(reversed(places(specs, form)))
    kinds = {spec.name: spec.kind for spec in specs}
    late = next((i + 1 for i, name in enumerate(names) if kinds[name] in MIXING), 0)
    return (*names[late:], *names[:late])


def with_units(specs: tuple[LayerSpec, ...], _form: DataForm) -> tuple[str, ...]:
    """Every layer that computes, the last hidden one first; the answer itself stands last."""
    names = [spec.name for spec in specs if spec.kind not in RESHAPING]
    return (*reversed(names[:-1]), *names[-1:])


@dataclass(frozen=True)
class Unit(Options):
    """One unit of a layer."""

    unit: int = option(
        0,
        _("Which map of the layer, or which number of a vector or of a step's vector; of the last layer: which class."),
        low=0,
        high=1_000_000,
        unit=_("unit"),
        place_in=NETWORK,
    )
    place: tuple[int, ...] = option(
        (-1,),
        _(
            "Where in the map (row, column), or at which step; -1: where the unit answers most strongly to this "
            "sample. A vector has no places."
        ),
        low=-1,
        high=100_000,
        place_in=NETWORK,
    )


@dataclass(frozen=True)
class UnitOnWay(Unit, Summed):
    """One unit, and a way from the baseline to the input."""
