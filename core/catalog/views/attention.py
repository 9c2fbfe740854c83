"""Attention: how much each token reads of each other token, by layer and head, and what each head is worth."""

from dataclasses import dataclass

from core.catalog.entries import DataForm, View
from core.spec import registry
from core.spec.facts import AboutSample
from core.spec.options import DATA, NETWORK, Options, _, option
from core.spec.specs import LayerSpec


@dataclass(frozen=True)
class Attention(Options):
    """Options of the attention."""

    head: int = option(0, _("Which head of the layer; they are counted from 0."), low=0, high=63, place_in=NETWORK)
    query: int = option(
        -1,
        _("The token that reads, counted from 0; −1 is the class token, or the last real token where there is none."),
        label=_("query token"),
        low=-1,
        high=4095,
        auto=_("class token, else the last"),
        place_in=DATA,
    )
    temperature: float = option(
        1.0,
        _(
            "Scores are divided by it before the softmax: below 1 sharper, above 1 more even. The model itself uses "
            "1; only the picture changes."
        ),
        low=0.05,
        high=20,
    )
    causal: bool = option(
        False,
        _("What the weights would be if no token could read later ones. Only the picture changes."),
        label=_("as if causal"),
    )
    ablation: bool = option(
        False,
        _(
            "Silence one head after the other and measure how much the loss on test samples rises; this takes "
            "some seconds."
        ),
        label=_("measure every head"),
    )


def blocks(layers: tuple[LayerSpec, ...], _form: DataForm) -> tuple[str, ...]:
    """The layers with attention in them."""
    return tuple(spec.name for spec in layers if registry.LAYERS.get(spec.kind).attention)


def applies(layers: tuple[LayerSpec, ...], form: DataForm) -> bool:
    """Is there any?"""
    return bool(blocks(layers, form))


# For T tokens (a class token, where there is one, is the first; padding stands at the end). Besides, LAYER (block1, …)
# [head, query, key]: the model's own weights of every layer with attention; each row sums to 1 (of very long rows only
# the chosen layer's are kept; the words say so).
SHOWN = "shown"  # [head, query, key]: the chosen layer's with the options' temperature and mask, where these differ
ROLLOUT = "rollout"  # [query, key]: all layers together (Abnar & Zuidema 2020, section 3); each row sums to 1
REAL = "real"  # [key]: 1 where there is a token, 0 at padding
READ = "read"  # [query, key]: 1 where the chosen layer's query may read the key, with the options' mask
# Of the chosen head and query; feature = width / heads:
QUERY, KEYS, VALUES = "query", "keys", "values"  # [feature], [key, feature], [key, feature]
SCORES = "scores"  # [key]: query · key / √features
MASKED = "masked"  # [key]: what enters the softmax: scores / temperature, −inf where the key may not be read
WEIGHTS = "weights"  # [key]: softmax(masked)
RESULT = "result"  # [feature]: Σ weights · values, the head's output at this query
# [key]: logit (or number) that the model gives, minus what it gives without this token: a token read as padding, a
# patch or step at the training mean. NaN where there is nothing to take away. Left out where it would take too long
REMOVAL = "removal"
ABLATION = "ablation"  # [layer, head], on request: the rise of the test loss with the head silenced; NaN: no such head
ABLATION_LOSS = "ablation_loss"  # [1]: the loss with all heads


def rollout_of(layer: str) -> str:
    """The array [query, key]: the layers up to this one together."""
    return f"rollout/{layer}"


def entropy_of(layer: str) -> str:
    """The array [head], nats: of a row's weights, the mean over the queries that are no padding."""
    return f"entropy/{layer}"


def uniform_of(layer: str) -> str:
    """The array [1], nats: the same if each query read all it may evenly: the most that can be."""
    return f"uniform/{layer}"


@dataclass(frozen=True, kw_only=True)
class AttentionFacts(AboutSample):
    """What the tokens are, and which head and query are looked at."""

    tokens: list[str]  # their names
    classes: int  # how many class tokens stand first
    grid: tuple[int, int]  # rows and columns of the patches; (0, 0) where they are none
    layers: list[str]  # with attention
    head: int
    query: int
    heads: int  # of the chosen layer
    causal: bool  # is the model itself?
    what_if: bool  # do the options change the picture?
    why_masked: list[str]  # of each key: "", padding or later
    unit: str  # of the loss: nats, or "" for squared error
    loss: float = 0.0  # with all heads, where they were silenced one after the other, on …
    ablation_samples: int = 0  # … so many test samples


ENTRY = View(
    name="attention",
    title=_("Attention"),
    look="core.worker.look.attention:look",
    needs=_(
        "This model has no attention: none of its layers lets one token read another. The presets transformer, "
        "vit and gpt have it."
    ),
    options=Attention,
    facts=AttentionFacts,
    arrays=(
        ROLLOUT,
        REAL,
        READ,
        QUERY,
        KEYS,
        VALUES,
        SCORES,
        MASKED,
        WEIGHTS,
        RESULT,
        entropy_of("*"),
        uniform_of("*"),
        "*",
    ),
    optional_arrays=(SHOWN, REMOVAL, ABLATION, ABLATION_LOSS, rollout_of("*")),
    applies=applies,
    layers=blocks,
    examples=(Attention(), Attention(head=1, query=0, temperature=0.5, causal=True), Attention(ablation=True)),
    order=40,
)
