"""What can be said of a model before it is trained: its size, or why it cannot work and one way to mend it."""

from __future__ import annotations

import streamlit as st

from core import registry, specs
from core.catalog.entries import WORDS
from core.questions import Describe, Description
from core.specs import Experiment
from pages.kit import engine as doors
from pages.kit import forms
from pages.kit.setup import Asked
from pages.kit.words import _, many


def draw(asked: Asked) -> None:
    """Under the preset: its size, or why it cannot be, with one way to mend it. A fault makes the start impossible."""
    experiment = asked.experiment
    misfit = _misfit(experiment)
    if misfit:
        asked.faults["model"] = misfit
        forms.mistake(misfit)
        return
    found = described(specs.content_id((experiment.model, experiment.data)), experiment)
    for problem in found.problems[:3]:
        asked.faults["model"] = problem.message
        forms.mistake(problem.message, problem.fix)
    if not found.problems:
        text = _("{params} parameters · {macs} multiply-adds a sample")
        st.caption(text.format(params=f"{found.params:,}", macs=many(found.macs)))


def _misfit(experiment: Experiment) -> str:
    architecture = registry.ARCHITECTURES.get(experiment.model.architecture)
    form = registry.DATASETS.get(experiment.data.name).form(experiment.data.options)
    if experiment.model.layers or form.kind in architecture.takes:
        return ""
    fitting = [_(e.title) for e in registry.DATASETS if e.form(e.options()).kind in architecture.takes]
    data = _(registry.DATASETS.get(experiment.data.name).title)
    text = _("The {model} reads {wanted}; {data} gives {given}. Choose other data ({fitting}) or another preset.")
    return text.format(
        model=_(architecture.title), wanted=_(" or ").join(_(WORDS[kind]) for kind in architecture.takes),
        data=data, given=_(WORDS[form.kind]), fitting=", ".join(fitting),
    )  # fmt: skip


@st.cache_data(max_entries=500, show_spinner=False)
def described(content: str, _experiment: Experiment) -> Description:
    """The layers of a model as the engine describes them; asked once for each content id."""
    return doors.engine().ask(Describe(_experiment.model, _experiment.data))
