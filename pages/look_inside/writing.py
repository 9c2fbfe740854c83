"""A text that a model goes on with: the start text, and what it wrote, each token as strong as the model was sure."""

from __future__ import annotations

import html
from typing import Any

import streamlit as st

from core.catalog.views.writing import CHANCE, WritingFacts
from core.spec.questions import Seen
from pages.kit import look
from pages.kit.words import _

FAINT = 0.04  # opacity of the ground behind a token that was a surprise


def page(seen: Seen[WritingFacts]) -> None:
    """The stage of the page."""
    draw(seen)
    below(seen)


def draw(seen: Seen[WritingFacts]) -> None:
    """The text."""
    st.markdown("**" + _("What the model writes on") + "**")
    st.html(
        f'<div class="ll-writing" role="img" aria-label="{html.escape(_("The start text, then what was written"))}">'
        f"<b>{html.escape(seen.facts.prompt)}</b>{written(seen)}</div>"
    )
    st.caption(
        _(
            "Bold: the start text. The darker the ground of a character, the surer the model was of it; point at "
            "one for its probability. Change the start text on the left."
        )
    )


def written(seen: Seen[WritingFacts]) -> str:
    """Each token with the probability that it was given."""
    chances = seen.arrays[CHANCE].tolist()
    return "".join(
        f'<span style="background:rgba(128, 128, 128, {FAINT + 0.4 * chance:.2f})" title="{chance:.0%}">'
        f"{html.escape(word)}</span>"
        for word, chance in zip(seen.facts.words, chances, strict=True)
    )


def table(seen: Seen[WritingFacts]) -> list[dict[str, Any]]:
    """One row a token."""
    rows = zip(seen.facts.words, seen.arrays[CHANCE].tolist(), strict=True)
    return [{_("token"): word, _("probability"): chance} for word, chance in rows]


def below(seen: Seen[WritingFacts]) -> None:
    """The sentences, the table, the arrays and the lines."""
    look.below(seen, table=table(seen))
