"""What the pages that look inside share: what is looked at, the question, and what stands under every picture.

Left: the sample, the layer, the moment of the training, the view's own options. Right, the stage: what the page draws.
"""

from __future__ import annotations

import html
import io
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.catalog.code import program
from core.catalog.entries import PICTURE, SEQUENCE, DataForm, View
from core.spec import registry, specs
from core.spec.facts import AboutSample
from core.spec.options import SpecError, declared
from core.spec.questions import Look, Seen
from core.spec.quoting import quoted
from core.spec.specs import DataSpec, Experiment, LayerSpec
from core.store.runs import Run
from pages import menu
from pages.kit import engine as doors
from pages.kit import forms, location, moments, starting, waiting
from pages.kit.network import made_of
from pages.kit.samples import png, sparkline
from pages.kit.words import Markdown, _, fill, plain

COLUMNS = [0.23, 0.77]  # what is looked at, and the stage
SIDE = 84  # pixels of the sample
SHOWN = "look.shown"  # (Look, Seen): the picture that stands until the next one is there
WORDS = 24  # tokens of the sample that are written out


def show(view: View, draw: Callable[[Seen[Any]], None]) -> None:
    """The page of a view: what is asked on the left, and the answer on the stage, drawn by `draw`."""
    seen, stage = at(view)
    if seen is not None:
        with stage:
            draw(seen)


def at(view: View) -> tuple[Seen[Any] | None, DeltaGenerator]:
    """Draw the left column of a view and ask for it.

    The answer is None where there is nothing to show: the stage then says why, how far it is, or what to do.
    """
    controls, stage = st.columns(COLUMNS, gap="medium")
    run = location.current()
    if run is None:
        with stage:
            without_run()
        return None, stage
    layers, form = made_of(run)
    if not view.applies(layers, form):
        with stage:
            without_part(run, view)
        return None, stage
    faults: forms.Faults = {}
    with controls.container(gap="small"):
        sample = st.container() if view.of_sample else None
        _layer(view, layers, form)
        step = moments.draw(run)
        options_form(view, faults, layers, form)
    if faults or step is None:
        if step is None:
            with stage:
                without_weights()
        return None, stage
    with stage:
        seen = _answered(asked(run, view, layers, form, step))
    if seen is not None and sample is not None:
        with sample:
            sample_card(seen.facts, seen.sample)
    return seen, stage


def _answered(question: Look) -> Seen[Any] | None:
    """The answer; until it is there, the one before it of the same view and run, with the progress laid over it."""
    kept: tuple[Look, Seen[Any]] | None = st.session_state.get(SHOWN)
    same = kept is not None and (kept[0].run, kept[0].view) == (question.run, question.view)
    before = kept[1] if kept is not None and same else None
    with nullcontext() if before is None else st.container(key="waiting_over"):
        seen = waiting.answer(question)
    if seen is not None:
        st.session_state[SHOWN] = question, seen
    return before if seen is None and waiting.under_way() else seen


def asked(run: Run, view: View, layers: tuple[LayerSpec, ...], form: DataForm, step: int) -> Look:
    """The question that the page's widgets ask."""
    offered = view.layers(layers, form)
    layer = location.layer() if location.layer() in offered else ""
    drawing = location.drawing() if view.of_sample else ""
    sample = location.sample() if view.of_sample or view.marks_sample else 0  # else another sample is no other question
    return Look(run.id, view.name, sample, layer, step, _options(view, _offered(view, layers, form)), drawing)


def choose(view: str, **values: Any) -> None:
    """Change options of a view from a callback, as if it had been done in its widgets."""
    known = declared(registry.VIEWS.get(view).options)
    for name, value in values.items():
        if name not in known:
            raise SpecError(name, f"{view} has no option {name}.")
        st.session_state[_key(view, name)] = value


def _key(view: str, option: str) -> str:
    return f"look_{view}.{option}"


def options_form(view: View, faults: forms.Faults, layers: tuple[LayerSpec, ...], form: DataForm) -> None:
    """The view's own options, those that can matter for the chosen layer."""
    if declared(view.options):
        offered = _offered(view, layers, form)
        forms.options_form(f"look_{view.name}", view.options, faults, offers=lambda name: name in offered)


