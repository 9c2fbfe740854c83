"""Exact Shapley values: a fair share of the answer, from all coalitions of a few pieces."""

from dataclasses import dataclass

from core.catalog.attribution._options import Baselined, forwards, squares_at_most
from core.catalog.entries import PERTURBATION, PICTURE, Method, Size
from core.spec.options import _, option


@dataclass(frozen=True)
class ShapleyValues(Baselined):
    """Options of exact Shapley values."""

    most: int = option(
        9,
        _(
            "At most so many pieces: n of them have 2ⁿ coalitions. Where there are more, neighbours are taken "
            "together, and the squares of a picture are made larger."
        ),
        label=_("pieces at most"),
        low=2,
        high=14,
        unit=_("pieces"),
    )
    pieces: str = option(
        "grid",
        _("What is taken away together in a picture. grid: squares; slic: regions of like colour."),
        choices=("grid", "slic"),
    )


def _cost(options: ShapleyValues, size: Size) -> float:
    shape = size.form.shape
    if size.form.kind != PICTURE:
        n = min(options.most, shape[0])
    else:
        n = squares_at_most(shape[1], shape[2], options.most) if options.pieces == "grid" else options.most
    return forwards(2**n)


ENTRY = Method(
    name="shapley_values",
    title=_("Exact Shapley values"),
    attribute="core.worker.explain.methods.shapley:shapley_values",
    words=_(
        "This piece's fair share of the answer, exactly: from all coalitions of a few large pieces. The map sums to "
        "the difference of the two answers."
    ),
    family=PERTURBATION,
    options=ShapleyValues,
    cost=_cost,
    tolerance=1e-3,
    source="Shapley 1953",
    order=68,
    examples=(ShapleyValues(), ShapleyValues(most=4, baseline="mean"), ShapleyValues(most=5, pieces="slic")),
)
