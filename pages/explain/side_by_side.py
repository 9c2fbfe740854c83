"""The page "Ask why": one sample, many attribution methods side by side, each with its own proof.

Left: what is asked. Right: the input, then a card for every method, filled as soon as its map is ready; beneath them
the methods' sentences, a table, the arrays, and the lines of plain Captum.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from core.catalog.entries import NUMBER, PICTURE, WITHHELD, DataForm, Method
from core.engine.protocol import EngineError
from core.figures.attribution import largest
from core.spec import specs
from core.spec.facts import Facts
from core.spec.questions import Explain, Explained, Fits, MethodFit, Seen
from core.spec.quoting import quoted
from core.spec.registry import METHODS
from core.spec.specs import Choice
from core.store.runs import Run
from pages.explain import badges, why_maps, why_saved
from pages.explain import why_options as options
from pages.explain.badges import Place
from pages.explain.why_options import Price
from pages.kit import forms, location, look, moments, waiting
from pages.kit.network import made_of
from pages.kit.waiting import Arriving
from pages.kit.words import _, fill, plain

COSTLY = 2000  # passes from which on a method is not run unasked
PATIENCE = 0.3  # seconds in which a first picture comes with the page itself
TICK = 0.3
_SPREAD = "why.spread"  # names of the methods whose map is the mean over several seeds
_AGREED = "why.agreed"  # content ids of the costly questions that may be asked


@dataclass(frozen=True)
class Plan:
    """What the page asks: the places of the comparison, and the question for one or several of them."""

    form: DataForm
    step: int
    places: tuple[Place, ...]
    pieces: dict[str, Explain] = field(default_factory=dict)  # of the methods that are asked for, in that order

    def whole(self, names: list[str]) -> Explain:
        """One question for these methods."""
        asked = [self.pieces[name] for name in names]
        layer = next((one.layer for one in asked if one.layer), "")  # methods that do not offer it keep their own
        spread = tuple(name for one in asked for name in one.spread)
        methods = tuple(choice for one in asked for choice in one.methods)
        return replace(asked[0], methods=methods, layer=layer, spread=spread)


def page() -> None:
    """The whole page."""
    controls, stage = st.columns(look.COLUMNS, gap="medium")
    run = location.current()
    if run is None:
        with stage:
            look.without_run()
        return
    form = made_of(run)[1]
    with controls.container(gap="small"):
        for notice in options.follow(form, run.id):
            forms.mistake(notice)
        sample, target = st.container(), st.container()
        step = moments.draw(run)
        options.method_fields(form)
        more = st.container()
    with stage:
        arrived = _stage(run, form, step, more)
    names = _class_names().setdefault(run.id, ())
    if arrived.found:
        first = next(iter(arrived.found.values()))
        names = _class_names()[run.id] = first.classes
        with sample:
            look.sample_card(why_maps.about(first), first.sample)
    with target:
        options.target_fields(form, names, run.id)


def _stage(run: Run, form: DataForm, step: int | None, more: DeltaGenerator) -> Arriving:
    """Ask, and draw what has arrived; what the methods can be told goes to `more`."""
    if step is None:
        look.without_weights()
        return Arriving()
    told = waiting.answer(Fits(run.id, step))
    if not isinstance(told, tuple):
        return Arriving()
    fits = {fit.method: fit for fit in told if isinstance(fit, MethodFit)}
    with more:
        options.option_fields(options.chosen(form), fits)
    plan = plan_of(run, form, step, fits)
    arrived = waiting.parts(plan.pieces, plan.whole, PATIENCE)
    pending = arrived.progress is not None
    st.fragment(_comparison, run_every=TICK if pending else None)(plan, [arrived], pending, bool(arrived.found))
    if not pending:
        below(plan, arrived)
    return arrived


# ── what is asked ────────────────────────────────────────────────────────────────────────────────────────────────────


def plan_of(run: Run, form: DataForm, step: int, fits: dict[str, MethodFit]) -> Plan:
    """What is asked with the page as it stands."""
    places = []
    for name in options.chosen(form):
        method = METHODS.get(name)
        if name not in fits:
            continue
        price = options.price(method, form)
        asked = _alone(run, step, method, price, fits[name])
        costly = price.units > COSTLY and specs.content_id(asked) not in st.session_state.get(_AGREED, ())
        places.append(Place(method, fits[name], price, asked, costly))
    cheap_first = sorted((place for place in places if place.runs), key=lambda place: place.price.units)
    pieces = {place.method.name: place.asked for place in cheap_first}
    if not pieces:  # the sample is to be seen all the same: an unfit method is answered without being run
        unfit = [place for place in places if place.fit.status == WITHHELD]
        pieces = {place.method.name: place.asked for place in unfit[:1]}
    return Plan(form, step, tuple(places), pieces)


def _alone(run: Run, step: int, method: Method, price: Price, fit: MethodFit) -> Explain:
    """The question for one method alone."""
    choice = Choice(method.name, price.options or method.options())
    return Explain(
        run=run.id,
        methods=(choice,),
        sample=location.sample(),
        target=options.target(),
        layer=options.layer(fit),
        step=step,
        seed=options.seed(),
        drawing=location.drawing(),
        spread=(method.name,) if method.name in st.session_state.get(_SPREAD, ()) else (),
    )


def _agree(asked: Explain) -> None:
    """Run a costly method after all."""
    st.session_state[_AGREED] = {*st.session_state.get(_AGREED, ()), specs.content_id(asked)}
    st.rerun(scope="app")


def _spread(name: str) -> None:
    """Take the method over several seeds, or over one again."""
    st.session_state[_SPREAD] = set(st.session_state.get(_SPREAD, ())) ^ {name}
    st.rerun(scope="app")


@st.cache_resource(show_spinner=False)
def _class_names() -> dict[str, tuple[str, ...]]:
    """Run → what its classes are called, once an answer has said so."""
    return {}


# ── the comparison ───────────────────────────────────────────────────────────────────────────────────────────────────


def _comparison(plan: Plan, drawn: list[Arriving], pending: bool, sample_seen: bool) -> None:
    """`drawn`: what had arrived when the page was drawn; taken once. When all is there, the page follows."""
    if drawn:
        arrived = drawn.pop()
    else:
        try:
            arrived = waiting.parts(plan.pieces, plan.whole, 0)
        except EngineError:  # the page says what is wrong
            st.rerun(scope="app")
        if pending != (arrived.progress is not None) or (arrived.found and not sample_seen):
            st.rerun(scope="app")
    over = _head(plan, arrived)
    facts = next((why_maps.about(found) for found in arrived.found.values()), None)
    with st.container(horizontal=True, gap="small"):
        with st.container(border=True, width=badges.width(plan.form.kind), gap="xsmall"):
            st.markdown(f"**{plain(_('Input'))}**")
            if facts:
                number = next(iter(arrived.found.values())).sample
                name = _("your drawing") if location.drawing() else _("test sample {n}").format(n=number)
                why_maps.given(facts, name)
                said = _("predicted: {predicted}").format(predicted=quoted(facts.predicted, 40))
                st.badge(plain(said), icon=":material/psychology:", color="gray")
                st.caption(plain(name))
        for place in plan.places:
            name = place.method.name
            badges.draw(
                place,
                arrived.found.get(name),
                arrived.failed.get(name, ""),
                kind=plan.form.kind,
                over=over,
                agree=partial(_agree, place.asked),
                spread=partial(_spread, name),
            )


def _head(plan: Plan, arrived: Arriving) -> bool:
    """What is asked, how far it is, and the scales. Gives: are maps drawn over the picture?"""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", height=40, border=False):
        st.markdown(f"**{plain(_asked(plan, arrived))}**", width="stretch")
        if arrived.progress is not None:
            done = arrived.progress
            st.progress(min(1.0, max(0.0, done.fraction)), text=plain(done.words or _("Reading the data")), width=230)
            if st.button(_("Cancel"), icon=":material/close:", key="why.cancel", type="tertiary"):
                waiting.give_up()
                st.rerun(scope="app")
        elif arrived.given_up or arrived.failed:
            st.caption(_("Not everything was run."))
            if st.button(_("Try again"), icon=":material/refresh:", key="why.again", type="tertiary"):
                waiting.try_again()
                st.rerun(scope="app")
        else:
            cost = sum(found.cost for found in arrived.found.values())
            words = _("One pass is a forward and a backward pass of one sample through the network.")
            st.caption(fill(_("{passes} in total"), passes=badges.passes(cost)), width="content", help=words)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.html(why_maps.legend(plan.form.task == NUMBER))
        if plan.form.kind == PICTURE:
            location.keep_choice("why.over", [False, True])
            return bool(st.toggle(_("over the picture"), key="why.over", persist_state="session", width="content"))
    return False


def _asked(plan: Plan, arrived: Arriving) -> str:
    """The question in words."""
    target = next((found.target for found in arrived.found.values()), "")
    if not target:
        return _("Why?")
    words = _("Where does {target} come from?") if plan.form.task == NUMBER else _("Why {target}?")
    return words.format(target=target)


# ── beneath ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def below(plan: Plan, arrived: Arriving) -> None:
    """The methods' sentences; then a table, the arrays to download, and the lines of plain Captum."""
    there = {name for name, found in arrived.found.items() if not found.withheld}
    shown = {place.method.name: place for place in plan.places if place.method.name in there}
    maps = {name: arrived.found[name] for name in shown}
    with st.container(gap="xsmall"):
        for sentence in of_all(maps):
            st.markdown(f":small[{plain(sentence)}]")
        for name, found in maps.items():
            own = [sentence for sentence in found.words if sentence not in of_all(maps)]
            if own:
                title = plain(_(shown[name].method.title))
                st.markdown(f":small[**{title}:** {plain(' '.join(own))}]")
    if not maps:
        return
    coded = [name for name, found in maps.items() if found.code]
    wanted = look.beneath(table=True, arrays=True, code=bool(coded))
    if wanted == "table":
        look.rows([row(place, maps[name]) for name, place in shown.items()])
    elif wanted == "arrays":
        look.arrays(gathered(plan, maps))
        st.download_button(
            _("All maps as a page (HTML)"),
            lambda: why_saved.sheet(
                _asked(plan, arrived),
                list(arrived.found.values()),
                over=bool(st.session_state.get("why.over")),
                drawing=bool(location.drawing()),
                number=plan.form.task == NUMBER,
            ),
            "why.html",
            "text/html",
            on_click="ignore",
            key="why.sheet",
            icon=":material/image:",
        )
    elif wanted == "code":
        titles = {name: _(METHODS.get(name).title) for name in coded}
        name = st.selectbox(_("method"), coded, format_func=lambda n: titles[n], key="why.code", width=300)
        st.download_button(
            _("A program that makes this map again (zip)"),
            lambda: why_saved.program(shown[name].asked),
            "why.zip",
            "application/zip",
            on_click="ignore",
            key="why.program",
            icon=":material/download:",
        )
        st.code(maps[name].code, language="python")
        st.caption(
            _(
                "Given: `model` (a batch of inputs → the number that is explained), `x` and `baseline` as in the "
                "arrays, with a batch of one, and `seed`."
            )
        )


