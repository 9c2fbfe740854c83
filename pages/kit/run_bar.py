"""The bar on top of every page: its name, which run and which sample everything is about, and how the run goes."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.engine.protocol import EngineError, EngineGone, RunState
from core.spec import specs
from core.spec.events import ENDED
from core.store.files import StoreError
from core.store.runs import Run
from pages.kit import copy_link, leftovers, location, trouble
from pages.kit import engine as doors
from pages.kit.words import STATE_ICONS, Markdown, _, about, fill, plain, state_word

OFFERED = 50  # newest runs in the picker; the runs page has them all
TICK = 1.0  # seconds between two looks at a run that is not over
_PICK = "run_bar.run"


def draw(title: Markdown, *, counting: bool = True, drafting: bool = False) -> DeltaGenerator:
    """Draw the bar; the answer is its place for the state.

    While the run goes on its status ticks; when its state changes, the whole page follows.

    title: of the page; the menu is closed, and does not say which page this is.
    counting=False leaves the steps out, for a page whose live stage counts them faster. drafting=True leaves the whole
    state out, for a page that is about a draft and not about the run: it is told there (pages.kit.draft).
    """
    run = location.current()
    with st.container(key="run_bar"):
        shares = [0.18, 0.28, 0.32, 0.15, 0.07]
        name, picker, status, sample, link = st.columns(shares, vertical_alignment="center")
        with name:
            st.title(title, anchor=False)
        with picker:
            _picker(run)
        if not drafting:
            with status:
                _status(run, counting)
        with sample:
            st.number_input(
                _("sample"),
                0,
                leftovers.last_sample(run.id, location.LAST_SAMPLE) if run else location.LAST_SAMPLE,
                step=1,
                key="sample",
                persist_state="session",
                icon=":material/image_search:",
                label_visibility="collapsed",
                on_change=_sampled,
            )
        with link:
            copy_link.draw()
    return status


def _picker(run: Run | None) -> None:
    offered = doors.store().runs()[:OFFERED]
    labels = {other.id: label(other) for other in ([*offered, run] if run else offered)}
    key = location.steered(_PICK, run.id if run and run.id in labels else None)
    st.selectbox(
        _("run"),
        list(labels),
        format_func=lambda id_: labels.get(id_, id_[:4]),
        key=key,
        on_change=_picked,
        args=(key,),
        placeholder=_("no run yet") if not labels else _("choose a run"),
        disabled=not labels,
        label_visibility="collapsed",
        icon=":material/show_chart:",
    )


def _picked(key: str) -> None:
    location.choose(st.session_state[key] or "")


def _sampled() -> None:
    location.look_at(sample=int(st.session_state["sample"]))


def label(run: Run) -> str:
    """name · preset on data · #id4; the middle is left out where the name says it already."""
    try:
        name, what = str(run.about()["name"]), kinds(run)
    except (StoreError, KeyError):
        return f"#{run.id[:4]}"
    return " · ".join(part for part in (own_name(run, name), what, f"#{run.id[:4]}") if part)


def own_name(run: Run, name: str) -> str:
    """The name that somebody has given the run; "" where it is called after what it is, also by an older LayerLab."""
    experiment = run.experiment()
    called = (kinds(run), f"{experiment.model.architecture} on {experiment.data.name}")
    return "" if name in called else name


@lru_cache(maxsize=4000)
def kinds(run: Run) -> str:
    """`cnn on digits`. An experiment is written once and never changed, so it is read once."""
    return specs.title(run.experiment())


def _status(run: Run | None, counting: bool) -> None:
    if run is None:
        st.caption(_("Train a network, or choose a run: every page is about it."))
        return
    state = state_of(run)
    if state is None:
        st.caption(_("This run cannot be read."))
    elif state.status.state in ENDED:
        st.markdown(words_of(state, counting))
    else:
        st.fragment(_ticking, run_every=TICK)(run, [state], counting)


def _ticking(run: Run, drawn: list[RunState], counting: bool) -> None:
    """`drawn`: the state that the whole page was drawn with, a second time once it has been shown."""
    if len(drawn) == 1:  # drawn with the page; a rerun here would lose what the page has written into the address
        drawn.append(drawn[0])
        st.markdown(words_of(drawn[0], counting))
        return
    state = state_of(run)
    if state is None or state.status.state != drawn[0].status.state:
        st.rerun(scope="app")  # the whole page follows: buttons, links, or what went wrong
    st.markdown(words_of(state, counting))


def words_of(state: RunState, counting: bool = True) -> Markdown:
    """One line: the state, how far, and what is to be said of it."""
    at = state.status
    line = f"{STATE_ICONS[at.state]} **{plain(state_word(at.state))}**"
    if counting:
        line += " · " + _("step {step} of {steps}").format(step=f"{at.step:,}", steps=f"{at.steps:,}")
    if state.place:
        line += " · " + fill(_("place {place} in the queue"), place=state.place)
        line += ", " + (_("nobody can say yet when it begins") if state.wait is None else plain(about(state.wait)))
    if state.silent:
        line += " · " + fill(_("its worker has been silent for {n} s"), n=state.silent)
    return Markdown(line)


def state_of(run: Run) -> RunState | None:
    """The run as the engine sees it, or as its folder says while there is no engine; None where it cannot be read."""
    try:
        return doors.engine().state(run.id)
    except EngineGone as error:
        trouble.met(error)
        with suppress(StoreError):
            return RunState(run.id, run.status())
    except (EngineError, StoreError):
        pass
    return None
