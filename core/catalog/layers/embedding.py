"""Token embedding: each token id becomes a learned vector; id 0 is padding and stays zero."""

from dataclasses import dataclass

from core.catalog.entries import SEQUENCE, TOKENS, Form, Layer
from core.options import Options, _, option


@dataclass(frozen=True)
class Embedding(Options):
    """Options of a token embedding."""

    vocabulary: int = option(16, _("Number of token ids, padding included."), low=2, high=262_144, unit=_("ids"))
    width: int = option(32, _("Size of each token's vector."), low=1, high=4096, unit=_("features"))


ENTRY = Layer(
    name="embedding",
    title=_("token embedding"),
    module="torch.nn:Embedding",
    takes=(TOKENS,),
    gives=SEQUENCE,
    options=Embedding,
    arguments=lambda o, _form: {"num_embeddings": o.vocabulary, "embedding_dim": o.width, "padding_idx": 0},
    examples=((Embedding(vocabulary=7, width=4), Form(TOKENS, (5,))),),
    order=30,
)
