"""What can be said of a model before it is trained: its size, or why it cannot work and one way to mend it."""

from __future__ import annotations

import streamlit as st

from core.catalog.entries import TASKS, WORDS, Architecture, DataForm
from core.engine.protocol import EngineGone
from core.spec import registry, specs
from core.spec.questions import Describe, Description, Problem
from core.spec.sentences import Sentence
from core.spec.specs import Experiment
from pages.kit import engine as doors
from pages.kit import forms, setup, trouble
from pages.kit.setup import Asked
from pages.kit.words import _, fill, many, plain


def draw(asked: Asked) -> None:
    """Under the preset: its size, or why it cannot be, with one way to mend it. A fault makes the start impossible."""
    experiment = asked.experiment
    wrong = asked.faults.get("model") or misfit(experiment)
    if wrong:
        asked.faults["model"] = wrong
        forms.mistake(wrong)
        return
    try:
        found = description(experiment)
    except EngineGone as error:  # the form and the buttons stand all the same
        trouble.met(error)
        return
    for problem in found.problems[:3]:
        asked.faults["model"] = problem.message
        named = Sentence("{layer}: {message}", layer=problem.layer, message=problem.message)
        forms.mistake(named if problem.layer else problem.message, problem.fix)
    if found.problems and experiment.model.layers:
        _ways_out(experiment, found.problems[0])
    for remark in found.remarks[:2]:
        st.warning(plain(said(remark)), icon=":material/info:")
    if not found.problems:
        text = _("{params} parameters · {macs} multiply-adds a sample")
        st.caption(text.format(params=f"{found.params:,}", macs=many(found.macs)))


def _ways_out(experiment: Experiment, problem: Problem) -> None:
    """An own network that cannot work: mend it, go back to the data it was built for, or take a preset that fits."""
    with st.container(gap="xsmall", key="own.ways"):
        if problem.mended:
            mend = fill(_("Keep it: {fix}"), fix=problem.fix)
            st.button(mend, key="own.mend", on_click=setup.keep_layers, args=(problem.mended,), icon=":material/build:")
        if before := setup.built_for():
            back = fill(_("Back to {data}"), data=_(registry.DATASETS.get(before).title))
            st.button(back, key="own.back", on_click=setup.use_data, args=(before,), icon=":material/undo:")
        for preset in fitting_presets(experiment)[:1]:
            use = fill(_("Use the preset {name}"), name=_(preset.title))
            st.button(use, key="own.preset", on_click=setup.use_preset, args=(preset.name,), icon=":material/layers:")


def said(remark: Problem) -> str:
    """What a model that can be trained would do badly, and one way to mend it, in one line."""
    return _(remark.sentence())


def misfit(experiment: Experiment) -> str:
    """Why the preset cannot serve the data at all, in a sentence; empty where it can."""
    if experiment.model.layers or _serves(registry.ARCHITECTURES.get(experiment.model.architecture), experiment):
        return ""
    architecture, form = registry.ARCHITECTURES.get(experiment.model.architecture), form_of(experiment)
    data = _(registry.DATASETS.get(experiment.data.name).title)
    if form.kind in architecture.takes:
        text = _("The {model} gives {given}; {data} asks for {wanted}. Choose another preset.")
        given = _(" or ").join(_(TASKS[task]) for task in architecture.tasks)
        return text.format(model=_(architecture.title), given=given, data=data, wanted=_(TASKS[form.task]))
    fitting = [_(e.title) for e in registry.DATASETS if e.form(e.options()).kind in architecture.takes]
    text = _("The {model} reads {wanted}; {data} gives {given}. Choose other data ({fitting}) or another preset.")
    return text.format(
        model=_(architecture.title),
        wanted=_(" or ").join(_(WORDS[kind]) for kind in architecture.takes),
        data=data,
        given=_(WORDS[form.kind]),
        fitting=", ".join(fitting),
    )


def fitting_presets(experiment: Experiment) -> list[Architecture]:
    """The presets that can serve the experiment's data, in the catalog's order."""
    return [one for one in registry.ARCHITECTURES if _serves(one, experiment)]


def form_of(experiment: Experiment) -> DataForm:
    """What the experiment's data gives, and what it asks for."""
    form: DataForm = registry.DATASETS.get(experiment.data.name).form(experiment.data.options)
    return form


def _serves(architecture: Architecture, experiment: Experiment) -> bool:
    form = form_of(experiment)
    return form.kind in architecture.takes and form.task in architecture.tasks


def description(experiment: Experiment) -> Description:
    """What the engine says of the model: its layers, sizes, code, and what is wrong with it."""
    question = Describe(experiment.model, experiment.data, experiment.train.batch_size)
    return _described(specs.content_id((question.model, question.data, question.batch_size)), question)


@st.cache_data(max_entries=500, show_spinner=False)
def _described(content: str, _question: Describe) -> Description:
    # asked once for each content id
    return doors.engine().ask(_question)
