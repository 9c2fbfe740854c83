"""Feature permutation: one piece after the other takes the values that it has in other samples."""

from dataclasses import dataclass

from core.catalog.attribution._options import Cut, forwards, pieces
from core.catalog.entries import DRAWS, PERTURBATION, Method
from core.spec.options import _, option


@dataclass(frozen=True)
class FeaturePermutation(Cut):
    """Options of feature permutation. Other samples stand in the place of a baseline."""

    others: int = option(8, _("How many other test samples lend their values."), low=1, high=64, unit=_("samples"))


ENTRY = Method(
    name="feature_permutation",
    title=_("Feature Permutation"),
    attribute="core.worker.explain.methods.perturbation:feature_permutation",
    words=_("By how much the answer falls, on average, when this piece takes the values that it has in other samples."),
    family=PERTURBATION,
    options=FeaturePermutation,
    cost=lambda o, size: forwards(o.others * pieces(o, size) + 1),
    averages=DRAWS,
    source="Fisher 2019",
    examples=(FeaturePermutation(), FeaturePermutation(pieces="slic", others=3)),
    order=64,
)
