"""Feature ablation: one piece after the other is replaced by the baseline."""

from core.catalog.attribution._options import Pieced, forwards, pieces
from core.catalog.entries import PERTURBATION, Method
from core.spec.options import _

ENTRY = Method(
    name="feature_ablation",
    title=_("Feature Ablation"),
    attribute="core.worker.explain.methods.perturbation:feature_ablation",
    words=_("By how much the answer falls when this piece alone is taken away, and the baseline put in its place."),
    family=PERTURBATION,
    options=Pieced,
    cost=lambda o, size: forwards(pieces(o, size) + 1),
    source="Captum, FeatureAblation",
    examples=(Pieced(), Pieced(pieces="slic", baseline="blur"), Pieced(pieces="values", baseline="mean")),
    order=62,
)
