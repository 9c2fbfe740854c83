"""Where are the classes? The test samples as points, as close together as one layer finds them alike."""

from dataclasses import dataclass

from core.catalog.entries import EACH_STEP, PICTURE, SEQUENCE, TOKENS, DataForm, View
from core.spec.facts import Facts
from core.spec.options import Options, _, option
from core.spec.specs import LayerSpec


@dataclass(frozen=True)
class Embeddings(Options):
    """Options of the embeddings."""

    method: str = option(
        "PCA",
        _(
            "How many numbers become two or three. PCA: the directions in which the samples differ most, fast and "
            "without any distortion but what it leaves out. t-SNE: keeps neighbours together, takes seconds, and the "
            "distances between its groups mean little. UMAP: as t-SNE, where the library umap is installed."
        ),
        choices=("PCA", "t-SNE", "UMAP"),
    )
    dimensions: int = option(2, _("Axes of the picture."), low=2, high=3, unit=_("axes"))
    perplexity: float = option(
        30.0,
        _("About how many neighbours each point should keep close."),
        low=2.0,
        high=100.0,
        unit=_("neighbours"),
        applies=lambda o: o.method == "t-SNE",
    )
    pictures: str = option(
        "every value",
        _("What is compared where a layer gives feature maps: every value, or the mean of each map."),
        label=_("feature maps"),
        choices=("every value", "mean of each map"),
    )
    steps: str = option(
        "mean",
        _(
            "What is compared where a layer gives a vector at every step: the mean over the real steps, the last real "
            "step, or the first (a class token). Where an answer is asked at every step, each step is a point."
        ),
        choices=("mean", "last", "first"),
    )
    every_layer: bool = option(
        False,
        _("Also say how well the classes separate at each of the other layers. Takes a few seconds."),
        label=_("compare the layers"),
    )


SAME = ("flatten", "dropout")  # give, in another form, what they get
SHRINKS = ("rows", "patches", "class_token", "read_out", "global_pool")  # the steps of the row are gone


def layers(specs: tuple[LayerSpec, ...], form: DataForm) -> tuple[str, ...]:
    """The hidden layers, the deepest first, then the answer's; where every step is asked, those that keep the steps."""
    kept = [s.name for s in specs if s.kind not in SAME and (form.task != EACH_STEP or s.kind not in SHRINKS)]
    return (*reversed(kept[:-1]), *kept[-1:])


def offers(name: str, _layer: LayerSpec | None, specs: tuple[LayerSpec, ...], form: DataForm) -> bool:
    """Feature maps are compared where there are some, steps where there are some."""
    rows = form.kind in (SEQUENCE, TOKENS) or any(spec.kind in ("rows", "patches") for spec in specs)
    return {"pictures": form.kind == PICTURE and not rows, "steps": rows}.get(name, True)


# n points, k = 2 or 3 axes; a point is a test sample, or where every step is asked, one asked step of a row:
POINTS = "points"  # [n, k]: places, in the layer's own units (t-SNE, UMAP: without a unit)
SAMPLES = "samples"  # [n]: index in the test set
STEPS = "steps"  # [n], where every step is asked: place in the row
TARGET, PREDICTED = "target", "predicted"  # [n]: class, or number
CORRECT, CONFIDENCE = "correct", "confidence"  # [n], for classes; confidence: probability of the answer
ERROR = "error"  # [n], for numbers: |predicted − target|
MARKED = "marked"  # [m, k]: places of the current sample (m = 0: not among the points, and cannot be placed)
# PCA only:
COMPONENTS = "components"  # [n, k]: the scores on the principal components, largest first
EXPLAINED = "explained"  # [k]: their shares of the variance
TURN = "turn"  # [k, k]: points = components @ turn, a rotation or reflection
SEPARATION = "separation"  # [layer of facts.layers], with the option every_layer: what facts.separation is of the shown
# For data in the plane:
BOUNDARY = "boundary"  # [row, column]: the class that the network names at these places, and …
BOUNDARY_CONFIDENCE = "boundary/confidence"  # … its probability
BOUNDARY_X, BOUNDARY_Y = "boundary/x", "boundary/y"  # [column], [row]: the places
BOUNDARY_POINTS = "boundary/points"  # [n, 2]: where the samples lie


@dataclass(frozen=True, kw_only=True)
class EmbeddingsFacts(Facts):
    """How well the layer separates what is asked for."""

    task: str  # of the data: CLASSES, NUMBER or EACH_STEP
    kind: str  # of the data's form
    classes: tuple[str, ...]
    separation: float  # by the nearest neighbours: share of points named right, or of the variance explained
    chance: float  # of always naming the most frequent class; 0 for a number
    features: int  # values of the layer
    input: float | None  # the separation of the bare input; None for tokens, and where every step is asked
    method: str  # PCA, t-SNE or UMAP
    layers: tuple[str, ...] = ()  # with the option every_layer: all that were asked, from first to last


ENTRY = View(
    name="embeddings",
    title=_("Where are the classes?"),
    look="core.worker.look.embeddings:look",
    needs="",
    options=Embeddings,
    facts=EmbeddingsFacts,
    arrays=(POINTS, SAMPLES, TARGET, PREDICTED, MARKED),
    optional_arrays=(
        *(STEPS, CORRECT, CONFIDENCE, ERROR, COMPONENTS, EXPLAINED, TURN, SEPARATION),
        *(BOUNDARY, BOUNDARY_CONFIDENCE, BOUNDARY_X, BOUNDARY_Y, BOUNDARY_POINTS),
    ),
    layers=layers,
    offers=offers,
    of_sample=False,
    marks_sample=True,
    order=80,
    examples=(
        Embeddings(),
        Embeddings(dimensions=3, pictures="mean of each map", steps="last"),
        Embeddings(method="t-SNE", perplexity=10.0),
        Embeddings(every_layer=True, steps="first"),
    ),
)
