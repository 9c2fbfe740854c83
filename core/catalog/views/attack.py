"""Attack: the smallest change of a sample that turns the network's answer."""

from dataclasses import dataclass

from core.catalog.entries import CLASSES, CONTROL, TOKENS, DataForm, View
from core.spec import registry
from core.spec.facts import AboutSample
from core.spec.options import DATA, Options, _, option
from core.spec.specs import LayerSpec

FGSM, PGD = "fgsm", "pgd"
LINF, L2 = "linf", "l2"
MARGIN, CROSS_ENTROPY = "margin", "cross_entropy"
OF_TOKENS = ("toward", "tokens", "compare", "draws", "maps", "seed")
COMPARED = tuple(method.name for method in registry.METHODS if method.family != CONTROL)


@dataclass(frozen=True)
class Attack(Options):
    """Options of the attack."""

    method: str = option(
        PGD,
        _(
            "fgsm: one step along the gradient (Goodfellow 2015); pgd: many small steps, each brought back into the "
            "allowed size (Madry 2018)."
        ),
        choices=(FGSM, PGD),
    )
    norm: str = option(
        LINF,
        _(
            "How large a change is. linf: the largest change of a single value; l2: the root of the sum of all squared "
            "changes."
        ),
        label=_("size measured by"),
        choices=(LINF, L2),
    )
    toward: str = option(
        "",
        _("The class that it shall answer, by its name or number; empty: any other class."),
        label=_("toward (class)"),
        place_in=DATA,
    )
    loss: str = option(
        MARGIN,
        _(
            "What the gradient is taken of. margin: by how much another logit is above that of the answer (Carlini & "
            "Wagner 2017), for the strongest other class and for the two that seem nearest; cross entropy: the loss of "
            "training, which says little where the network is very sure."
        ),
        choices=(MARGIN, CROSS_ENTROPY),
    )
    steps: int = option(
        20, _("Steps of each attack."), low=1, high=200, unit=_("steps"), applies=lambda o: o.method == PGD
    )
    step: float = option(
        0.1,
        _("How far one step goes, as a share of the allowed size."),
        label=_("step size"),
        low=0.001,
        high=1.0,
        unit=_("of the allowed size"),
        applies=lambda o: o.method == PGD,
    )
    restarts: int = option(
        0,
        _("How many more times each attack begins, from random changes of the allowed size."),
        low=0,
        high=16,
        applies=lambda o: o.method == PGD,
    )
    most: float = option(
        0.5,
        _("The largest size tried: the change of a typical value, as a share of the range that values can have."),
        label=_("largest size"),
        low=0.001,
        high=1.0,
        unit=_("of the range"),
    )
    tokens: int = option(
        5, _("At most so many tokens are replaced."), label=_("tokens replaced"), low=1, high=20, unit=_("tokens")
    )
    compare: str = option(
        "integrated_gradients",
        _("The attribution method whose maps before and after are compared."),
        label=_("attribution"),
        choices=COMPARED,
    )
    draws: int = option(
        20, _("Random changes of the same size, to compare with."), label=_("random changes"), low=2, high=200
    )
    maps: int = option(
        3,
        _("For so many of them the attribution is computed, too; it takes as long as that method."),
        label=_("random maps"),
        low=1,
        high=20,
    )
    seed: int = option(0, _("Of the random changes and the random beginnings."), low=0, high=1_000_000, unit=_("seed"))


def one_class(_layers: tuple[LayerSpec, ...], form: DataForm) -> bool:
    """Only an answer that is one class can be turned."""
    return form.task == CLASSES


def offers(name: str, _layer: LayerSpec | None, _layers: tuple[LayerSpec, ...], form: DataForm) -> bool:
    """Tokens are replaced, everything else is changed a little."""
    return name in OF_TOKENS if form.kind == TOKENS else name != "tokens"


# S: the sample's shape
ORIGINAL, ATTACKED = "original", "attacked"  # S as people see it (pictures in whole grey levels; tokens as ids)
CHANGE = "change"  # S, not of tokens: the difference
X = "x"  # S: the attacked sample as the network reads it
PROBABILITIES = "probabilities"  # [2, class]: before and after
SIZES = "sizes"  # [n]: every size that was tried, from 0
CURVE = "curve"  # [n]: the probability of the original class there
CURVE_OTHER = "curve/other"  # [n]: of the wanted class, or of the likeliest other one
RANDOM_SIZES = "random/sizes"  # [m]
RANDOM = "random"  # [m, draw]: the probability of the original class after random changes of these sizes
MAP_BEFORE, MAP_AFTER = "map/before", "map/after"  # S: attributions for the original class


@dataclass(frozen=True, kw_only=True)
class AttackFacts(AboutSample):
    """What was found, and what random changes of the same size do."""

    turned: bool  # was a change found?
    size: float  # what was allowed
    measured: float  # what the change comes to
    below: float  # the largest smaller size at which the attack failed
    fails_above: list[float]  # larger sizes at which it failed
    rms: float  # the root mean square of the change
    unit: str  # what sizes are counted in
    norm: str  # LINF or L2
    classes: list[str]
    index: int  # of the original class
    wanted: int  # of the wanted class; −1: any
    other: int  # of the new class
    random_turned: int  # how many random changes of this size turn the answer too, of …
    draws: int  # … so many
    method_title: str  # of the attribution
    rank: float | None  # the rank correlation of its two maps; None where there is none
    rank_random: list[float]  # the same after random changes of this size
    changed: list[int]  # places of replaced tokens
    names: list[tuple[str, str]]  # the old and the new ones


ENTRY = View(
    name="attack",
    title=_("Attack"),
    look="core.worker.explain.views.attack:look",
    needs=_(
        "An attack turns an answer that is one class. This run answers with a number, or at every step. Choose a "
        "run that says one class a sample, such as cnn on digits or transformer on order."
    ),
    options=Attack,
    facts=AttackFacts,
    arrays=(ORIGINAL, ATTACKED, X, PROBABILITIES, SIZES, CURVE, CURVE_OTHER, RANDOM_SIZES, RANDOM),
    optional_arrays=(CHANGE, MAP_BEFORE, MAP_AFTER),
    applies=one_class,
    offers=offers,
    order=70,
    section="explain",
    examples=(
        Attack(steps=4, draws=4, maps=1),
        Attack(method=FGSM, norm=L2, loss=CROSS_ENTROPY, draws=4, maps=1, compare="saliency"),
    ),
)
