"""What is asked on the page "Side by side": methods, target, options, layer and seed.

Methods and target live in the address (`why`, `target`), as what every page follows does: where the address names
them it is the truth, else the session writes them back into it. Options are the memory of their own widgets.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from core.catalog import entries
from core.catalog.entries import CONTROL, EACH_STEP, NUMBER, WITHHELD, DataForm, Method, Size
from core.spec import specs
from core.spec.options import Options, SpecError, declared
from core.spec.questions import PREDICTED, TRUE, MethodFit
from core.spec.quoting import quoted, whole
from core.spec.registry import METHODS
from pages.kit import forms, leftovers, location
from pages.kit.words import Markdown, _, plain

_METHODS, _TARGET = "why.methods", leftovers.WHY_TARGET
_NOTICES = "why.notices"  # the run whose link could not be followed, and what is to be said of it
_SEED, _OF, _LAYER = "why.seed", "why.of", "why.layer"
# How often the switch has set the pills, and the pills the switch; a part of their keys. A rerun that was on its way
# when one was set by the other still carries its old value, which would count as a choice and undo the new one.
_PILLS_SET, _SWITCH_SET = "why.pills_set", "why.switch_set"
_KEEP: dict[str, Any] = {"persist_state": "session"}
_WRITTEN = re.compile(r"(predicted|true|\d{1,6})(?:-(predicted|true|\d{1,6}))?(?:@(\d{1,6}))?")
LAST_SEED = 999_999


def family_word(family: str) -> Markdown:
    """What a family of methods is called."""
    return plain(
        {
            entries.GRADIENT: _("Gradients at the input"),
            entries.PATH: _("Along a way from a baseline"),
            entries.RULE: _("Changed rules backwards"),
            entries.PERTURBATION: _("Parts left out"),
            entries.LAYER: _("By a layer"),
            entries.NEURON: _("Of one unit"),
            CONTROL: _("Controls"),
        }[family]
    )


# ── the address ──────────────────────────────────────────────────────────────────────────────────────────────────────


def follow(form: DataForm, run: str) -> list[str]:
    """Take over what the address says and write the rest into it; a sentence for everything that cannot be.

    The sentences stay until something else is chosen: the page draws itself again when its maps have arrived.
    """
    notices = []
    given = location.address()
    if "why" in given:
        wanted = [name for name in given["why"].split(",") if name][:100]
        if unknown := [name for name in wanted if name not in METHODS]:
            notices.append(
                _("The link names methods that are not known here: {names}.").format(
                    names=", ".join(quoted(name, 40) for name in unknown[:5])
                )
            )
        st.session_state[_METHODS] = [name for name in METHODS.names() if name in wanted] or default(form)
    if "target" in given:
        st.session_state[_TARGET] = given["target"]
    wanted_target = st.session_state.get(_TARGET, PREDICTED)
    if not _can_be(wanted_target, form):
        notices.append(
            _("{target} is no target here; what was predicted is explained.").format(
                target=f"“{quoted(wanted_target, 20)}”"
            )
        )
        st.session_state[_TARGET] = PREDICTED
    write(form)
    if notices:
        st.session_state[_NOTICES] = (run, notices)
    of, told = st.session_state.get(_NOTICES, ("", []))
    return list(told) if of == run else []


def write(form: DataForm) -> None:
    """Make the address say what is asked, as far as it is not what the page begins with."""
    names = chosen(form)
    values = {"why": "" if names == default(form) else ",".join(names), "target": st.session_state.get(_TARGET, "")}
    values["target"] = "" if values["target"] == PREDICTED else values["target"]
    location.say(values)


# ── methods ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def default(form: DataForm) -> list[str]:
    """The methods that the page begins with: those of the panel that are for this kind of data."""
    return [method.name for method in METHODS if method.panel and form.kind in method.takes]


def chosen(form: DataForm) -> list[str]:
    """The methods to show, in the order of the catalog."""
    wanted = st.session_state.get(_METHODS)
    return default(form) if wanted is None else [name for name in METHODS.names() if name in wanted]


def method_fields(form: DataForm) -> None:
    """The choice of methods, family by family, and the switch of the controls."""
    names = chosen(form)
    families = {family: [m for m in METHODS if m.family == family] for family in _families()}
    with st.popover(
        _("Methods: {n} of {all}").format(n=len(names), all=len(METHODS.names())),
        width="stretch",
        icon=":material/view_column:",
    ):
        for family, known in families.items():
            offered = [method.name for method in known]
            st.session_state[_pills(family)] = [name for name in offered if name in names]
            st.pills(
                family_word(family),
                offered,
                selection_mode="multi",
                key=_pills(family),
                format_func=lambda name: plain(_(METHODS.get(name).title)),
                on_change=_pick,
                args=(form,),
            )
        st.button(
            _("As at first"),
            icon=":material/undo:",
            type="tertiary",
            on_click=_reset,
            args=(form,),
            disabled=names == default(form),
            key="why.reset",
        )
    controls = [method.name for method in METHODS if method.family == CONTROL]
    st.session_state[_switch()] = bool(controls) and set(controls) <= set(names)
    st.toggle(
        _("controls beside them"),
        key=_switch(),
        on_change=_toggle,
        args=(controls, form),
        help=_(
            "Maps that know nothing of the network, or of what it has learned. A method whose map looks like one of "
            "them tells as little."
        ),
    )


def _families() -> list[str]:
    return list(dict.fromkeys(method.family for method in METHODS))


def _pick(form: DataForm) -> None:
    _choose([name for family in _families() for name in st.session_state[_pills(family)]], form)
    _count(_SWITCH_SET)


def _toggle(controls: list[str], form: DataForm) -> None:
    others = [name for name in chosen(form) if name not in controls]
    _choose([*others, *(controls if st.session_state[_switch()] else ())], form)
    _count(_PILLS_SET)


def _reset(form: DataForm) -> None:
    _choose(None, form)
    _count(_PILLS_SET)
    _count(_SWITCH_SET)


def _pills(family: str) -> str:
    """The key of the pills of a family of methods."""
    return f"why.family.{family}.{st.session_state.get(_PILLS_SET, 0)}"


def _switch() -> str:
    """The key of the controls' switch."""
    return f"why.controls.{st.session_state.get(_SWITCH_SET, 0)}"


