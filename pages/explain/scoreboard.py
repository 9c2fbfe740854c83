"""The scoreboard: how well the methods find evidence that is known, and which of them reveal a network that cheats."""

from __future__ import annotations

import html
from functools import lru_cache
from typing import Any

import numpy as np
import streamlit as st

from core.catalog.trials import (
    CHEAT,
    CLEAN,
    CUE,
    EVIDENCE,
    EXAMPLE,
    EXAMPLE_CLASS,
    EXAMPLE_WORDS,
    OWN,
    REST,
    TRIALS,
    map_of,
    of_trial,
    signed_of,
)
from core.figures import attribution, scoreboard
from core.figures.literal import Markup
from core.figures.scoreboard import Panel, Series
from core.spec import registry
from core.spec.questions import Measured, Score, Scored, ScoreRow
from core.store import layerlab_home
from core.store.scores import KINDS, kept_scores, scores_stamp
from pages.explain import why_maps
from pages.kit import figure, location, waiting
from pages.kit.cards import colors
from pages.kit.samples import png
from pages.kit.words import Markdown, _, fill, moment, plain

ASKED = "scoreboard.asked"  # (what is being scored, "full" or "quick" or nothing; scores_stamp() when it was asked)
SHOWN = "scoreboard.shown"  # what is shown: "full", "quick", "run", or None
PAIR = "pair"
RANDOM = "random"
SIDE = 190  # pixels of an example's map


# ── which scoreboard ─────────────────────────────────────────────────────────────────────────────────────────────────


def page() -> None:
    """The whole page."""
    scored = board()
    if scored is not None:
        draw(scored)


def board() -> Scored | None:
    """The scoreboard that is shown, with what makes a new one; None where there is none yet."""
    stamp = scores_stamp()
    kept, own = _kept(stamp, str(layerlab_home())), _own()
    asked, since = st.session_state.get(ASKED, ("", stamp))
    if asked and since[KINDS.index(asked)] != stamp[KINDS.index(asked)]:  # it is there, whoever has had it made
        st.session_state[ASKED], st.session_state[SHOWN], asked = ("", stamp), asked, ""
    offered = [*kept, *([OWN] if own else [])]
    if st.session_state.get(SHOWN) not in offered:
        st.session_state[SHOWN] = max(kept, key=lambda kind: kept[kind].when, default=None)
    shown = st.session_state[SHOWN]
    if shown is None and not asked:
        _nothing_yet()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if len(offered) > 1 or own:
            _tabs(offered, bool(asked))
        if shown in kept:
            st.caption(plain(_facts(kept[shown])))
        _buttons(asked, first=not kept)
    if asked:
        st.caption(_("The networks are trained and every method is tried. Stay on this page meanwhile."))
        if waiting.answer(Score(quick=asked == "quick")) is not None:
            if scores_stamp() == since:
                st.toast(_("The same seeds give the same scoreboard: nothing has changed."))
                st.session_state[ASKED] = ("", stamp)
            st.rerun()
    elif own and shown == OWN:
        answer = waiting.answer(own)
        return answer if isinstance(answer, Scored) else None
    return kept.get(str(shown))


def _tabs(offered: list[str], busy: bool) -> None:
    names = {"full": _("the full score"), "quick": _("the quick look"), OWN: _("your run")}
    st.segmented_control(
        _("scoreboard"),
        offered,
        format_func=lambda kind: names[kind],
        key=SHOWN,
        label_visibility="collapsed",
        required=st.session_state[SHOWN] is not None,
        disabled=busy,
    )


def _own() -> Score | None:
    """The question about the current run, where the evidence of its data is known."""
    run = location.current()
    if run is None or run.experiment().data.name not in {trial.data for trial in TRIALS}:
        return None
    newest = run.newest()
    return None if newest is None else Score(run=run.id, step=newest)


@lru_cache(maxsize=2)
def _kept(_stamp: tuple[float, ...], _home: str) -> dict[str, Scored]:
    return kept_scores()


