"""What a data set is: its numbers, how often each class occurs, where it comes from."""

from __future__ import annotations

import streamlit as st

from core.catalog.entries import TOKENS
from core.figures import samples as figures
from core.spec.questions import DataPreview, ValueRange
from pages.build import layer_list
from pages.kit.cards import colors
from pages.kit.words import _, plain


def part_names() -> dict[str, str]:
    """The parts of a data set as people say them."""
    return {"train": _("training"), "validation": _("validation"), "test": _("test")}


def counts(found: DataPreview) -> None:
    """How often each class is the answer, in each part; the table one click away."""
    names = part_names()
    parts = {names[part]: classes for part, classes in found.counts.items()}
    height = 200
    picture = figures.counts(parts, x_title=_("class"), y_title=_("samples"), colors=colors(), height=height)
    words = figures.alt(parts, _("{part}: {n} samples of {classes} classes, {low} to {high} each."))
    st.plotly_chart(picture, key="data.counts", alt=words, config={"displayModeBar": False})
    with st.popover(_("Table"), icon=":material/table:"):
        classes = list(dict.fromkeys(name for one in parts.values() for name in one))
        rows = [{_("class"): name} | {part: one.get(name, 0) for part, one in parts.items()} for name in classes]
        st.dataframe(rows, hide_index=True)


def facts(found: DataPreview) -> None:
    """Shapes, value ranges, source, licence and what else is to be known."""
    names = part_names()
    sizes = ", ".join(f"{names[part]} {shape[0]:,}" for part, shape in found.shapes.items())
    lines = [
        (_("samples"), sizes),
        (_("one sample"), layer_list.shape(found.shapes["train"][1:])),
        _values(found),
        (_("source"), found.source),
        (_("licence"), found.licence),
    ]
    if (found.given.low, found.given.high) != (found.raw.low, found.raw.high):
        lines.insert(3, (_("as the model gets them"), _between(found.given)))
    st.markdown("  \n".join(f":small[**{plain(name)}** {plain(value)}]" for name, value in lines))
    for note in found.notes:
        st.caption(plain(note))


def _values(found: DataPreview) -> tuple[str, str]:
    if found.kind == TOKENS:
        return _("vocabulary"), _("{n} ids; 0 is padding").format(n=f"{len(found.vocabulary):,}")
    return _("values"), _between(found.raw)


def _between(values: ValueRange) -> str:
    text = _("{low} to {high}, mean {mean}, spread {std}")
    numbers = {name: f"{round(getattr(values, name), 4) + 0.0:.3g}" for name in ("low", "high", "mean", "std")}
    return text.format(**numbers)