def _count(name: str) -> None:
    st.session_state[name] = st.session_state.get(name, 0) + 1


def _choose(names: list[str] | None, form: DataForm) -> None:
    if names is None or sorted(names) == sorted(default(form)):
        st.session_state.pop(_METHODS, None)
    else:
        st.session_state[_METHODS] = names
    st.session_state.pop(_NOTICES, None)
    write(form)


# ── the target ───────────────────────────────────────────────────────────────────────────────────────────────────────


def target() -> str:
    """What is to be explained, as core.spec.questions.Explain writes it."""
    return str(st.session_state.get(_TARGET, PREDICTED))


def _can_be(written: str, form: DataForm) -> bool:
    found = _WRITTEN.fullmatch(written)
    if found is None:
        return False
    which, other, step = found.groups()
    classes = [int(part) for part in (which, other) if part and part.isdigit()]
    if form.task == NUMBER:
        return written == PREDICTED
    if step is not None and (form.task != EACH_STEP or int(step) >= form.shape[0]):
        return False
    true = TRUE in (which, other) and bool(location.drawing())
    return all(number < form.classes for number in classes) and which != other and not true


def target_fields(form: DataForm, names: Sequence[str], run: str) -> None:
    """Which answer is to be explained, and against which other one. `names`: of the classes, () if not known.

    A browser sends back what was chosen as it is written there. So that it is never read among other names, each run
    has fields of its own, and other ones as long as the names are not known.
    """
    if form.task == NUMBER:
        return
    at = {part: f"why.{part}.{run[:8]}.{len(names)}" for part in ("which", "other", "step")}
    written = _WRITTEN.fullmatch(target())
    assert written is not None  # see follow
    which, other, step = written.groups()
    words = {PREDICTED: _("predicted"), TRUE: _("true")}
    words |= {str(k): names[k] if k < len(names) else _("class {n}").format(n=k) for k in range(form.classes)}
    if location.drawing():
        del words[TRUE]  # nobody knows what a drawing is
    st.session_state[at["which"]], st.session_state[at["other"]] = which, other or ""
    aim: dict[str, Any] = {"on_change": _aim, "args": (form, at)}
    left, right = st.columns(2, gap="small")
    with left:
        st.selectbox(
            _("why"),
            list(words),
            key=at["which"],
            format_func=lambda k: words[k],
            **aim,
            help=_("The answer that is explained: the network's number (logit) for this class."),
        )
    with right:
        st.selectbox(
            _("and not"),
            ["", *(k for k in words if k != which)],
            key=at["other"],
            format_func=lambda k: words.get(k, "–"),
            **aim,
            help=_("Explain the difference of two classes: what speaks for the one rather than for the other."),
        )
    if form.task == EACH_STEP:
        st.session_state[at["step"]] = None if step is None else int(step)
        st.number_input(
            _("at step"),
            0,
            form.shape[0] - 1,
            step=1,
            key=at["step"],
            placeholder=_("the last one asked"),
            **aim,
            help=_("This data asks at every step; one of the answers is explained."),
        )


