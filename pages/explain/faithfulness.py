"""Faithfulness on a page: what becomes of the answer while pieces are deleted and inserted, and the numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from core.catalog.entries import NUMBER
from core.catalog.views.faithfulness import (
    DELETION,
    DELETION_AREA,
    INFIDELITY,
    INSERTION,
    INSERTION_AREA,
    PROBABILITY,
    RANDOM,
    SENSITIVITY,
    SHARE,
    FaithfulnessFacts,
    of_method,
)
from core.figures import faithfulness
from core.figures.faithfulness import Lines
from core.spec.questions import Seen
from pages.kit import figure, look
from pages.kit.cards import colors
from pages.kit.words import Markdown, _, fill


def page(seen: Seen[FaithfulnessFacts]) -> None:
    """The stage of the page."""
    draw(seen)
    look.below(seen)


def draw(seen: Seen[FaithfulnessFacts]) -> None:
    """The two curves of every method with those of random orders, and the numbers below them."""
    st.markdown(_heading(seen))
    names = there(seen)
    kinds = (
        (DELETION, _("Deletion: the most important pieces go first"), _("pieces deleted (%)")),
        (INSERTION, _("Insertion: the most important pieces come first"), _("pieces inserted (%)")),
    )
    shown = [
        Lines(
            title,
            x_title,
            [mean_of(seen.arrays[of_method(kind, name)]) for name in names],
            mean_of(seen.arrays[of_method(kind, RANDOM)]),
        )
        for kind, title, x_title in kinds
    ]
    picture = faithfulness.panels(
        seen.arrays[SHARE],
        shown,
        [_(seen.facts.methods[name]) for name in names],
        y_title=_followed(seen),
        random=_("random order"),
        colors=colors(),
        ends=(-0.02, 1.02) if _chance(seen) else None,
        height=330 + 20 * (len(names) // 6),
    )
    alt = _("Deletion and insertion curves of {names}, and of random orders; their areas are in the table.")
    said = alt.format(names=", ".join(_(seen.facts.methods[name]) for name in names))
    figure.show(picture, key="faithfulness.curves", alt=said)
    st.dataframe(table(seen), hide_index=True, height="content", column_config=_columns())


def mean_of(values: np.ndarray) -> np.ndarray:
    """The mean over the samples, the first axis; a sample without a map is left out."""
    there = np.isfinite(values)
    counts = np.maximum(there.sum(0), 1)
    mean: np.ndarray = np.where(there, values, 0.0).sum(0) / counts
    return mean


def there(seen: Seen[FaithfulnessFacts]) -> list[str]:
    """The methods that gave a map, the smallest area under deletion first."""
    names = [name for name in seen.facts.methods if of_method(DELETION, name) in seen.arrays]
    return sorted(names, key=lambda name: float(mean_of(seen.arrays[of_method(DELETION_AREA, name)])))


def _heading(seen: Seen[FaithfulnessFacts]) -> Markdown:
    pieces = seen.facts.pieces
    if seen.facts.samples > 1:
        said = _("**Mean over {n} test samples,** each explained for its own answer, in {low} to {high} pieces.")
        return fill(said, n=seen.facts.samples, low=min(pieces), high=max(pieces))
    said = _("**Why {explained}?** The input is cut into {n} pieces.")
    return fill(said, explained=seen.facts.explained, n=pieces[0])


def _followed(seen: Seen[FaithfulnessFacts]) -> str:
    if seen.facts.followed == NUMBER:
        return _("answered number")
    return _("probability") if _chance(seen) else _("logit")


def _chance(seen: Seen[FaithfulnessFacts]) -> bool:
    return str(seen.facts.followed) == PROBABILITY


def table(seen: Seen[FaithfulnessFacts]) -> list[dict[str, Any]]:
    """One row a method, random orders last."""
    rows = [(_(seen.facts.methods[name]), name) for name in there(seen)]
    return [
        {
            _("order of"): title,
            _("area under deletion"): _cell(seen, DELETION_AREA, name),
            _("area under insertion"): _cell(seen, INSERTION_AREA, name),
            _("infidelity"): _cell(seen, INFIDELITY, name),
            _("sensitivity"): _cell(seen, SENSITIVITY, name),
        }
        for title, name in [*rows, (_("random order, random map"), RANDOM)]
    ]


def _cell(seen: Seen[FaithfulnessFacts], kind: str, name: str) -> str:
    """The mean over the samples, ± the standard deviation over the seeds where there are any, else over the samples."""
    values = seen.arrays.get(of_method(kind, name))
    if values is None or not np.isfinite(values).any():
        return "–"
    many = mean_of(values) if values.ndim > 1 else values[np.isfinite(values)]
    spread = f" ± {many.std(ddof=1):.2g}" if many.size > 1 else ""
    return f"{many.mean():.3g}{spread}"


def _columns() -> dict[str, Any]:
    """What each number means, over its column."""
    told = {
        _("area under deletion"): _(
            "The mean of the curve while pieces are deleted. Small is good: the answer falls early."
        ),
        _("area under insertion"): _(
            "The mean of the curve while pieces are inserted. Large is good: the answer is there early."
        ),
        _("infidelity"): _(
            "Random pieces are removed: the share of the logit's changes that the map, scaled as well "
            "as can be, does not say. 0 is all said, 1 is nothing said. ± over the seeds."
        ),
        _("sensitivity"): _(
            "The largest change of the map under a little noise on the input, as a share of the map. "
            "Small is good, but a map that never changes says nothing. ± over the seeds."
        ),
    }
    return {name: st.column_config.TextColumn(name, help=words) for name, words in told.items()}