def _offered(view: View, layers: tuple[LayerSpec, ...], form: DataForm) -> list[str]:
    """The view's options that can matter for the chosen layer."""
    names = view.layers(layers, form)
    wanted = location.layer() if location.layer() in names else names[0] if names else ""
    chosen = next((layer for layer in layers if layer.name == wanted), None)
    return [name for name in declared(view.options) if view.offers(name, chosen, layers, form)]


def _options(view: View, offered: list[str]) -> Any:
    given = {
        name: st.session_state[_key(view.name, name)]
        for name in offered
        if st.session_state.get(_key(view.name, name)) is not None
    }
    return specs.options_of(view.options, given)


def without_run() -> None:
    """What to do where no run is chosen."""
    st.info(_("Choose a run above, or train one: this page looks into it."), icon=":material/show_chart:")
    if st.button(_("Train a network"), type="primary"):
        menu.go(menu.TRAIN)


def without_part(run: Run, view: View) -> None:
    """What the run's network lacks for this view, and a button that trains one that has it."""
    st.info(plain(_(view.needs)), icon=":material/visibility_off:")
    if experiment := having(view, run.experiment().data):
        model, data = (
            registry.ARCHITECTURES.get(experiment.model.architecture),
            registry.DATASETS.get(experiment.data.name),
        )
        st.button(
            fill(_("Train {model} on {data}"), model=_(model.title), data=_(data.title)),
            type="primary",
            icon=":material/play_arrow:",
            on_click=starting.start,
            args=(experiment,),
            key="look.train",
        )


def having(view: View, data: DataSpec) -> Experiment | None:
    """A preset that this view can look into: on the same data where there is one, else on data that needs no file."""
    others = [DataSpec(one.name, one.options()) for one in sorted(registry.DATASETS, key=lambda one: one.files)]
    for spec in (data, *others):
        form = registry.DATASETS.get(spec.name).form(spec.options)
        for one in registry.ARCHITECTURES:
            if (
                form.kind in one.takes
                and form.task in one.tasks
                and view.applies(one.layers(one.options(), form), form)
            ):
                return replace(specs.preset(one.name, spec.name), data=spec)
    return None


def without_weights() -> None:
    """Why there is nothing to see of a run that has just begun."""
    st.info(_("This run keeps no weights yet; they come with its first step."), icon=":material/hourglass_empty:")


def _layer(view: View, layers: tuple[LayerSpec, ...], form: DataForm) -> None:
    offered = view.layers(layers, form)
    if len(offered) < 1:
        return
    key = location.steered("look.layer", location.layer() if location.layer() in offered else offered[0])
    kinds = {layer.name: _(registry.LAYERS.get(layer.kind).title) for layer in layers}
    st.selectbox(
        _("layer"),
        offered,
        key=key,
        format_func=lambda n: f"{n} · {kinds[n]}" if n in kinds else n,
        on_change=lambda: location.look_at(layer=st.session_state[key]),
    )


# ── the sample ───────────────────────────────────────────────────────────────────────────────────────────────────────


def sample_card(facts: AboutSample, number: int) -> None:
    """The sample, what it is, and what the network says it is."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        picture = sample_html(facts.kind, facts.shown, facts.vocabulary)
        st.html(picture, width="content" if facts.kind in (PICTURE, SEQUENCE) else "stretch")
        st.markdown(_answer(facts, number))
    if location.drawing() and st.button(_("Back to the test samples"), icon=":material/undo:", type="tertiary"):
        location.look_at(drawing="")
        st.rerun()


def _answer(facts: AboutSample, number: int) -> Markdown:
    name = _("your drawing") if location.drawing() else _("sample {n}").format(n=number)
    said = [f"**{plain(name)}**"]
    if facts.target:
        said.append(fill(_("target: {target}"), target=quoted(facts.target, 40)))
    sure = f" ({facts.confidence:.0%})" if facts.confidence else ""
    right = facts.target in ("", facts.predicted) or not facts.confidence
    answer = fill(_("predicted: {predicted}"), predicted=quoted(facts.predicted, 40) + sure)
    return Markdown("  \n".join([*said, answer if right else f":red[{answer}]"]))


def sample_html(kind: str, shown: np.ndarray, vocabulary: Sequence[str] = ()) -> str:
    """A sample as people see it, small."""
    if kind == PICTURE:
        return f'<img class="ll-sample" src="{png(shown)}" alt="" width="{SIDE}" height="{SIDE}">'
    if kind == SEQUENCE:
        return f'<img src="{sparkline(shown, [])}" alt="" width="150" height="45">'
    if vocabulary:
        words = [vocabulary[int(token)] for token in shown if int(token)]
        text = (" " if any(len(word) > 1 for word in words) else "").join(words[:WORDS])
        return f"<small>{html.escape(text)}{'…' if len(words) > WORDS else ''}</small>"
    return f"<small>{html.escape(', '.join(f'{float(v):.2f}' for v in np.ravel(shown)[:8]))}</small>"


# ── under the pictures ───────────────────────────────────────────────────────────────────────────────────────────────


def say(seen: Seen[Any]) -> None:
    """The view's sentences."""
    with st.container(gap="xsmall"):
        for sentence in seen.words:
            st.markdown(f":small[{plain(sentence)}]")


