"""Occlusion: a window of the baseline is moved over the input; where it hides what matters, the answer falls."""

from dataclasses import dataclass

from core.catalog.attribution._options import Baselined, forwards
from core.catalog.entries import PERTURBATION, PICTURE, Method, Size
from core.spec.options import _, option


@dataclass(frozen=True)
class Occlusion(Baselined):
    """Options of occlusion."""

    window: int = option(
        5, _("Side of the square window that hides a part of a picture."), low=1, high=64, unit=_("pixels")
    )
    stride: int = option(
        2, _("How far the window moves from one place to the next; at most its side."), low=1, high=64, unit=_("pixels")
    )
    steps: int = option(
        1,
        _("Of a sequence or tokens: how many neighbouring steps are hidden at once. Of a vector: features."),
        label=_("window of steps"),
        low=1,
        high=64,
        unit=_("steps"),
    )


def _cost(options: Occlusion, size: Size) -> float:
    picture = size.form.kind == PICTURE
    side, stride = (options.window, options.stride) if picture else (options.steps, 1)
    places = 1
    for length in size.form.shape[1:] if picture else size.form.shape[:1]:
        places *= -(-max(0, length - side) // stride) + 1
    return forwards(places + 1)


ENTRY = Method(
    name="occlusion",
    title=_("Occlusion"),
    attribute="core.worker.explain.methods.perturbation:occlusion",
    words=_("By how much the answer falls when a window hides this place. Where several windows cover it, their mean."),
    family=PERTURBATION,
    options=Occlusion,
    cost=_cost,
    panel=True,
    source="Zeiler and Fergus 2014, section 4.2",
    examples=(Occlusion(), Occlusion(baseline="mean", window=7, stride=4, steps=3)),
    order=60,
)
