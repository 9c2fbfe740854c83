"""A layer's feature maps on a page: what the canvas is told, and the test pictures that drive a map most."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import streamlit as st

from core.catalog.views.feature_maps import (
    DEAD,
    KERNEL,
    KERNELS,
    STRENGTH,
    TOP_PICTURES,
    TOP_SAMPLES,
    TOP_VALUES,
    FeatureMapsFacts,
    of_layer,
)
from core.figures import feature_maps as figures
from core.spec.questions import Seen
from pages.kit import figure, location, look
from pages.kit.samples import png
from pages.kit.web_parts import web_part
from pages.kit.words import _, fill

HEIGHT = 404
TOP_SIDE = 64  # pixels of a picture that drives a map

_mount = web_part("maps", HEIGHT)

VIEW = "feature_maps"


def page(seen: Seen[FeatureMapsFacts]) -> None:
    """The stage of the page."""
    draw(seen)
    top(seen)
    look.below(seen, table=table(seen))


def draw(seen: Seen[FeatureMapsFacts]) -> None:
    """The chosen layer: maps on the canvas, a sequence as a heat-map, a vector as bars."""
    values = seen.arrays[seen.layer]
    {3: _maps, 2: _sequence, 1: _vector}[values.ndim](seen, values)


# ── maps ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _maps(seen: Seen[FeatureMapsFacts], values: np.ndarray) -> None:
    _mount(key="maps", data=told(seen, values), height=HEIGHT, on_map_change=_chosen, on_page_change=_turned)


def told(seen: Seen[FeatureMapsFacts], values: np.ndarray) -> dict[str, Any]:
    """What the canvas shows: the maps of one page, and the chosen one large with its kernel."""
    options, facts = seen.facts.options, seen.facts
    order = [unit for unit in facts.order if unit < len(values)]
    units, unit = figures.on_page(order, options.page), min(facts.map, len(values) - 1)
    sheet, large = figures.coarse(values[units], figures.SIDE), figures.coarse(values[unit][None], figures.LARGE_SIDE)
    dead = seen.arrays.get(of_layer(seen.layer, DEAD), np.zeros(len(values), np.uint8))
    strength = seen.arrays[of_layer(seen.layer, STRENGTH)]
    every, every_large = (-(-values.shape[1] // shown.shape[1]) for shown in (sheet, large))
    finite = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    kernel, kernels = (seen.arrays.get(of_layer(facts.kernels_of, what)) for what in (KERNEL, KERNELS))
    given = facts.given if options.overlay else None
    return {
        "name": seen.layer,
        "height": HEIGHT,
        "units": units,
        "chosen": unit,
        "own": options.own_scale,
        "overlay": options.overlay,
        "page": min(options.page, figures.pages(len(order))),
        "pages": figures.pages(len(order)),
        "every": every,
        "everyLarge": every_large,
        "ends": [float(finite.min()), float(finite.max())],
        "dead": dead[units].tolist(),
        "chosenDead": bool(dead[unit]),
        "strength": strength[units].tolist(),
        "maps": _sent(sheet),
        "large": _sent(large),
        "kernels": _sent(kernels[units].mean(1)) if options.kernels and kernels is not None else None,
        "kernel": _sent(kernel[: figures.KERNELS]) if options.kernels and kernel is not None else None,
        "given": {"data": _text(given), "shape": list(given.shape)} if given is not None else None,
        "words": _words(seen, values, units, every, 0 if kernel is None else len(kernel)),
    }


def _sent(values: np.ndarray) -> dict[str, Any]:
    made = figures.painted(values)
    return {
        "data": _text(made.data),
        "shape": list(made.data.shape),
        "low": made.low.tolist(),
        "high": made.high.tolist(),
    }


def _text(data: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(data).tobytes()).decode()


def _words(
    seen: Seen[FeatureMapsFacts], values: np.ndarray, units: list[int], every: int, channels: int
) -> dict[str, str]:
    count, unit = len(values), min(seen.facts.map, len(values) - 1)
    height, width = values.shape[1:]
    about = _("{count} maps of {height}×{width}").format(count=f"{count:,}", height=height, width=width)
    if len(units) < count:
        page = min(seen.facts.options.page, figures.pages(count))
        about += " · " + _("page {page} of {pages}, {shown} maps").format(
            page=page, pages=figures.pages(count), shown=len(units)
        )
    if every > 1:
        about += " · " + _("small maps: means over {n}×{n} squares").format(n=every)
    kernel = _("Its kernel in {layer}").format(layer=seen.facts.kernels_of)
    if channels > 1:
        kernel += ", " + _("one for each of {n} channels").format(n=channels)
    if channels > figures.KERNELS:
        kernel += ", " + _("the first {n}").format(n=figures.KERNELS)
    most = float(np.abs(np.nan_to_num(values[unit], nan=0.0, posinf=0.0, neginf=0.0)).max())
    covered = _("Orange is above zero, blue below; opaque is {most} from zero.").format(most=f"{most:.3g}")
    return {
        "about": about,
        "maps": _("Feature maps of {layer}:").format(layer=seen.layer),
        "dead": _("dead"),
        "title": _("map {n}").format(n=unit),
        "large": _("Map {n} of {layer}, large").format(n=unit, layer=seen.layer),
        "kernel": kernel,
        "option": _("map {map}, strength {strength}"),
        "hover": _("map {map} · row {row}, column {column} · {value}"),
        "weight": _("channel {channel} · row {row}, column {column} · {value}"),
        "png": _("Download as a PNG picture"),
        "before": _("Page before"),
        "after": _("Next page"),
        "note": covered if seen.facts.options.overlay and seen.facts.given is not None else "",
    }


def _chosen() -> None:
    unit = st.session_state["maps"].map
    if unit is not None:
        look.choose(VIEW, map=int(unit))


def _turned() -> None:
    page = st.session_state["maps"].page
    if page is not None:
        look.choose(VIEW, page=int(page))


# ── sequences and vectors ────────────────────────────────────────────────────────────────────────────────────────────


def _sequence(seen: Seen[FeatureMapsFacts], values: np.ndarray) -> None:
    fig, every = figures.sequence(
        values, seen.facts.map, x_title=_("step"), y_title=_("feature"), z_title=_("activation")
    )
    alt = _("{layer} of this sample: {steps} steps of {features} features, as a heat-map").format(
        layer=seen.layer, steps=len(values), features=values.shape[1]
    )
    figure.show(fig, key="maps.sequence", alt=alt, on_click=lambda point: look.choose(VIEW, map=int(point["y"])))
    if every > 1:
        st.caption(fill(_("Too many values for one picture: every {n}th step is drawn."), n=every))


def _vector(seen: Seen[FeatureMapsFacts], values: np.ndarray) -> None:
    order = [unit for unit in seen.facts.order if unit < len(values)]
    units = figures.on_page(order, seen.facts.options.page)
    classes = seen.facts.names
    names = [classes[unit] if unit < len(classes) else str(unit) for unit in units]
    fig = figures.vector(
        values, units, names, seen.facts.map, x_title=_("class") if classes else _("unit"), y_title=_("activation")
    )
    alt = _("{layer} of this sample: {n} numbers, as bars").format(layer=seen.layer, n=len(values))
    figure.show(fig, key="maps.vector", alt=alt, on_click=lambda point: look.choose(VIEW, map=int(point["customdata"])))
    if len(units) < len(order):
        of = figures.pages(len(order))
        said = _("Page {page} of {pages}: {shown} of {n} units.")
        page = min(seen.facts.options.page, of)
        st.caption(fill(said, page=page, pages=of, shown=len(units), n=f"{len(order):,}"))


# ── what drives a map ────────────────────────────────────────────────────────────────────────────────────────────────


def top(seen: Seen[FeatureMapsFacts]) -> None:
    """The test samples with the largest values of the chosen map; each can be made the current sample."""
    unit = seen.facts.map
    which, values = (seen.arrays[of_layer(seen.layer, what)][unit] for what in (TOP_SAMPLES, TOP_VALUES))
    name = {"map": _("map {n}"), "feature": _("feature {n}"), "unit": _("unit {n}")}[seen.facts.unit].format(n=unit)
    st.markdown("**" + fill(_("What drives {name} most"), name=name) + "**")
    if len(values) > 1 and values[0] == values[-1]:
        st.caption(
            _("No test sample more than others: at least {n} of them share the value {value}.").format(
                n=len(values), value=f"{values[0]:.3g}"
            )
        )
        return
    pictures = seen.arrays.get(of_layer(seen.layer, TOP_PICTURES))
    for rank, place in enumerate(st.columns(len(which), gap="small")):
        with place, st.container(gap="xxsmall"):
            sample = int(which[rank])
            if pictures is not None:
                side = f'width="{TOP_SIDE}" height="{TOP_SIDE}"'
                st.html(f'<img class="ll-sample" src="{png(pictures[rank])}" alt="" {side}>')
            st.button(
                str(sample),
                key=f"maps.top.{rank}",
                width="stretch",
                on_click=location.look_at,
                kwargs={"sample": sample},
                type="primary" if sample == seen.sample else "secondary",
                help=_("Make test sample {n} the current one; its largest value here is {value}").format(
                    n=sample, value=f"{values[rank]:.3g}"
                ),
            )
            st.caption(f"{values[rank]:.3g}")


def table(seen: Seen[FeatureMapsFacts]) -> list[dict[str, Any]]:
    """One row for each unit of the chosen layer: how strong it is, whether it is dead, which sample drives it most."""
    strength = seen.arrays[of_layer(seen.layer, STRENGTH)]
    dead = seen.arrays.get(of_layer(seen.layer, DEAD))
    first, most = (seen.arrays[of_layer(seen.layer, what)][:, 0] for what in (TOP_SAMPLES, TOP_VALUES))
    name = {"map": _("map"), "feature": _("feature"), "unit": _("unit")}[seen.facts.unit]
    return [
        {
            name: unit,
            _("strength"): float(strength[unit]),
            **({} if dead is None else {_("dead"): bool(dead[unit])}),
            _("largest on test samples"): float(most[unit]),
            _("of sample"): int(first[unit]),
        }
        for unit in seen.facts.order
    ]