def of_all(maps: dict[str, Explained]) -> list[str]:
    """The sentences that several methods say, and all of them: of the sample, not of a method."""
    every = [found.words for found in maps.values()]
    return [words for words in every[0] if all(words in other for other in every)] if len(every) > 1 else []


def row(place: Place, found: Explained) -> dict[str, Any]:
    """One method's line of the table."""
    return {
        _("method"): _(place.method.title),
        _("target"): found.target,
        _("check"): badges.badge(found)[1],
        _("gap"): _number(found.gap),
        _("map ±"): _number(found.change),
        _("chance ±"): _number(found.error),
        _("delta"): _number(found.delta),
        _("cost (passes)"): round(found.cost, 2),
        _("seconds"): round(found.seconds, 3),
        _("seed"): found.seed,
        _("layer"): found.layer,
        _("baseline"): str(getattr(place.price.options, "baseline", "")),
        _("largest size"): _number(largest(found.attribution)),
    }


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def gathered(plan: Plan, maps: dict[str, Explained]) -> Seen[Facts]:
    """All arrays of all shown methods: the maps by the methods' names, what else they have as NAME/baseline …"""
    first = next(iter(maps.values()))
    arrays = {name: found.attribution for name, found in maps.items()}
    arrays |= {
        f"{name}/{what}": array for name, found in maps.items() for what, array in found.arrays.items() if what != "x"
    }
    if "x" in first.arrays:
        arrays["x"] = first.arrays["x"]
    return Seen("side-by-side", plan.step, first.sample, "", arrays, Facts(), (), "")
