"""The gradient's verdicts, its pictures, the thresholds behind the verdicts, and its table."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from core import diagnosis
from core.catalog.views.gradients import (
    DEAD,
    HISTORY_STEPS,
    NORMS,
    SATURATED,
    GradientsFacts,
    edges,
    histogram,
    history,
)
from core.diagnosis import Verdict
from core.figures import gradients
from core.figures.gradients import Bars
from core.spec.questions import Seen
from pages.kit import figure, location, look
from pages.kit.words import Markdown, _, plain

ICONS = {
    "diverged": ":material/error:",
    "dead": ":material/power_off:",
    "exploding": ":material/trending_up:",
    "exploding_in_time": ":material/trending_up:",
    "vanishing": ":material/trending_down:",
    "vanishing_in_time": ":material/trending_down:",
    "lr_too_large": ":material/speed:",
    "lr_too_small": ":material/hourglass_empty:",
    "healthy": ":material/check_circle:",
    "data": ":material/dataset:",
    "limited_answer": ":material/vertical_align_bottom:",
    "weight_decay": ":material/compress:",
    "not_learned": ":material/trending_flat:",
    "overfitting": ":material/call_split:",
    "norms_lag": ":material/update:",
    "unjudged": ":material/pending:",
}
TOLD = 2  # sentences of a verdict that are in sight
MULTIPLES = 5  # layers whose outputs are counted in a picture
SHARES = 12  # activations whose shares are drawn; the table has all


def page(seen: Seen[GradientsFacts]) -> None:
    """The stage of the page."""
    verdicts(seen)
    flow(seen)
    activations(seen)
    thresholds()
    look.below(seen, table=table(seen), words=False)


def verdicts(seen: Seen[GradientsFacts]) -> None:
    """Every verdict in a box of its own: what it is called, its evidence in numbers, and a mend; the rest unfolds."""
    found = [Verdict(**fields) for fields in seen.facts.verdicts]
    for one in found:
        boxes = {"healthy": st.success, "diverged": st.error, "unjudged": st.info}
        boxes.get(one.state, st.warning)(body(one), icon=ICONS[one.state])
        if one.says[TOLD:]:
            with st.expander(_("What else was checked")):
                st.markdown("\n".join(f"- {plain(says)}" for says in _says(one)[TOLD:]))
    for sentence in seen.words[: len(seen.words) - len(found)]:
        st.caption(plain(sentence))


def body(verdict: Verdict) -> Markdown:
    """A verdict as Markdown, in the language of the page: its first sentences, the others unfold."""
    said = f"**{_(diagnosis.TITLES[verdict.state])}.** {plain(' '.join(_says(verdict)[:TOLD]))}"
    mend = plain(_(verdict.mend).format(**verdict.numbers))
    return Markdown(f"{said}  \n**{_('To mend it:')}** {mend}" if mend else said)


def _says(verdict: Verdict) -> list[str]:
    """The evidence, a sentence each."""
    return [_(text).format(**verdict.numbers) for text in verdict.says]


def flow(seen: Seen[GradientsFacts]) -> None:
    """The strip over the training beside the bars of this moment."""
    kinds = {"grad_norm": _("gradient norm"), "update_ratio": _("step ÷ weights")}
    layers, steps = seen.facts.layers, seen.arrays[HISTORY_STEPS]
    location.keep_choice("gradients.history", [*kinds, None], "grad_norm")
    kind = st.session_state["gradients.history"] or "grad_norm"
    picture = gradients.flow(
        steps,
        seen.arrays[history(kind)],
        Bars(layers, seen.arrays[NORMS], _aside(seen), seen.layer),
        x_title=_("step"),
        y_title=_("layer, from the input on"),
        value=kinds[kind],
        now_title=_("gradient norm now"),
        shown=seen.step,
    )
    figure.show(picture, key="gradients.flow", alt=_alt(seen), on_click=_layer_clicked(layers))
    left, right = st.columns([0.28, 0.72], vertical_alignment="center") if steps.size else (None, st.container())
    right.caption(plain(_how(seen)), help=plain(_measured(seen)))
    if left is not None:
        left.segmented_control(
            _("over the training"),
            list(kinds),
            format_func=lambda name: kinds[name],
            key="gradients.history",
            label_visibility="collapsed",
        )


def _how(seen: Seen[GradientsFacts]) -> str:
    """What the bars are; how they were measured unfolds (`_measured`)."""
    text = _("Now: one backward pass over the first {n} training samples (loss {loss:.3g}).")
    said = [text.format(n=seen.facts.batch, loss=seen.facts.loss)]
    if seen.arrays[HISTORY_STEPS].size:
        said.append(_("Left: the batch of each step, after clipping."))
    return " ".join(said)


def _measured(seen: Seen[GradientsFacts]) -> str:
    said = [_("Batch norms read the batch, as in training; dropout is off.")]
    if _aside(seen):
        said.append(_("Grey layers have no matrix of weights and are not compared."))
    return " ".join(said)


def _aside(seen: Seen[GradientsFacts]) -> frozenset[str]:
    return frozenset(seen.facts.layers) - frozenset(seen.facts.judged)


def _layer_clicked(layers: list[str]) -> Any:
    def clicked(point: dict[str, Any]) -> None:
        if point.get("y") in layers:
            location.look_at(layer=str(point["y"]))

    return clicked


def _alt(seen: Seen[GradientsFacts]) -> str:
    norms = dict(zip(seen.facts.layers, seen.arrays[NORMS].tolist(), strict=True))
    said = ", ".join(f"{name} {value:.2g}" for name, value in norms.items())
    return _("Gradient norm of every layer, from the input on: {norms}.").format(norms=said)


def activations(seen: Seen[GradientsFacts]) -> None:
    """What some layers give, the chosen one among them; beside it the units that pass no gradient."""
    kind, names, values = _shares(seen)
    left, right = st.columns([0.7, 0.3], gap="small") if names else (st.container(), st.container())
    shown = spread(seen.facts.counted, seen.layer)
    counts = [seen.arrays[histogram(name)] for name in shown]
    with left:
        picture = gradients.histograms(
            shown,
            counts,
            [seen.arrays[edges(name)] for name in shown],
            chosen=seen.layer,
            x_title=_("output"),
            y_title=_("how many"),
        )
        alt = _("Histograms of the outputs of {layers} for the batch.").format(layers=", ".join(shown))
        figure.show(picture, key="gradients.histograms", alt=alt)
    if not names:
        return
    titles = {"dead": _("dead units (%)"), "saturated": _("saturated outputs (%)")}
    with right:
        picked = [names.index(name) for name in spread(names, "", SHARES)]
        bars = Bars([names[i] for i in picked], values[picked])
        said = ", ".join(f"{name} {value:.0%}" for name, value in zip(names, values.tolist(), strict=True))
        limit = diagnosis.DEAD if kind == "dead" else None
        picture = gradients.shares(bars, x_title=titles[kind], limit=limit)
        figure.show(picture, key="gradients.shares", alt=f"{titles[kind]}: {said}")


def _shares(seen: Seen[GradientsFacts]) -> tuple[str, list[str], np.ndarray]:
    """(dead or saturated, the activations, their shares): of ReLUs where there are any."""
    if seen.facts.relus:
        return "dead", seen.facts.relus, seen.arrays[DEAD]
    return "saturated", seen.facts.squashing, seen.arrays[SATURATED]


def spread(names: list[str], chosen: str, most: int = MULTIPLES) -> list[str]:
    """At most so many of the names, evenly spread from first to last, and the chosen one among them."""
    places = set(np.linspace(0, len(names) - 1, min(most, len(names))).round().astype(int).tolist())
    if chosen in names and names.index(chosen) not in places:
        at = names.index(chosen)
        places.remove(min(places, key=lambda place: abs(place - at)))
        places.add(at)
    return [names[place] for place in sorted(places)]


def thresholds() -> None:
    """Where each verdict begins, and where that number comes from."""
    with st.expander(_("Where do the verdicts begin, and why there?"), icon=":material/rule:"):
        text = _(
            "No number here is a law: each stands between networks that were seen to learn and networks that were "
            "seen not to, or follows its source. Seeds move the evidence by a factor of 2 or so."
        )
        st.caption(text)
        rows = [
            {
                _("verdict"): ", ".join(_(diagnosis.TITLES[state]) for state in one.states),
                _("what is compared"): _(one.measure),
                _("begins"): one.limit,
                _("source"): _(one.source),
            }
            for one in diagnosis.THRESHOLDS
        ]
        st.table(rows)


def table(seen: Seen[GradientsFacts]) -> list[dict[str, Any]]:
    """One row a layer."""
    facts, norms = seen.facts, seen.arrays[NORMS]
    dead = dict(zip(facts.relus, seen.arrays[DEAD].tolist(), strict=True))
    saturated = dict(zip(facts.squashing, seen.arrays[SATURATED].tolist(), strict=True))
    size = dict(zip(facts.layers, norms.tolist(), strict=True))
    rows = []
    for name in dict.fromkeys([*facts.layers, *dead, *saturated]):
        rows.append(
            {
                _("layer"): name,
                _("gradient norm"): _number(size.get(name)),
                _("dead units"): _share(dead.get(name)),
                _("saturated outputs"): _share(saturated.get(name)),
                _("first state ÷ last"): _number(facts.through_time.get(name)),
            }
        )
    return rows


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"