def _aim(form: DataForm, at: dict[str, str]) -> None:
    which, other = st.session_state[at["which"]], st.session_state[at["other"]]
    step = st.session_state[at["step"]] if form.task == EACH_STEP else None
    written = which + (f"-{other}" if other and other != which else "") + ("" if step is None else f"@{step}")
    st.session_state[_TARGET] = written
    st.session_state.pop(_NOTICES, None)
    write(form)


# ── options, layer, seed ─────────────────────────────────────────────────────────────────────────────────────────────


def option_fields(names: list[str], fits: dict[str, MethodFit]) -> None:
    """The options of one of the chosen methods, the layer of those that explain by one, and the seed."""
    ready = [name for name in names if name in fits and fits[name].status != WITHHELD]
    having = {name: _(METHODS.get(name).title) for name in ready if declared(METHODS.get(name).options)}
    with st.popover(_("Options"), width="stretch", icon=":material/tune:"):
        if having:
            if st.session_state.get(_OF) not in having:
                st.session_state[_OF] = next(iter(having))
            name = st.selectbox(_("options of"), list(having), key=_OF, format_func=lambda n: having[n], **_KEEP)
            forms.options_form(_part(name), METHODS.get(name).options, {})
        _layer_field(list(dict.fromkeys(layer for name in ready for layer in fits[name].layers)))
        location.keep(_SEED, 0, lambda text: whole(text, LAST_SEED))
        st.number_input(
            _("seed"),
            0,
            LAST_SEED,
            step=1,
            key=_SEED,
            help=_("Where a method draws at random, another seed is another draw. What changes with it was luck."),
            **_KEEP,
        )


def _layer_field(offered: list[str]) -> None:
    if not offered:
        return
    st.session_state[_LAYER] = location.layer() if location.layer() in offered else ""
    st.selectbox(
        _("layer"),
        ["", *offered],
        key=_LAYER,
        format_func=lambda n: n or _("each method's own"),
        on_change=lambda: location.look_at(layer=st.session_state[_LAYER]),
        help=_("For the methods that explain by a layer; one that does not offer it keeps its own."),
    )


def _part(name: str) -> str:
    return f"why_{name}"


def seed() -> int:
    """The seed of methods that draw at random."""
    value = st.session_state.get(_SEED, 0)
    return value if isinstance(value, int) else 0


def layer(fit: MethodFit) -> str:
    """The layer that a method explains by; empty: its own choice."""
    return location.layer() if location.layer() in fit.layers else ""


def options(method: Method) -> Options:
    """What the method's form asks for; SpecError, in words, where it cannot be."""
    prefix = f"{_part(method.name)}."
    given = {
        name: st.session_state[prefix + name]
        for name in declared(method.options)
        if st.session_state.get(prefix + name) is not None
    }
    return specs.options_of(method.options, given)


@dataclass(frozen=True)
class Price:
    """What a method is predicted to take here, in passes, or why its options cannot be."""

    options: Options | None
    units: float = 0.0
    most: float = 0.0  # passes that it does not exceed
    fault: str = ""


def price(method: Method, form: DataForm) -> Price:
    """The predicted price of a method with the options that its form asks for."""
    size = Size(form, math.prod(form.shape), form.shape[0] if len(form.shape) == 3 else 1)
    try:
        wanted = options(method)
    except SpecError as error:
        return Price(None, fault=error.message)
    return Price(wanted, float(method.cost(wanted, size)), float(method.most(wanted, size)))
