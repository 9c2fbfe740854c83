"""The page of the concepts: what each looks like, how much a class depends on it, and what chance would give."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from core.catalog.views.concepts import (
    ACCURACY,
    OF_RANDOM,
    P_CORRECTED,
    PICTURES,
    RANDOM_ACCURACY,
    RANDOM_PICTURES,
    SAMPLE,
    SCORES,
    ConceptsFacts,
    P,
)
from core.figures import concepts
from core.figures.concepts import Row
from core.figures.literal import Markup, escaped
from core.spec.questions import Seen
from pages.kit import figure, look
from pages.kit.samples import png
from pages.kit.words import _, plain


def page(seen: Seen[ConceptsFacts]) -> None:
    """The stage of the page."""
    draw(seen)
    look.below(seen, table=table(seen))


def draw(seen: Seen[ConceptsFacts]) -> None:
    """A row for each concept: pictures, scores, verdict."""
    title = _("Which of these matter for “{label}” at {layer}?")
    st.markdown(f"**{plain(title.format(label=seen.facts.label, layer=seen.layer))}**")
    rows = _rows(seen)
    said = _("share of the samples of “{label}” whose logit rises towards the concept (score)")
    figure.show(
        concepts.scores(rows, x_title=said.format(label=seen.facts.label)),
        key=f"concepts.scores{len(rows)}",
        alt="; ".join(row.hover for row in rows),
    )
    st.caption(
        _(
            "Small dots are repeats, the large mark is their mean; the band is what chance gives. Draw something "
            "under “Draw” and come back: your drawing is then one more concept."
        )
    )


def table(seen: Seen[ConceptsFacts]) -> list[dict[str, Any]]:
    """One row a concept, the last for chance."""
    a, facts = seen.arrays, seen.facts
    rows = [
        {
            _("concept"): concept(name),
            _("verdict"): verdict(facts.verdicts[i]),
            **_score(a[SCORES][i]),
            _("p (corrected)"): f"{a[P_CORRECTED][i]:.2g}",
            _("p"): f"{a[P][i]:.2g}",
            _("told apart"): f"{a[ACCURACY][i].mean():.1%}",
            _("CAVs that raise this sample"): f"{a[SAMPLE][i]:.0%}",
        }
        for i, name in enumerate(facts.concepts)
    ]
    chance = {
        _("concept"): concept(facts.against),
        _("verdict"): _("chance"),
        **_score(a[OF_RANDOM]),
        _("told apart"): f"{a[RANDOM_ACCURACY].mean():.1%}",
    }
    return [*rows, chance]


def _score(scores: np.ndarray) -> dict[str, str]:
    return {_("score (mean)"): f"{scores.mean():.3f}", _("score (spread)"): f"{scores.std():.3f}"}


def concept(name: str) -> str:
    """A concept's name as people read it."""
    first, _space, rest = name.partition(" ")
    if first == "class" and rest:
        return _("class {name}").format(name=rest)
    return {
        "horizontal stroke": _("horizontal stroke"),
        "vertical stroke": _("vertical stroke"),
        "rising stroke": _("rising stroke"),
        "falling stroke": _("falling stroke"),
        "loop": _("loop"),
        "dot": _("dot"),
        "circle": _("circle"),
        "square": _("square"),
        "triangle": _("triangle"),
        "cross": _("cross"),
        "star": _("star"),
        "ring": _("ring"),
        "patch top left": _("patch top left"),
        "patch top right": _("patch top right"),
        "patch bottom left": _("patch bottom left"),
        "patch bottom right": _("patch bottom right"),
        "your drawing": _("your drawing"),
        "random pictures": _("random pictures"),
        "all concepts mixed": _("all concepts mixed"),
    }.get(name, name)


def verdict(kind: str) -> str:
    """What the test says."""
    return {
        "for": _("speaks for it"),
        "against": _("speaks against it"),
        "none": _("not significant"),
        "unseen": _("cannot be told apart here"),
    }[kind]


def _rows(seen: Seen[ConceptsFacts]) -> list[Row]:
    a, facts = seen.arrays, seen.facts
    made = []
    for i, name in enumerate(facts.concepts):
        p = _("p = {p}").format(p=f"{a[P_CORRECTED][i]:.2g}")
        apart = _("told apart {share}").format(share=f"{a[ACCURACY][i].mean():.0%}")
        said = verdict(facts.verdicts[i])
        hover = f"{concept(name)}: {a[SCORES][i].mean():.2f} ± {a[SCORES][i].std():.2f}, {said}, {p}, {apart}"
        made.append(
            Row(
                concept(name),
                [png(one) for one in a[PICTURES][i]],
                a[SCORES][i],
                facts.verdicts[i],
                Markup(f"<b>{escaped(said)}</b><br>{escaped(p)} · {escaped(apart)}"),
                hover,
            )
        )
    name = concept(facts.against)
    hover = f"{name}: {a[OF_RANDOM].mean():.2f} ± {a[OF_RANDOM].std():.2f}"
    told = _("told apart {share}").format(share=f"{a[RANDOM_ACCURACY].mean():.0%}")
    pictures = [png(one) for one in a[RANDOM_PICTURES]]
    return [*made, Row(name, pictures, a[OF_RANDOM], "random", Markup(f"<b>{_('chance')}</b><br>{told}"), hover)]
