"""Figure cards: a picture with its choice of scale, its alt text, and its table one click away."""

from __future__ import annotations

import streamlit as st

from core.figures import curves
from core.figures.curves import Curve
from core.store import history
from core.store.runs import Run
from pages.kit import live, stage
from pages.kit.run_bar import label
from pages.kit.words import _


def overlay(runs: list[Run], marked: int) -> None:
    """The curves of several runs over each other."""
    metrics = {
        "train/loss": (_("training loss"), _("loss (nats)")),
        "val/loss": (_("validation loss"), _("loss (nats)")),
        "train/accuracy": (_("training accuracy"), _("accuracy (share of 1)")),
        "val/accuracy": (_("validation accuracy"), _("accuracy (share of 1)")),
    }
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        metric = st.segmented_control(
            _("curve"),
            list(metrics),
            format_func=lambda m: metrics[m][0],
            default="train/loss",
            required=True,
            key="runs.metric",
            label_visibility="collapsed",
        )
        log = st.toggle(_("log scale"), key="runs.log")
        if marked > len(runs):
            st.caption(_("The first {n} of {all} marked runs.").format(n=len(runs), all=marked))
    lines = [_curve(run.id, run, metric, run.log_size()) for run in runs]
    title, axis = metrics[metric]
    said = _("{name}: from {first} to {last} at step {step}.")
    picture = curves.overlay(lines, x_title=_("step"), y_title=axis, log=log, colors=colors())
    words = f"{title}. {curves.alt(lines, said)}"
    st.plotly_chart(picture, key="runs.overlay", alt=words, config={"displaylogo": False})
    if any(line.best is not None for line in lines):
        st.caption(_("★ the smallest validation loss: the weights of this step are kept as the best."))
    with st.expander(_("Table"), icon=":material/table:"):
        heads = {
            "name": _("run"),
            "points": _("points"),
            "first": _("first"),
            "lowest": _("lowest"),
            "highest": _("highest"),
            "last": _("last"),
            "last_step": _("last step"),
        }
        st.dataframe([{heads[k]: v for k, v in row.items()} for row in curves.table(lines)], hide_index=True)


def colors() -> list[str]:
    """The theme's colours for things that are told apart; st.plotly_chart does not take them by itself."""
    return list(st.get_option(f"theme.{st.context.theme.type or 'light'}.chartCategoricalColors") or [])


@st.cache_data(max_entries=64, show_spinner=False)
def _curve(run_id: str, _run: Run, metric: str, size: int) -> Curve:
    # kept until the log has grown; run_id and size are there to be hashed
    steps, values = history.curve(_run, metric)
    name, labels = label(_run), stage.loss_floor(_run)[1] if metric == "train/loss" else ""
    if labels:  # its loss has another footing than that of the others
        name = f"{name} ({live.floor_words(1.0, labels)['name']})"
    best = _run.best_step() if metric.startswith("val/") else None
    return Curve(name, steps, values, best)