def _nothing_yet() -> None:
    st.info(
        _(
            "No scoreboard was made here yet. Small networks are trained on data whose true evidence is known; then "
            "every method has to find it, and to tell an honest network from one that cheats."
        ),
        icon=":material/scoreboard:",
    )


def _buttons(asked: str, first: bool = False) -> None:
    whole = _("Score the methods (3 to 8 minutes)") if first else _("Score (3 to 8 minutes)")
    labels = {"full": whole, "quick": _("Quick look (half a minute)")}
    icons = {"full": ":material/scoreboard:", "quick": ":material/bolt:"}
    for kind, label in labels.items():
        st.button(
            label,
            on_click=_ask,
            args=(kind,),
            key=f"scoreboard.{kind}",
            icon=icons[kind],
            disabled=asked == kind,
            type="primary" if first and kind == "full" else "secondary",
        )


def _ask(kind: str) -> None:
    waiting.try_again()
    st.session_state[ASKED] = (kind, scores_stamp())


def _facts(found: Scored) -> str:
    most = max((row.samples for row in found.rows), default=0)
    said = _("{seeds} networks a trial, up to {samples} samples a method; {when}")
    if found.quick:
        said = _("A look, not a claim: {seeds} networks a trial, up to {samples} samples a method; {when}")
    return said.format(seeds=found.seeds, samples=most, when=moment(found.when))


# ── one scoreboard ───────────────────────────────────────────────────────────────────────────────────────────────────


def draw(found: Scored) -> None:
    """The chosen trial: what it says, its bars, an example, and the table."""
    trials = _trials(found)
    if not trials:
        for sentence in found.words:
            st.warning(plain(sentence), icon=":material/block:")
        return
    name = next(iter(trials))
    if len(trials) > 1:
        name = str(
            st.segmented_control(
                _("trial"),
                list(trials),
                format_func=lambda n: plain(trials[n]),
                default=name,
                required=True,
                key="scoreboard.trial",
                label_visibility="collapsed",
                persist_state="session",
            )
        )
    _intro(found, name)
    rows, methods = _ordered(found, name)
    stage, example = st.columns([0.64, 0.36], gap="medium")
    with example:
        chosen = _example(found, name, methods)
        _say(found, name)
    with stage:
        _bars(found, name, rows, methods, chosen)
    _below(found, name)


def _trials(found: Scored) -> dict[str, str]:
    """What can be shown, with its title; the two networks of the shapes are one."""
    there = {row.data for row in found.rows}
    if OWN in there:
        return {OWN: _("your run")}
    titles = {PAIR: _("honest or cheating: the shapes")} if CHEAT in there else {}
    return titles | {
        trial.name: _(trial.title)
        for trial in TRIALS
        if trial.name in there and trial.name != CHEAT and not (trial.name == CLEAN and CHEAT in there)
    }


def _of(name: str) -> tuple[str, ...]:
    """The trials behind a name."""
    return (CLEAN, CHEAT) if name == PAIR else (name,)


def _intro(found: Scored, name: str) -> None:
    """What is known of the trial, and what its networks were seen to use."""
    trials = [trial for trial in TRIALS if trial.name in _of(name)]
    if not trials:
        return
    for trial, place in zip(trials, st.columns(len(trials), gap="medium"), strict=True):
        place.markdown(f"**{_(trial.title)}.** {_(trial.words)} {_gates(found, trial.name)}")


def _say(found: Scored, name: str) -> None:
    """What was found."""
    left_out = [gate.words for gate in found.gates if gate.data == name and not gate.passed]
    with st.container(gap="xsmall"):
        for sentence in found.words if name in (PAIR, OWN) else left_out:
            st.markdown(f":small[{plain(sentence)}]")


def _gates(found: Scored, name: str) -> Markdown:
    """What the gate has shown of this trial's networks."""
    gates = [gate for gate in found.gates if gate.data == name]
    if not gates:
        return Markdown("")
    used, rest = {
        CLEAN: (_("the shape"), _("the patch")),
        CHEAT: (_("the patch"), _("the shape")),
    }.get(name, (_("the evidence"), _("everything else")))
    mean = {what: np.mean([getattr(gate, what) for gate in gates]) for what in ("accuracy", "without", "otherwise")}
    said = _("It answers {right:.0%} right, {without:.0%} when {used} is exchanged, {otherwise:.0%} when {rest} is.")
    told = fill(said, **{"right": mean["accuracy"], "used": used, "rest": rest} | mean)
    return Markdown(f"{told} {_hangs(found, name)}".strip())


