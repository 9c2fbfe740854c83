"""The loss landscape's pictures, their sentences and their tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from core.catalog.entries import NUMBER
from core.catalog.views.landscape import (
    DISTANCE,
    DRAWN_LOSS,
    EXPLAINED,
    LINE,
    LOSS,
    MOMENT_LOSS,
    OFF_PLANE,
    PATH,
    PLACE,
    STEP,
    LandscapeFacts,
    X,
    Y,
)
from core.figures import landscape
from core.spec.questions import Seen
from pages.kit import figure, location, look
from pages.kit.words import _, fill

Row = dict[str, Any]
WIDTHS = [0.58, 0.42]


def page(seen: Seen[LandscapeFacts]) -> None:
    """The stage of the page."""
    look.below(seen, table=draw(seen))


def loss_name(seen: Seen[LandscapeFacts]) -> str:
    """What the loss is called, with its unit."""
    return _("loss (squared error)") if seen.facts.task == NUMBER else _("loss (nats)")


def draw(seen: Seen[LandscapeFacts]) -> list[Row]:
    """The pictures of the answer; gives the rows of its table."""
    kind = seen.facts.kind
    log = _scale(seen)
    if kind == LINE:
        return _lines(seen, log)
    return _path(seen, log) if kind == PATH else _plane(seen, log)


def _scale(seen: Seen[LandscapeFacts]) -> bool:
    """The switch of the scale, and beside it what could not be drawn."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        kind = seen.facts.kind
        location.keep_choice(f"landscape.log.{kind}", [kind == PATH, kind != PATH])
        log = st.toggle(
            _("logarithmic scale"),
            key=f"landscape.log.{kind}",
            help=_("Equal distances are equal ratios: what is flat near the bottom becomes visible."),
            persist_state="session",
        )
        if top := None if log else _top(seen):
            words = _("Losses above {top}, up to {high}, have the colour of {top}.")
            st.caption(words.format(top=f"{top:.3g}", high=f"{seen.facts.losses.high:.3g}"))
        if seen.facts.losses.broken:
            words = _("At {n} points the loss is too large to be a number; they are left empty.")
            st.caption(fill(words, n=seen.facts.losses.broken))
    return log


def _top(seen: Seen[LandscapeFacts]) -> float | None:
    if seen.facts.kind == LINE:
        return None
    return landscape.ceiling(seen.arrays[LOSS], seen.arrays.get(DRAWN_LOSS, ()))


def _lines(seen: Seen[LandscapeFacts], log: bool) -> list[Row]:
    found = seen.arrays
    names = [_("direction {n}").format(n=k + 1) for k in range(len(found[LOSS]))]
    picture = landscape.lines(
        found[DISTANCE],
        found[LOSS],
        names=names,
        centre=_("the model itself"),
        x_title=_distance(),
        y_title=loss_name(seen),
        log=log,
    )
    figure.show(picture, key="landscape.lines", alt=_alt(seen))
    return [
        {_("distance"): float(a), **{name: float(v) for name, v in zip(names, column, strict=True)}}
        for a, column in zip(found[DISTANCE], found[LOSS].T, strict=True)
    ]


def _plane(seen: Seen[LandscapeFacts], log: bool) -> list[Row]:
    found, loss = seen.arrays, loss_name(seen)
    left, right = st.columns(WIDTHS, gap="small")
    titles = _("first direction (filter lengths)"), _("second direction (filter lengths)")
    with left:
        picture = landscape.plane(
            found[X],
            found[Y],
            found[LOSS],
            titles=titles,
            value=loss,
            log=log,
            top=None if log else _top(seen),
        )
        figure.show(picture, key="landscape.plane", alt=_alt(seen))
    with right:
        picture = landscape.rings(found[X], found[Y], found[LOSS], x_title=_distance(), y_title=loss, log=log)
        figure.show(picture, key="landscape.rings", alt=_("The same points: their loss over their distance."))
    rows = [(x, y, found[LOSS][j, i]) for j, y in enumerate(found[Y]) for i, x in enumerate(found[X])]
    return [{_("first direction"): float(x), _("second direction"): float(y), loss: float(v)} for x, y, v in rows]


def _path(seen: Seen[LandscapeFacts], log: bool) -> list[Row]:
    found, loss = seen.arrays, loss_name(seen)
    left, right = st.columns(WIDTHS, gap="small")
    share = [f"{part:.0%}" for part in found[EXPLAINED]]
    words = _("main direction {n} (distance; {share} of variance)")
    with left:
        path = landscape.Path(
            found[STEP], found[PLACE], found[MOMENT_LOSS], seen.facts.here, (_("step"), _("its own loss"))
        )
        picture = landscape.plane(
            found[X],
            found[Y],
            found[LOSS],
            value=loss,
            log=log,
            titles=(words.format(n=1, share=share[0]), words.format(n=2, share=share[1])),
            top=None if log else _top(seen),
            path=path,
        )
        figure.show(picture, key="landscape.path", alt=_alt(seen))
    with right:
        picture = landscape.moments(
            found[STEP],
            found[MOMENT_LOSS],
            found[DRAWN_LOSS],
            names=(_("the moment itself"), _("as drawn")),
            x_title=_("step (the kept moments)"),
            y_title=loss,
            log=log,
        )
        figure.show(picture, key="landscape.moments", alt=_("Each moment's own loss, and that of its place drawn."))
    heads = (
        _("step"),
        _("main direction 1"),
        _("main direction 2"),
        _("distance from the plane"),
        _("its own loss"),
        _("loss where it is drawn"),
    )
    columns = found[STEP], *found[PLACE].T, found[OFF_PLANE], found[MOMENT_LOSS], found[DRAWN_LOSS]
    return [dict(zip(heads, row, strict=True)) for row in zip(*(np.asarray(c).tolist() for c in columns), strict=True)]


def _distance() -> str:
    return _("distance from the model (filter lengths)")


def _alt(seen: Seen[LandscapeFacts]) -> str:
    """The picture in words."""
    low, high, centre = seen.facts.losses.low, seen.facts.losses.high, seen.facts.centre_loss
    said = {
        LINE: _("Loss along random directions from the model: {centre} at the model, from {low} to {high} in all."),
        PATH: _("Loss over the plane of the run's path: {centre} at the moment shown, from {low} to {high} in all."),
    }
    plain = _("Loss over a random plane through the model: {centre} at the model, from {low} to {high} in all.")
    words = said.get(seen.facts.kind, plain)
    return words.format(centre=f"{centre:.3g}", low=f"{low:.3g}", high=f"{high:.3g}")
