"""Concepts: does the network use a stroke, a loop or a corner patch when it says a class?"""

from dataclasses import dataclass

from core.catalog.entries import CLASSES, PICTURE, DataForm, View
from core.spec.facts import AboutSample
from core.spec.options import DATA, Options, _, option
from core.spec.specs import LayerSpec


@dataclass(frozen=True)
class Concepts(Options):
    """Options of the concepts."""

    concepts: str = option(
        "strokes",
        _(
            "What is looked for. strokes: lines in four directions, a loop, a dot. shapes: circle, square, triangle, "
            "cross, star, ring. corners: a bright patch in one corner. classes: training pictures of each class. If "
            "you have drawn a picture, it is one more concept."
        ),
        choices=("strokes", "shapes", "corners", "classes"),
    )
    ground: str = option(
        "training pictures",
        _(
            "What a concept is drawn on. On training pictures only the concept makes the difference; on nothing, it "
            "also differs from training pictures by all that is missing there."
        ),
        label=_("drawn on"),
        choices=("training pictures", "nothing"),
        applies=lambda o: o.concepts != "classes",
    )
    against: str = option(
        "the other concepts",
        _(
            "What a concept is told apart from: the other concepts of the set, so that what they have in "
            "common does not count, or training pictures at random (as in the paper)."
        ),
        label=_("compared with"),
        choices=("the other concepts", "random pictures"),
    )
    target: str = option(
        "",
        _("The class that it may matter for; empty: the one that the network says."),
        label=_("matters for (class)"),
        place_in=DATA,
    )
    examples: int = option(
        100, _("Pictures of a concept, and as many at random, in each repeat."), low=12, high=500, unit=_("pictures")
    )
    repeats: int = option(
        12, _("How often everything is drawn anew; the spread shows what is luck."), low=3, high=50, unit=_("repeats")
    )
    seed: int = option(0, _("Of all that is drawn."), low=0, high=1_000_000, unit=_("seed"))


SAME = ("flatten", "dropout")  # give, in another form, what they get
LINEAR = (*SAME, "linear", "global_pool", "avg_pool", "read_out", "batch_norm")  # slopes do not depend on the input


def reads_pictures(layers: tuple[LayerSpec, ...], form: DataForm) -> bool:
    """Concepts are drawn, and matter for a class."""
    return form.kind == PICTURE and form.task == CLASSES and bool(between(layers, form))


def between(layers: tuple[LayerSpec, ...], _form: DataForm) -> tuple[str, ...]:
    """The hidden layers, the deepest first; those behind which the network is linear come last."""
    kept = [(i, layer) for i, layer in enumerate(layers[:-1]) if layer.kind not in SAME]
    plain = {layer.name for i, layer in kept if all(after.kind in LINEAR for after in layers[i + 1 :])}
    names = [layer.name for _i, layer in reversed(kept)]
    return tuple(sorted(names, key=lambda name: name in plain))


# For the C concepts of facts.concepts and R repeats:
SCORES = "scores"  # [C, R]
OF_RANDOM = "random"  # [2 · 2 · R]: of random sets; each repeat has two pairs, and each pair counts both ways round
ACCURACY, RANDOM_ACCURACY = "accuracy", "random/accuracy"  # share told apart of the third kept from the classifier
P, P_CORRECTED = "p", "p_corrected"  # [C]: as tested; times the number of concepts (Bonferroni), at most 1
SAMPLE = "sample"  # [C]: share of the CAVs along which the logit of the looked-at sample rises
DERIVATIVES = "derivatives"  # [C, sample]: of the class's samples, along the CAV (of length 1), mean of the repeats
PICTURES, RANDOM_PICTURES = (
    "pictures",
    "random/pictures",
)  # [C, n, height, width(, 3)] uint8, [n, …]: some of them


@dataclass(frozen=True, kw_only=True)
class ConceptsFacts(AboutSample):
    """Which concepts, for which class, and what the test says."""

    concepts: list[str]
    against: str  # the name of the random sets
    label: str  # of the class
    samples: int  # of the class
    verdicts: list[str]  # for, against, none, unseen
    constant: bool  # are the slopes the same for all samples?
    least: float  # the smallest p that so few repeats can give


ENTRY = View(
    name="concepts",
    title=_("Concepts"),
    look="core.worker.explain.views.concepts:look",
    needs=_(
        "A concept is a set of pictures that is looked for at a layer between the picture and the answer. This "
        "run reads no pictures, answers no single class, or has no such layer. Choose a run on pictures, such "
        "as cnn on digits."
    ),
    options=Concepts,
    facts=ConceptsFacts,
    arrays=(
        *(SCORES, OF_RANDOM, ACCURACY, RANDOM_ACCURACY, P, P_CORRECTED, SAMPLE, DERIVATIVES),
        *(PICTURES, RANDOM_PICTURES),
    ),
    applies=reads_pictures,
    layers=between,
    examples=(
        Concepts(examples=12, repeats=3),
        Concepts("corners", "nothing", "random pictures", "3", 12, 4),
        Concepts("classes", examples=12, repeats=3),
    ),
    order=50,
    section="explain",
)
