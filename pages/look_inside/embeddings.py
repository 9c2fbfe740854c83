"""Where the classes are: the points, the plane as the network divides it, the layers beside each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from core.catalog.entries import NUMBER
from core.catalog.views.embeddings import (
    BOUNDARY,
    BOUNDARY_CONFIDENCE,
    BOUNDARY_POINTS,
    BOUNDARY_X,
    BOUNDARY_Y,
    CONFIDENCE,
    CORRECT,
    ERROR,
    MARKED,
    POINTS,
    PREDICTED,
    SAMPLES,
    SEPARATION,
    STEPS,
    TARGET,
    EmbeddingsFacts,
)
from core.figures import embeddings
from core.figures.embeddings import Group
from core.spec.questions import Seen
from pages.kit import figure, location, look
from pages.kit.cards import colors
from pages.kit.samples import visible
from pages.kit.words import _

BESIDE, ALONE = 400, 480  # pixels of a picture's height
Arrays = dict[str, np.ndarray]


def page(seen: Seen[EmbeddingsFacts]) -> None:
    """The stage of the page."""
    draw(seen)
    look.below(seen, table=table(seen), words=False)


def draw(seen: Seen[EmbeddingsFacts]) -> None:
    """The points, with what is to be said of them; for data in the plane the plane beside them."""
    if BOUNDARY in seen.arrays:
        by = _colouring(seen)
        left, right = st.columns(2, gap="small")
        with left:
            _boundary(seen)
        with right:
            _points(seen, by, BESIDE)
        left, right = st.columns([0.3, 0.7], gap="medium")
        with left:
            _headline(seen)
        with right:
            look.say(seen)
        _layers(seen)
        return
    left, right = st.columns([0.62, 0.38], gap="medium")
    with left:
        _points(seen, _colouring(seen), ALONE)
    with right:
        _headline(seen)
        _layers(seen)
        look.say(seen)


def _headline(seen: Seen[EmbeddingsFacts]) -> None:
    """How well the classes are apart, as a number."""
    facts = seen.facts
    number = facts.task == NUMBER
    words = _("variance explained by the 5 nearest neighbours") if number else _("5 nearest neighbours name the class")
    better = None if facts.input is None else facts.separation - facts.input
    st.metric(
        words,
        f"{facts.separation:.1%}",
        delta_color="off",
        delta_arrow="off",
        delta=None if better is None else _("{better:+.1f} points against the bare input").format(better=100 * better),
    )


def table(seen: Seen[EmbeddingsFacts]) -> list[dict[str, Any]]:
    """One row a point."""
    a, names = seen.arrays, _names(seen)
    rows: list[dict[str, Any]] = []
    for i, place in enumerate(a[POINTS]):
        row: dict[str, Any] = {_("sample"): int(a[SAMPLES][i])}
        row |= {_("step"): int(a[STEPS][i])} if STEPS in a else {}
        if names:
            row |= {
                _("target"): names[int(a[TARGET][i])],
                _("predicted"): names[int(a[PREDICTED][i])],
                _("confidence"): round(float(a[CONFIDENCE][i]), 4),
            }
        else:
            row |= {_("target"): float(a[TARGET][i]), _("predicted"): float(a[PREDICTED][i])}
        rows.append(row | {f"{'xyz'[axis]}": round(float(value), 5) for axis, value in enumerate(place)})
    return rows


def _names(seen: Seen[EmbeddingsFacts]) -> list[str]:
    """The classes as they are written; none where a number is asked."""
    return [] if seen.facts.task == NUMBER else [visible(name) for name in seen.facts.classes]


def _colouring(seen: Seen[EmbeddingsFacts]) -> str:
    number = seen.facts.task == NUMBER
    titles = {"target": _("target") if number else _("class"), "answer": _("error") if number else _("right or wrong")}
    location.keep_choice("embeddings.colour", list(titles))
    chosen = st.segmented_control(
        _("colour"),
        list(titles),
        format_func=lambda name: titles[name],
        required=True,
        key="embeddings.colour",
        label_visibility="collapsed",
        persist_state="session",
    )
    return str(chosen)


def _points(seen: Seen[EmbeddingsFacts], by: str, height: int) -> None:
    a = seen.arrays
    named: dict[str, Any] = {
        "samples": a[SAMPLES],
        "hover": _hover(seen),
        "titles": _titles(seen),
        "marked": a[MARKED],
        "marked_name": _("sample {n}").format(n=seen.sample),
        "height": height,
    }
    if seen.facts.task == NUMBER:
        values, title = (a[TARGET], _("target")) if by == "target" else (a[ERROR], _("error, absolute"))
        picture = embeddings.shaded(a[POINTS], values, scale_title=title, **named)
    elif by == "target":
        groups = embeddings.by_class(a[TARGET], _names(seen))
        picture = embeddings.cloud(a[POINTS], groups, colors=colors(), **named)
    else:
        right = [Group(_("right"), np.flatnonzero(a[CORRECT])), Group(_("wrong"), np.flatnonzero(~a[CORRECT]))]
        picture = embeddings.cloud(a[POINTS], right, colors=colors(), **named)
    said = _("{n} points at {layer} by {method}. The five nearest neighbours tell {share:.1%}.")
    alt = said.format(n=len(a[POINTS]), layer=seen.layer, method=seen.facts.method, share=seen.facts.separation)
    figure.show(picture, key=f"embeddings.points{a[POINTS].shape[1]}", alt=alt, on_click=_clicked)


def _titles(seen: Seen[EmbeddingsFacts]) -> list[str]:
    axes = [_("across"), _("up"), _("deep")][: seen.arrays[POINTS].shape[1]]
    if seen.facts.method != "PCA":
        return [_("{method}, {axis} (no unit)").format(method=seen.facts.method, axis=axis) for axis in axes]
    words = _("principal plane, {axis} (units of {layer})") if len(axes) == 2 else _("principal space, {axis}")
    return [words.format(axis=axis, layer=seen.layer) for axis in axes]


def _hover(seen: Seen[EmbeddingsFacts]) -> list[str]:
    a, names = seen.arrays, _names(seen)
    if not names:
        words = _("sample {n}: is {target:.3f}, says {predicted:.3f}")
        return [
            words.format(n=n, target=t, predicted=p)
            for n, t, p in zip(a[SAMPLES], a[TARGET], a[PREDICTED], strict=True)
        ]
    words = _("sample {n}{step}: is {target}, says {predicted} ({sure:.0%})")
    steps = [_(", step {step}").format(step=step) for step in a[STEPS]] if STEPS in a else [""] * len(a[SAMPLES])
    return [
        words.format(
            n=a[SAMPLES][i],
            step=steps[i],
            target=names[int(a[TARGET][i])],
            predicted=names[int(a[PREDICTED][i])],
            sure=a[CONFIDENCE][i],
        )
        for i in range(len(steps))
    ]


def _boundary(seen: Seen[EmbeddingsFacts]) -> None:
    a, names = seen.arrays, _names(seen)
    marked = a[BOUNDARY_POINTS][a[SAMPLES] == seen.sample]
    picture = embeddings.boundary(
        a[BOUNDARY],
        a[BOUNDARY_CONFIDENCE],
        (a[BOUNDARY_X], a[BOUNDARY_Y]),
        names=names,
        points=a[BOUNDARY_POINTS],
        target=a[TARGET],
        samples=a[SAMPLES],
        hover=_hover(seen),
        colors=colors(),
        titles=(_("x (plane units)"), _("y (plane units)")),
        marked=marked,
        height=BESIDE,
        marked_name=_("sample {n}").format(n=seen.sample),
    )
    shares = [f"{name} {np.mean(a[BOUNDARY] == k):.0%}" for k, name in enumerate(names)]
    alt = _("The class that the network names over the plane: {shares} of it.").format(shares=", ".join(shares))
    figure.show(picture, key="embeddings.boundary", alt=alt, on_click=_clicked)


def _layers(seen: Seen[EmbeddingsFacts]) -> None:
    """The layers beside each other, where they were asked for."""
    if SEPARATION not in seen.arrays:
        return
    layers, values = seen.facts.layers, seen.arrays[SEPARATION]
    number = seen.facts.task == NUMBER
    picture = embeddings.by_layer(
        layers,
        values,
        chosen=seen.layer,
        chance=seen.facts.chance,
        chance_name=_("by chance"),
        colors=colors(),
        titles=(
            _("layer, from the input to the answer"),
            _("variance explained") if number else _("5-neighbour accuracy"),
        ),
    )
    said = [f"{layer} {value:.1%}" for layer, value in zip(layers, values, strict=True)]
    figure.show(
        picture,
        key="embeddings.layers",
        alt=_("By layer: {shares}.").format(shares=", ".join(said)),
        on_click=lambda point: location.look_at(layer=str(point["customdata"] or seen.layer)),
    )


def _clicked(point: dict[str, Any]) -> None:
    """A clicked point is the sample that every page looks at."""
    if isinstance(point.get("customdata"), int | float):
        location.look_at(sample=int(point["customdata"]))