def _hangs(found: Scored, name: str) -> Markdown:
    """How much of the number that the methods explain hangs on which part."""
    parts = {
        EVIDENCE: _("the shape") if name in (CLEAN, CHEAT) else _("the evidence"),
        CUE: _("the patch"),
        REST: _("everything else"),
    }
    told = ", ".join(
        _("{part} by {share:.0%} ± {spread:.0%}").format(
            part=parts[one.part], share=one.share.mean, spread=one.share.spread
        )
        for one in found.hanging
        if one.data == name
    )
    return fill(_("Exchanged, they change the explained number: {parts}."), parts=told) if told else Markdown("")


def _ordered(found: Scored, name: str) -> tuple[dict[tuple[str, str], ScoreRow], list[str]]:
    """The rows by trial and method, and the methods, the best first; controls come last."""
    rows = {(row.data, row.method): row for row in found.rows if row.data in _of(name)}
    cheats = any(gate.data in _of(name) and gate.uses == CUE for gate in found.gates)

    def key(method: str) -> tuple[bool, float]:
        row = rows.get((_of(name)[-1], method)) or rows[_of(name)[0], method]
        measured = row.cue_mass if cheats and row.cue_mass else row.mass
        return row.control, -measured.mean

    return rows, sorted({method for _data, method in rows}, key=key)


def _bars(found: Scored, name: str, rows: dict[tuple[str, str], ScoreRow], methods: list[str], chosen: str) -> None:
    panels = _pair_panels(rows, methods) if name == PAIR else _panels(name, rows, methods)
    controls = sum(any(row.control for (_data, m), row in rows.items() if m == method) for method in methods)
    titles = [_title(method) for method in methods]
    picture = scoreboard.bars(
        titles,
        panels,
        controls=controls,
        x_title=_("share"),
        random=_("random map"),
        colors=colors(),
        hover=Markup(_("{method}<br>{panel}, {measure}: {mean} ± {spread}")),
        chosen=methods.index(chosen) if chosen in methods else -1,
    )
    best = ", ".join(titles[:3])
    alt = _("Bars of {n} methods with their spread; first {best}; the last {k} are controls.")
    figure.show(
        picture,
        key=f"scoreboard.bars.{name}.{len(methods)}",
        alt=alt.format(n=len(methods), best=best, k=controls),
        on_click=lambda point: _clicked(point, methods),
    )


def _pair_panels(rows: dict[tuple[str, str], ScoreRow], methods: list[str]) -> list[Panel]:
    titles = {CLEAN: _("honest network"), CHEAT: _("network that cheats")}
    measures = (("mass", _("share of the map on the shape")), ("cue_mass", _("share of the map on the patch")))
    return [
        Panel(
            title, tuple(_series(rows, data, methods, measure, words, i) for i, (measure, words) in enumerate(measures))
        )
        for data, title in titles.items()
    ]


def _panels(name: str, rows: dict[tuple[str, str], ScoreRow], methods: list[str]) -> list[Panel]:
    """The share of the map on the evidence, and on a planted patch where the run's data has one; the hits."""
    patch = any(row.cue_mass for row in rows.values())
    shares = {"mass": _("on the evidence"), "cue_mass": _("on the patch")}
    hits = {"hit": shares["mass"], "cue_hit": shares["cue_mass"]}
    return [
        Panel(
            title,
            tuple(
                _series(rows, name, methods, measure, words, i)
                for i, (measure, words) in enumerate(measures.items())
                if patch or not i
            ),
        )
        for title, measures in ((_("share of the map"), shares), (_("where the largest value is"), hits))
    ]


