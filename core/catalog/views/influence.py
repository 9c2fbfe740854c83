"""Influence: which training samples made the network answer a test sample as it does?"""

from dataclasses import dataclass

from core.catalog.entries import DataForm, View
from core.spec.facts import AboutSample
from core.spec.options import Options, _, option
from core.spec.specs import LayerSpec


@dataclass(frozen=True)
class Influence(Options):
    """Options of the influence."""

    measure: str = option(
        "last layer",
        _(
            "last layer: how far learning each training sample has lowered the loss of this one, by the weights of the "
            "last layer alone; exact and quick. all weights: the same by every weight. similarity: how alike the "
            "chosen layer finds the two. suspects: training samples that pull on their own answer most, whatever the "
            "test sample; wrong labels are among them."
        ),
        choices=("last layer", "all weights", "similarity", "suspects"),
    )
    count: int = option(
        8, _("Training samples shown of each kind."), label=_("samples shown"), low=1, high=48, unit=_("samples")
    )
    moments: int = option(
        8,
        _("At how many moments of the training gradients are compared; more is closer to the truth, and slower."),
        low=1,
        high=50,
        unit=_("moments"),
        applies=lambda o: o.measure != "similarity",
    )
    samples: int = option(
        3000,
        _("At most so many training samples are asked, drawn at random."),
        label=_("training samples asked"),
        low=10,
        high=100_000,
        unit=_("samples"),
    )


SAME = ("flatten", "dropout")  # give, in another form, what they get


def ends_linear(layers: tuple[LayerSpec, ...], _form: DataForm) -> bool:
    """The gradient of a last linear layer is a product of two vectors."""
    return len(layers) > 1 and layers[-1].kind == "linear"


def hidden(layers: tuple[LayerSpec, ...], _form: DataForm) -> tuple[str, ...]:
    """The deepest first."""
    names = tuple(layer.name for layer in reversed(layers[:-1]) if layer.kind not in SAME)
    return names or tuple(layer.name for layer in layers[:-1])


# For the N training samples that were asked:
INDEX = "index"  # [N] int64: which of the training set
SCORES = "scores"  # [N]
SAME_LABEL = "same"  # [N] bool: has the test sample's label
# Not for similarity, the sum's parts by M kept moments:
MOMENTS, WEIGHTS = "moments", "weights"  # [M]: their steps, and what each counts
BY_MOMENT = "by_moment"  # [M, N]


def places_of(group: str) -> str:
    """The array [m] of a group: places among the N, the strongest first."""
    return f"{group}/at"


def as_seen(group: str) -> str:
    """The array [m, …] of a group: its samples as people see them."""
    return f"{group}/shown"


@dataclass(frozen=True, kw_only=True)
class InfluenceFacts(AboutSample):
    """Which groups there are, and what their samples are."""

    groups: list[str]  # helpful, harmful, alike, others, suspects
    measure: str  # the option
    asked: int  # training samples, of …
    trained: int  # … so many
    task: str  # of the data: CLASSES, NUMBER or EACH_STEP
    label: str  # of the test sample
    labels: dict[str, list[str]]  # group → as trained
    truths: dict[str, list[str]]  # group → as they should be
    loss: float  # of the test sample
    wrong: int  # replaced labels among those asked
    found: int  # of them among the first so many suspects; −1 where none was replaced
    auroc: float  # of that order; −1 where none was replaced


ENTRY = View(
    name="influence",
    title=_("Influence"),
    look="core.worker.explain.views.influence:look",
    needs=_(
        "Influence is read off the network's last layer, which must be linear with at least one layer before it; "
        "that of this run is not. Every preset ends so, for instance mlp, cnn or lstm."
    ),
    options=Influence,
    facts=InfluenceFacts,
    arrays=(INDEX, SCORES, SAME_LABEL, places_of("*"), as_seen("*")),
    optional_arrays=(MOMENTS, WEIGHTS, BY_MOMENT),
    applies=ends_linear,
    layers=hidden,
    examples=(
        Influence(samples=200),
        Influence("all weights", 3, 2, 60),
        Influence("similarity", samples=200),
        Influence("suspects", samples=200),
    ),
    order=60,
    section="explain",
)