def below(seen: Seen[Any], table: Sequence[dict[str, Any]] | None = None, words: bool = True) -> None:
    """The view's sentences; then its table, its arrays to download, and the lines of PyTorch that compute them."""
    if words:
        say(seen)
    shown = beneath(table=bool(table), arrays=bool(seen.arrays), code=bool(seen.code))
    if shown == "table":
        rows(table or ())
    elif shown == "arrays":
        arrays(seen)
    elif shown == "code":
        st.code(seen.code, language="python")
        _program(seen)


def _program(seen: Seen[Any]) -> None:
    """The lines as a program of their own."""
    kept: tuple[Look, Seen[Any]] | None = st.session_state.get(SHOWN)
    if kept is None or kept[1].code != seen.code:
        return
    asked = replace(kept[0], step=seen.step, sample=seen.sample, layer=seen.layer)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.download_button(
            _("Download the whole program"),
            lambda: program(asked, str(doors.store().root), f"{seen.names}\n{seen.code}" if seen.names else seen.code),
            f"{seen.view}.py",
            "text/x-python",
            icon=":material/download:",
            key="look.program",
        )
        st.caption(_("`network` and `x` are this run's network and sample: the program loads both first."))


def beneath(**there: bool) -> str | None:
    """Which of table, arrays and code is to be seen; those that are `there` are offered."""
    titles = {"table": _("Table"), "arrays": _("Arrays"), "code": _("PyTorch")}
    offered = [name for name in titles if there[name]]
    location.keep("look.beneath", None, lambda text: text if text in offered else None)
    return st.segmented_control(
        _("beneath"),
        offered,
        format_func=lambda n: titles[n],
        key="look.beneath",
        label_visibility="collapsed",
        persist_state="session",
    )


def rows(table: Sequence[dict[str, Any]]) -> None:
    """A table; a long one scrolls."""
    st.dataframe(list(table), hide_index=True, height="content" if len(table) < 8 else 240)


def arrays(seen: Seen[Any]) -> None:
    """Every array with its shape, to download together or one as lines."""
    st.dataframe(
        [{_("array"): n, _("shape"): "×".join(map(str, a.shape)) or "1"} for n, a in seen.arrays.items()],
        hide_index=True,
        height="content" if len(seen.arrays) < 8 else 240,
    )
    stem = f"{seen.view}-step{seen.step}"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.download_button(
            _("Download all (npz)"),
            lambda: npz(seen),
            f"{stem}.npz",
            on_click="ignore",
            key="look.npz",
            icon=":material/download:",
        )
        name = st.selectbox(_("array"), list(seen.arrays), key="look.csv_of", label_visibility="collapsed", width=220)
        st.download_button(
            _("This one (CSV)"),
            lambda: csv(seen.arrays[name]),
            f"{stem}-{name.replace('/', '-')}.csv",
            key="look.csv",
            on_click="ignore",
            icon=":material/download:",
        )


def npz(seen: Seen[Any]) -> bytes:
    """Every array, for numpy.load."""
    held = io.BytesIO()
    np.savez(held, **seen.arrays)  # type: ignore[arg-type]
    return held.getvalue()


def csv(array: np.ndarray) -> str:
    """An array as lines: every axis but the last is an index column."""
    flat = array.reshape(-1, array.shape[-1]) if array.ndim else array.reshape(1, 1)
    lead = array.shape[:-1]
    head = [f"axis{i}" for i in range(len(lead))] + [str(i) for i in range(flat.shape[1])]
    lines = [",".join(head)]
    for row, values in enumerate(flat):
        index = np.unravel_index(row, lead) if lead else ()
        lines.append(",".join([*(str(int(i)) for i in index), *(f"{value:.7g}" for value in values.tolist())]))
    return "\n".join(lines) + "\n"