def _series(
    rows: dict[tuple[str, str], ScoreRow], data: str, methods: list[str], measure: str, words: str, color: int
) -> Series:
    found: list[Measured | None] = [getattr(rows.get((data, method)), measure, None) for method in methods]
    level = getattr(rows.get((data, RANDOM)), measure, None)
    return Series(
        words,
        [None if m is None else m.mean for m in found],
        [None if m is None else m.spread for m in found],
        level and level.mean,
        color,
    )


def _title(method: str) -> str:
    return _(registry.METHODS.get(method).title) if method in registry.METHODS else method


def _clicked(point: dict[str, Any], methods: list[str]) -> None:
    """A click on a method's bar shows its map of the example."""
    place = point.get("customdata")
    if isinstance(place, int | float) and 0 <= int(place) < len(methods):
        st.session_state["scoreboard.method"] = methods[int(place)]


# ── an example ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _example(found: Scored, name: str, methods: list[str]) -> str:
    """One sample of each network with what is known about it, and the chosen method's map."""
    there = [m for m in methods if any(map_of(data, m) in found.arrays for data in _of(name))]
    if not there:
        return ""
    if st.session_state.get("scoreboard.method") not in there:
        st.session_state["scoreboard.method"] = there[0]
    chosen = str(st.selectbox(_("a map of"), there, format_func=_title, key="scoreboard.method"))
    for data, place in zip(_of(name), st.columns(len(_of(name)), gap="small"), strict=True):
        if map_of(data, chosen) in found.arrays:
            with place:
                _map(found, data, chosen)
    if found.arrays[of_trial(_of(name)[0], EXAMPLE)].ndim > 1:
        shape, patch = (f":{tone}[**{words}**]" for tone, words in (("blue", _("shape")), ("orange", _("patch"))))
        st.caption(
            _("Outlined: the {shape} and the {patch}. Click a method's bar to see its map.").format(
                shape=shape, patch=patch
            )
        )
    else:
        st.caption(_("Underlined: the words that decide. Click a method's bar to see its map."))
    st.caption(_(registry.METHODS.get(chosen).words) if chosen in registry.METHODS else "")
    return chosen


def _map(found: Scored, data: str, method: str) -> None:
    values, known = found.arrays[map_of(data, method)], registry.METHODS
    signed = found.facts.get(signed_of(data, method), known.get(method).signed if method in known else True)
    scale = why_maps.scale(bool(signed))
    title = next((_(trial.title) for trial in TRIALS if trial.name == data), _("your run"))
    if values.ndim == 1:
        st.html(_words(found, data, values, scale))
        return
    shown = found.arrays[of_trial(data, EXAMPLE)]
    under = png(attribution.faint(shown, why_maps.dark()))
    hover = f"{_('row')} %{{y}}, {_('column')} %{{x}}<br>{_('value')} %{{z:.3~g}}"
    picture = attribution.picture(values, scale, hover=Markup(hover), under=under, side=SIDE)
    ink = [*colors(), attribution.GREY, attribution.GREY]
    for i, (kind, words) in enumerate(((EVIDENCE, _("shape")), (CUE, _("patch")))):
        if of_trial(data, kind) in found.arrays:
            scoreboard.outlined(picture, found.arrays[of_trial(data, kind)], ink[i], words)
    st.markdown(f":small[{plain(title)}]")
    alt = _("{method} on the {title}: a picture of class {name}, its shape and its patch outlined.")
    figure.show(
        picture,
        key=f"scoreboard.map.{data}",
        alt=alt.format(method=_title(method), title=title, name=found.facts[of_trial(data, EXAMPLE_CLASS)]),
    )


def _words(found: Scored, data: str, values: np.ndarray, scale: attribution.Scale) -> str:
    """The words of the example in the map's colours, those that decide underlined."""
    evidence, spans = found.arrays[of_trial(data, EVIDENCE)], []
    real = np.flatnonzero(found.arrays[of_trial(data, EXAMPLE)])
    tints = attribution.tints(values[real], scale)
    for at, tint in zip(real, tints, strict=True):
        line = "text-decoration:underline 3px;text-underline-offset:4px;font-weight:600;" if evidence[at] else ""
        told = html.escape(f"{values[at]:+.3g}")
        word = html.escape(str(found.facts[of_trial(data, EXAMPLE_WORDS)][at]))
        spans.append(f'<span style="background:{tint.ground};color:{tint.ink};{line}" title="{told}">{word}</span>')
    return f'<div class="ll-why-words">{"".join(spans)}</div>'


