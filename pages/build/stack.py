"""The stack of layers: one row each with its numbers, its fault under it; below it what can be added, and the sum."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from core.spec.questions import LayerRow
from core.spec.specs import LayerSpec
from pages.build import builder, layer_list
from pages.build.builder import Network
from pages.kit import verdict
from pages.kit.web_parts import web_part
from pages.kit.words import _, fill, many, size

KEY, ADD = "stack", "build.add"
HEIGHT = 408  # pixels: head and about fourteen rows

_mount = web_part("stack", HEIGHT)


def draw(network: Network, *, height: int = HEIGHT) -> None:
    """The rows; choosing, moving, copying, deleting and mending come back as acts."""
    _mount(
        key=KEY,
        data={
            "input": {"name": _("input"), "shape": layer_list.shape(network.form.shape)},
            "rows": rows(network),
            "fault": _fault(network),
            "selected": network.selected,
            "height": height,
            "words": _words(),
            "add": f".st-key-{ADD.replace('.', '-')} input",
        },
        on_act_change=partial(_acted, network),
    )


def heard() -> dict[str, Any]:
    """What was done on the stack last."""
    return dict(st.session_state[KEY].act or {})


def _acted(network: Network) -> None:
    act = heard()
    if act.get("verb") == "preset":
        builder.use_preset(verdict.fitting_presets(network.asked.experiment)[0].name)
    elif act.get("verb") in ("open", "up", "down", "copy", "delete", "mend"):
        builder.act(act["verb"], network, str(act.get("name", "")))


def rows(network: Network) -> list[dict[str, Any]]:
    """One row a layer, ready to be shown; layers below a fault have no numbers."""
    found = network.found.layers if network.found else ()
    known = {row.name: row for row in found}
    columns = list(zip(*map(_numbers, found), strict=True)) or [(), (), ()]
    scale = [(sum(column) or 1, max(column, default=0) or 1) for column in columns]
    return [_row(layer, known.get(layer.name), scale) for layer in network.layers]


def _numbers(row: LayerRow) -> tuple[int, int, int]:
    return row.params, row.macs, row.activations


def _row(layer: LayerSpec, row: LayerRow | None, scale: list[tuple[int, int]]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": layer.name,
        "kind": layer_list.title(layer.kind),
        "says": layer_list.summary(layer),
        "shape": "",
        "from": "",
        "numbers": ["", "", ""],
        "shares": [0.0, 0.0, 0.0],
        "bars": [0.0, 0.0, 0.0],
        "sees": "",
    }
    if row is None:
        return shown
    numbers = _numbers(row)
    return shown | {
        "shape": layer_list.shape(row.out_shape),
        "from": layer_list.shape(row.in_shape),
        "numbers": [f"{row.params:,}" if row.params else "", many(row.macs) if row.macs else "", size(row.activations)],
        "shares": [n / total for n, (total, _most) in zip(numbers, scale, strict=True)],
        "bars": [n / most for n, (_total, most) in zip(numbers, scale, strict=True)],  # beside the largest layer
        "sees": f"{row.receptive_field:,}" if row.receptive_field else "",
    }


def _fault(network: Network) -> dict[str, Any] | None:
    """The fault under its row: what is wrong, one mend in words, and what a click on it does.

    mild: it can be trained all the same.
    """
    told = network.told
    if told:
        verb = "mend" if told.mended else ""
        mild = network.problem is None
        return {"name": told.layer, "message": told.message, "fix": told.fix, "verb": verb, "mild": mild}
    wrong = verdict.misfit(network.asked.experiment) if not network.layers else ""
    if not wrong:
        return None
    fits = verdict.fitting_presets(network.asked.experiment)
    text = _("use the {preset}").format(preset=_(fits[0].title)) if fits else ""
    return {"name": "", "message": wrong, "fix": text, "verb": "preset" if fits else ""}


def add(network: Network) -> None:
    """The choice of a layer to put after the open one: what fits there comes first."""
    form = None
    if network.found is not None or not network.layers:
        form = layer_list.forms(network.found.layers if network.found else (), network.form).get(network.selected)
    kinds = dict(layer_list.fitting(form))
    after = fill(_("Add a layer after {name}"), name=network.selected) if network.selected else _("Add a layer")
    labels = {
        kind: layer_list.title(kind) if fits else _("{kind} (does not fit here)").format(kind=layer_list.title(kind))
        for kind, fits in kinds.items()
    }
    st.session_state.setdefault(ADD, None)
    st.selectbox(
        after,
        list(kinds),
        format_func=lambda kind: labels[kind],
        key=ADD,
        placeholder=after,
        index=None,
        label_visibility="collapsed",
        icon=":material/add:",
        on_change=builder.add,
        args=(network, ADD),
    )


def totals(network: Network) -> None:
    """The sum of all layers."""
    found = network.found
    if not network.layers:
        st.caption(_("No layers yet."))
    elif found is None or found.problems:
        st.caption(_("Complete once the marked layer is mended."))
    else:
        batch = network.asked.experiment.train.batch_size
        text = _("**{params}** parameters · **{macs}** multiply-adds · **{memory}** for a batch of {n}")
        st.caption(fill(text, params=f"{found.params:,}", macs=many(found.macs), memory=size(found.memory), n=batch))


def _words() -> dict[str, str]:
    return {
        "layers": _("The layers of the network, from input to output"),
        "layer": _("layer"),
        "options": _("options"),
        "output": _("output shape"),
        "params": _("parameters"),
        "macs": _("mult-adds"),
        "memory": _("memory"),
        "sees": _("sees"),
        "memory_help": _("Memory of this layer's output for one sample"),
        "macs_help": _("Multiply-adds of one sample"),
        "sees_help": _("Receptive field: the side, in pixels, of the part of the input that one output cell sees"),
        "share": _("{share} of all"),
        "from": _("{from} → {shape}"),
        "actions": _("Actions on {name}"),
        "up": _("Move up"),
        "down": _("Move down"),
        "copy": _("Copy"),
        "below": _("Insert below"),
        "delete": _("Delete"),
        "mend": _("Mend it: {fix}"),
        "nothing": _("Add the first layer below."),
        "keys": _("Arrows choose a layer, Alt and arrows move it, Delete removes it, Enter opens its menu."),
    }
