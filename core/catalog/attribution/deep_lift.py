"""DeepLift: the difference of the answers is handed back through the network, each unit's share by its own change."""

from core.catalog.attribution import _fit
from core.catalog.attribution._options import Baselined
from core.catalog.entries import RULE, Method
from core.spec.options import _

ENTRY = Method(
    name="deep_lift",
    title=_("DeepLift"),
    attribute="core.worker.explain.methods.rules:deep_lift",
    words=_(
        "What each place adds to the answer, compared with the baseline. Every unit passes on how much it has changed, "
        "so the map sums to the difference of the two answers, after a single pass."
    ),
    family=RULE,
    options=Baselined,
    fit=_fit.deep_lift,
    cost=lambda _o, _size: 2.0,
    tolerance=1e-4,
    panel=True,
    source="Shrikumar 2017, rescale rule",
    examples=(Baselined(), Baselined(baseline="mean")),
    order=40,
)