# ── the table ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _below(found: Scored, name: str) -> None:
    titles = {"table": _("Table"), "left_out": _("Left out"), "measures": _("How it is measured")}
    with st.container(horizontal=True, vertical_alignment="center"):
        shown = st.segmented_control(
            _("beneath"),
            list(titles),
            format_func=lambda n: titles[n],
            key="scoreboard.beneath",
            label_visibility="collapsed",
            persist_state="session",
        )
        st.download_button(
            _("Every map's marks (CSV)"),
            lambda: found.table,
            "scores.csv",
            on_click="ignore",
            key="scoreboard.csv",
            icon=":material/download:",
        )
    if shown == "table":
        st.dataframe(table(found, _of(name)), hide_index=True)
    elif shown == "left_out":
        out = [(method, why) for data, method, why in found.left_out if data in _of(name)]
        if not out:
            st.caption(_("Every method was scored here."))
        for method, why in dict.fromkeys(out):
            st.markdown(f"**{plain(_title(method))}**: {plain(why)}")
    elif shown == "measures":
        st.markdown(measures())


def table(found: Scored, trials: tuple[str, ...]) -> list[dict[str, Any]]:
    """The rows with every column; each measure with its spread beside it."""
    made = []
    columns = {
        "hit": _("hit"),
        "mass": _("mass"),
        "auroc": _("AUROC"),
        "cue_hit": _("patch hit"),
        "cue_mass": _("patch mass"),
        "cue_auroc": _("patch AUROC"),
        "cost": _("cost (passes)"),
        "seconds": _("seconds"),
    }
    for row in found.rows:
        if row.data in trials:
            line: dict[str, Any] = {
                _("trial"): row.data,
                _("method"): _title(row.method),
                _("control"): row.control,
                _("networks"): row.seeds,
                _("samples"): row.samples,
            }
            for measure, title in columns.items():
                measured = getattr(row, measure)
                if measured is not None:
                    line |= {title: round(measured.mean, 4), f"± {title}": round(measured.spread, 4)}
            line[_("chance")] = round(row.chance, 4)
            if row.cue_chance is not None:
                line[_("chance, patch")] = round(row.cue_chance, 4)
            made.append(line)
    return made


def measures() -> Markdown:
    """What the columns mean."""
    return Markdown(
        "\n".join(
            f"- {line}"
            for line in (
                _(
                    "**hit**: how often the largest value lies in the evidence. **mass**: the share of the whole map "
                    "that lies in it. **AUROC**: how often a place of the evidence has a larger value than another "
                    "place; 0.5 is chance."
                ),
                _(
                    "By chance hit and mass are the share of the sample that is evidence (column chance). The random "
                    "map shows how far luck goes."
                ),
                _(
                    "Values are taken by their size, whatever their sign: the mask says where the evidence is, not "
                    "which way it speaks. Padding is left out."
                ),
                _(
                    "How much the explained number **hangs** on a part: by how much it changes on average when that "
                    "part is exchanged with another sample's, as a share of its own size. Of 4 exchanges of every "
                    "test sample that is answered right. A method draws the shape more than it counts where a larger "
                    "share of its map lies there."
                ),
                _(
                    "Asked is why the network says this class and not the second, of test samples that it answers "
                    "right; every method with its default options, layer methods at the first layer that they offer."
                ),
                _(
                    "± is the standard deviation over the networks, each trained from its own seed on data of its "
                    "own; of one network alone it is the standard error over its samples. A costly method gets fewer "
                    "samples. A network that does not use its evidence is left out."
                ),
                _(
                    "Methods that explain one unit inside the network are not scored: what a unit reacts to is not "
                    "why the network answers."
                ),
            )
        )
    )
