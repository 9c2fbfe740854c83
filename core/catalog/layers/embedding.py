"""Token embedding: each token id becomes a learned vector; id 0 is padding and stays zero."""

from dataclasses import dataclass

from core.catalog.entries import SEQUENCE, TOKENS, DataForm, Fault, Form, Layer
from core.spec.options import Options, _, option
from core.spec.sentences import Sentence


@dataclass(frozen=True)
class Embedding(Options):
    """Options of a token embedding."""

    vocabulary: int = option(16, _("Number of token ids, padding included."), low=2, high=262_144, unit=_("ids"))
    width: int = option(32, _("Size of each token's vector."), low=1, high=4096, unit=_("features"))


def fault(o: Embedding, form: Form) -> Fault | None:
    have = form.vocabulary if isinstance(form, DataForm) else 0
    if o.vocabulary >= have:
        return None
    return Fault(
        Sentence("it knows {vocabulary} token ids, but the data has {have}", vocabulary=o.vocabulary, have=have),
        Sentence("set vocabulary to {have}", have=have),
        options={"vocabulary": have},
    )


ENTRY = Layer(
    name="embedding",
    title=_("token embedding"),
    module="torch.nn:Embedding",
    takes=(TOKENS,),
    gives=SEQUENCE,
    options=Embedding,
    arguments=lambda o, _form: {"num_embeddings": o.vocabulary, "embedding_dim": o.width, "padding_idx": 0},
    fault=fault,
    examples=((Embedding(vocabulary=7, width=4), Form(TOKENS, (5,))),),
    order=30,
)
