"""The list of all runs: what is shown of each, and what can be done with those that are marked."""

from __future__ import annotations

import datetime
import math
from typing import Any

import streamlit as st

from core.engine.protocol import EngineError, EngineGone
from core.spec import events
from core.spec.events import Command, Status
from core.store.files import StoreError
from core.store.glance import glance
from core.store.runs import Run
from pages import menu
from pages.kit import engine as doors
from pages.kit import location, trouble
from pages.kit.boundary import answered
from pages.kit.run_bar import kinds, own_name
from pages.kit.words import _, fill, plain, size, state_word

KEY = "runs.table"
ROOM = 300  # pixels: the head and seven rows and a half, so that one sees that there are more


def rows(runs: list[Run]) -> list[dict[str, Any]]:
    """One row a run, in the order given; of a damaged one its name, and what is wrong with it."""
    active: dict[str, Status] = {}
    try:
        active = {run: state.status for run, state in doors.engine().runs().items()}
    except EngineGone as error:  # the folder says the rest
        trouble.met(error)
    return [_row(run, active.get(run.id)) for run in runs]


def _row(run: Run, status: Status | None) -> dict[str, Any]:
    found: dict[str, Any] = {"id": run.id, "name": f"#{run.id[:4]}", "what": "", "state": _("damaged"), "damage": ""}
    try:
        about, what, status, seen = run.about(), kinds(run), status or run.status(), glance(run)
    except StoreError as error:
        return found | {"what": str(error), "damage": str(error)}
    return found | {
        "name": f"#{run.id[:4]} {own_name(run, str(about.get('name', '')))}".rstrip(),
        "what": what,
        "state": state_word(status.state),
        "raw_state": status.state,
        "step": status.step,
        "steps": status.steps,
        "progress": f"{status.step:,} / {status.steps:,}",
        "best": _percent(seen.best_accuracy),
        "test": _percent(seen.test_accuracy),
        "loss": [loss for loss in seen.loss if math.isfinite(loss)],
        "size": size(run.bytes()),
        "created": about.get("created", 0),
    }


def matching(found: list[dict[str, Any]], words: str) -> list[dict[str, Any]]:
    """The rows in which every word occurs: in the name, the preset, the data set, the state or the id."""

    def text(row: dict[str, Any]) -> str:
        return f"{row['name']} {row['what']} {row['state']} #{row['id']}".lower()

    return [row for row in found if all(word in text(row) for word in words.lower().split())]


def table(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Draw the rows; those that are marked."""
    shown = [row | {"created": _when(row.get("created"))} for row in found]
    column, number = st.column_config, st.column_config.NumberColumn
    order = ("name", "what", "state", "progress", "best", "test", "loss", "size", "created")
    event = st.dataframe(
        shown,
        key=KEY,
        on_select="rerun",
        selection_mode="multi-row",
        hide_index=True,
        column_order=order,
        placeholder="–",
        height=min(ROOM, 35 * (len(shown) + 1) + 3),
        alt=_("{n} runs, newest first").format(n=len(shown)),
        column_config={
            "name": column.TextColumn(_("run"), width="medium"),
            "what": column.TextColumn(_("preset on data")),
            "state": column.TextColumn(_("state"), width="small"),
            "progress": column.TextColumn(_("step / steps"), width="small"),
            "best": number(_("best validation accuracy"), format="%.1f %%"),
            "test": number(_("test accuracy"), format="%.1f %%", help=_("measured on the test set at the end")),
            "loss": column.LineChartColumn(_("training loss"), width="small", y_min=0),
            "size": column.TextColumn(_("size"), width="small"),
            "created": column.DatetimeColumn(_("created"), format="YYYY-MM-DD HH:mm"),
        },
    )
    return [found[i] for i in event["selection"]["rows"] if i < len(found)]


def _percent(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _when(seconds: Any) -> Any:
    return datetime.datetime.fromtimestamp(seconds) if seconds else None


def actions(marked: list[dict[str, Any]]) -> None:
    """Open, look inside, resume, rename, delete; each enabled where it can act."""
    one = marked[0] if len(marked) == 1 else None
    whole = one is not None and not one["damage"]
    with st.container(horizontal=True, gap="small", key="runs_actions"):
        if st.button(_("Open"), type="primary", disabled=not whole, icon=":material/open_in_full:") and one:
            location.choose(one["id"])
            menu.go(menu.TRAIN)
        if st.button(_("Look inside"), disabled=not whole, icon=":material/visibility:") and one:
            location.choose(one["id"])
            menu.go(menu.LOOK)
        if st.button(_("Resume"), disabled=not (one and resumable(one)), icon=":material/play_arrow:") and one:
            doors.engine().command(one["id"], Command("resume"))
            location.choose(one["id"])
            menu.go(menu.TRAIN)
        if st.button(_("Rename"), disabled=not whole, icon=":material/edit:") and one:
            _rename(one)
        if st.button(_("Delete"), disabled=not marked, icon=":material/delete:"):
            _delete(marked)


def resumable(row: dict[str, Any]) -> bool:
    """Did the run end, or is it held, before its last step?"""
    ended = (events.PAUSED, events.STOPPED, events.FAILED)
    return row.get("raw_state") in ended and row["step"] < row["steps"]


def damages(marked: list[dict[str, Any]]) -> None:
    """What is wrong with the damaged ones of these."""
    for row in [row for row in marked if row["damage"]][:8]:
        words = _("This run is damaged: {reason} Delete it, or mend its folder.")
        st.warning(fill(words, reason=row["damage"]), icon=":material/broken_image:")


@st.dialog(_("Rename the run"))
def _rename(row: dict[str, Any]) -> None:
    with answered():
        run = doors.store().run(row["id"])
        name = st.text_input(_("Name"), str(run.about().get("name", "")), max_chars=80)
        if st.button(_("Rename"), type="primary", disabled=not name.strip(), key="rename.yes"):
            run.note(name=name.strip())
            st.rerun()


@st.dialog(_("Delete for good?"))
def _delete(marked: list[dict[str, Any]]) -> None:
    for row in marked[:8]:
        st.text(" · ".join(part for part in (row["name"], row["what"]) if part))
    if len(marked) > 8:
        st.text(_("and {n} more").format(n=len(marked) - 8))
    st.caption(_("Their numbers and weights go; this cannot be undone. A run that is going on is stopped."))
    if st.button(_("Delete {n}").format(n=len(marked)), type="primary", key="delete.yes"):
        for row in marked:
            try:
                doors.delete(row["id"])
            except EngineGone:
                raise
            except (EngineError, StoreError) as error:
                st.error(plain(str(error)))
                return
        st.session_state.pop(KEY, None)
        st.rerun()
