"""The mistakes: who is taken for whom, how far confidence can be trusted, and the samples behind a count."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st

from core.catalog.entries import EACH_STEP, NUMBER, PICTURE, SEQUENCE
from core.catalog.views.mistakes import (
    BIN_ACCURACY,
    BIN_CONFIDENCE,
    BIN_COUNT,
    CONFIDENCE,
    CONFUSION,
    EDGES,
    F1,
    LOSS,
    PRECISION,
    PREDICTED,
    RECALL,
    SAMPLES,
    SHOWN,
    STEP_ACCURACY,
    STEP_ASKED,
    STEPS,
    SUPPORT,
    TARGET,
    MistakesFacts,
    in_gallery,
)
from core.figures import mistakes
from core.figures.mistakes import Tile
from core.spec.questions import Seen
from pages.kit import figure, location, look
from pages.kit.cards import colors
from pages.kit.samples import png, sparkline, visible
from pages.kit.words import Markdown, _, fill, plain

HEIGHT = 390  # pixels of the two pictures
MANY = 30  # classes above which the matrix has the whole width
BEFORE = 24  # tokens written before the step that is asked

VIEW = "mistakes"


def page(seen: Seen[MistakesFacts]) -> None:
    """The stage of the page."""
    draw(seen)
    gallery(seen)
    look.below(seen, table=table(seen))


def draw(seen: Seen[MistakesFacts]) -> None:
    """The matrix with a second picture beside it; for numbers the answers against the targets."""
    if seen.facts.task == NUMBER:
        _numbers(seen)
        return
    occurring = int(np.count_nonzero(seen.arrays[CONFUSION].sum(0) + seen.arrays[CONFUSION].sum(1)))
    if occurring > MANY:
        _confusion(seen, 640)
        _second(seen)
        return
    left, right = st.columns([0.54, 0.46], gap="small")
    with left:
        _confusion(seen, HEIGHT)
    with right:
        _second(seen)


def gallery(seen: Seen[MistakesFacts]) -> None:
    """The samples behind the chosen cell, row, column, or all; one click makes one the current sample."""
    target, predicted = seen.facts.chosen
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(_heading(seen))
        if (target, predicted) != (-1, -1):
            st.button(_("Show all"), icon=":material/close:", type="tertiary", on_click=_choose, args=("", ""))
    if not len(seen.arrays[in_gallery(SAMPLES)]):
        st.caption(_("No sample is here."))
    elif seen.facts.kind in (PICTURE, SEQUENCE):
        _tiles(seen)
    else:
        _texts(seen)


def table(seen: Seen[MistakesFacts]) -> list[dict[str, Any]]:
    """One row a class; for numbers one a shown sample."""
    a = seen.arrays
    if seen.facts.task == NUMBER:
        return [
            {_("sample"): int(n), _("target"): float(t), _("answer"): float(p), _("answer − target"): float(p - t)}
            for n, t, p in zip(a[in_gallery(SAMPLES)], a[in_gallery(TARGET)], a[in_gallery(PREDICTED)], strict=True)
        ]
    columns = {_("precision"): PRECISION, _("recall"): RECALL, _("F1"): F1}
    return [
        {
            _("class"): visible(name),
            **{title: _share(a[measure][k]) for title, measure in columns.items()},
            _("support"): int(a[SUPPORT][k]),
        }
        for k, name in enumerate(seen.facts.classes)
        if a[SUPPORT][k] or a[CONFUSION][:, k].any()
    ]


def _share(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


# ── the pictures ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _confusion(seen: Seen[MistakesFacts], height: int) -> None:
    names = [visible(name) for name in seen.facts.classes]
    counts = seen.arrays[CONFUSION]
    location.keep_choice("mistakes.only", [True, False])
    only = st.toggle(_("colour the mistakes only"), key="mistakes.only", persist_state="session")
    picture = mistakes.confusion(
        counts,
        names,
        titles=(_("the network says"), _("it is")),
        scale_title=_("answers"),
        only_mistakes=only,
        hover=_("{n} answers: is {target}, says {predicted}"),
        chosen=seen.facts.chosen,
        height=height,
    )
    said = _("Confusion matrix of {n} answers, {right} of them right.")
    alt = said.format(n=f"{seen.facts.answers:,}", right=f"{seen.facts.right:,}")
    figure.show(picture, key="mistakes.confusion", alt=alt, on_click=lambda point: _cell(seen, point))


def _second(seen: Seen[MistakesFacts]) -> None:
    titles = {"calibration": _("confidence"), "classes": _("classes")}
    titles |= {"steps": _("steps")} if seen.facts.task == EACH_STEP else {}
    location.keep_choice("mistakes.second", list(titles))
    chosen = st.segmented_control(
        _("picture"),
        list(titles),
        format_func=lambda n: titles[n],
        required=True,
        key="mistakes.second",
        label_visibility="collapsed",
        persist_state="session",
    )
    {"classes": _classes, "steps": _steps}.get(str(chosen), _calibration)(seen)


def _calibration(seen: Seen[MistakesFacts]) -> None:
    a = seen.arrays
    picture = mistakes.reliability(
        a[EDGES],
        a[BIN_COUNT],
        a[BIN_CONFIDENCE],
        a[BIN_ACCURACY],
        titles=(_("confidence: how sure it is"), _("answered right"), _("answers")),
        colors=colors(),
        height=HEIGHT - 12,
        names=(_("answered right"), _("as sure as right")),
        hover=_("{n} answers {low} – {high} sure: on average {confidence} sure, {accuracy} right"),
    )
    alt = _("Reliability diagram; expected calibration error {ece:.3f}.").format(ece=seen.facts.ece)
    figure.show(picture, key="mistakes.calibration", alt=alt)


def _classes(seen: Seen[MistakesFacts]) -> None:
    a = seen.arrays
    there = np.flatnonzero(a[SUPPORT] + a[CONFUSION].sum(0))
    names = [visible(seen.facts.classes[k]) for k in there]
    precision, recall = a[PRECISION][there], a[RECALL][there]
    picture = mistakes.per_class(
        names,
        precision,
        recall,
        titles=(_("class, the worst first"), _("share of 1")),
        colors=colors(),
        measures=(_("precision: how often it is right when it says so"), _("recall: how many of them it finds")),
        height=HEIGHT - 12,
    )
    said = [f"{name} {p:.0%}, {r:.0%}" for name, p, r in zip(names, precision, recall, strict=True)]
    figure.show(picture, key="mistakes.classes", alt=_("Precision and recall: {all}.").format(all="; ".join(said)))


def _steps(seen: Seen[MistakesFacts]) -> None:
    a = seen.arrays
    picture = mistakes.by_step(
        a[STEP_ACCURACY],
        a[STEP_ASKED],
        colors=colors(),
        height=HEIGHT - 12,
        titles=(_("step of the row"), _("answered right")),
    )
    asked = a[STEP_ACCURACY][a[STEP_ASKED] > 0]
    alt = _("Share right by step: from {first:.0%} at the first asked step to {last:.0%} at the last.")
    figure.show(picture, key="mistakes.steps", alt=alt.format(first=asked[0], last=asked[-1]))


def _numbers(seen: Seen[MistakesFacts]) -> None:
    a, name = seen.arrays, seen.facts.classes[0]
    picture = mistakes.numbers(
        a[TARGET],
        a[PREDICTED],
        samples=a[SAMPLES],
        current=seen.sample,
        colors=colors(),
        height=HEIGHT + 20,
        titles=(_("target: the {name}").format(name=name), _("the network's answer")),
        line=_("answer = target"),
        name=_("test samples"),
        current_name=_("sample {n}").format(n=seen.sample),
    )
    alt = _("Answers against targets; mean squared error {mse:.3g}.").format(mse=seen.facts.mse)
    figure.show(picture, key="mistakes.numbers", alt=alt, on_click=_clicked)


# ── the samples ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _heading(seen: Seen[MistakesFacts]) -> Markdown:
    target, predicted = seen.facts.chosen
    names = [visible(seen.facts.classes[k]) if k >= 0 else "" for k in (target, predicted)]
    shown, fits = len(seen.arrays[in_gallery(SAMPLES)]), seen.facts.fits
    if target >= 0 and predicted >= 0:
        said = _("**{target}** answered as **{predicted}**: {fits}")
    elif target >= 0:
        said = _("All that are **{target}**: {fits}")
    else:
        said = _("All answered as **{predicted}**: {fits}") if predicted >= 0 else _("All answers: {fits}")
    rest = fill(_(", {shown} shown"), shown=shown) if shown < fits else ""
    return Markdown(fill(said, target=names[0], predicted=names[1], fits=f"{fits:,}") + rest)


def _tiles(seen: Seen[MistakesFacts]) -> None:
    a, ink = seen.arrays, colors()
    tiles = []
    for i, sample in enumerate(a[in_gallery(SAMPLES)]):
        shown = a[in_gallery(SHOWN)][i]
        source = sparkline(shown, ink) if seen.facts.kind == SEQUENCE else png(_enlarged(shown))
        caption, hover, wrong = _caption(seen, i)
        tiles.append(Tile(source, caption, hover, int(sample), wrong, int(sample) == seen.sample))
    longest = max(len(tile.caption) for tile in tiles)
    columns = 12 if longest <= 8 else 8 if longest <= 14 else 6
    picture = mistakes.gallery(tiles, columns=columns, height=92 if columns == 12 else 104)
    figure.show(
        picture,
        key=f"mistakes.gallery{columns}.{-(-len(tiles) // columns)}",
        on_click=_clicked,
        alt="; ".join(tile.hover for tile in tiles),
    )


def _enlarged(pixels: np.ndarray) -> np.ndarray:
    """A small picture with each pixel as a square, so that the browser does not blur it."""
    times = max(1, 84 // pixels.shape[0])
    return pixels.repeat(times, 0).repeat(times, 1)


def _caption(seen: Seen[MistakesFacts], i: int) -> tuple[str, str, bool]:
    """(what stands under the sample, what hovering says, is it wrong?)."""
    a = seen.arrays
    sample, target, predicted = int(a[in_gallery(SAMPLES)][i]), a[in_gallery(TARGET)][i], a[in_gallery(PREDICTED)][i]
    if seen.facts.task == NUMBER:
        said = _("sample {n}: is {target:.3f}, says {predicted:.3f}")
        return f"{target:.2f} → {predicted:.2f}", said.format(n=sample, target=target, predicted=predicted), False
    names = [visible(seen.facts.classes[int(k)]) for k in (target, predicted)]
    said = _("sample {n}: is {target}, says {predicted} ({sure:.0%}), loss {loss:.3g} nats")
    hover = said.format(
        n=sample, target=names[0], predicted=names[1], sure=a[in_gallery(CONFIDENCE)][i], loss=a[in_gallery(LOSS)][i]
    )
    wrong = bool(target != predicted)
    return f"{names[0]} → {names[1]}" if wrong else names[0], hover, wrong


def _texts(seen: Seen[MistakesFacts]) -> None:
    """Rows of tokens, or places in the plane: a button each."""
    places = st.columns(2, gap="small")
    for i, sample in enumerate(seen.arrays[in_gallery(SAMPLES)]):
        caption, hover, wrong = _caption(seen, i)
        answer = f":red[**{plain(caption)}**]" if wrong else f"**{plain(caption)}**"  # first: a long row is cut off
        places[i % 2].button(
            f"{answer} {plain(_written(seen, i))}",
            key=f"mistakes.item.{i}",
            help=plain(hover),
            on_click=location.look_at,
            kwargs={"sample": int(sample)},
            type="tertiary",
        )


def _written(seen: Seen[MistakesFacts], i: int) -> str:
    """The sample in short; where a step is asked, what comes before it."""
    shown, words = seen.arrays[in_gallery(SHOWN)][i], seen.facts.vocabulary
    if not words:
        return "(" + ", ".join(f"{value:.2f}" for value in np.ravel(shown)) + ")"
    tokens = [int(token) for token in shown]
    if seen.facts.task == EACH_STEP:
        end = int(seen.arrays[in_gallery(STEPS)][i]) + 1
        tokens = tokens[max(0, end - BEFORE) : end]
    said = [visible(words[token]) if words[token] != " " else " " for token in tokens if token]
    together = all(len(word) == 1 for word in said)
    more = "…" if not together and len(said) > BEFORE else ""
    return ("" if together else " ").join(said if together else said[:BEFORE]) + more


def _clicked(point: dict[str, Any]) -> None:
    """A clicked sample is what every page looks at."""
    if isinstance(point.get("customdata"), int | float):
        location.look_at(sample=int(point["customdata"]))


def _cell(seen: Seen[MistakesFacts], point: dict[str, Any]) -> None:
    """A clicked cell chooses its samples; clicked again, all."""
    cell = point.get("customdata")
    if not isinstance(cell, list) or len(cell) != 2:
        return
    target, predicted = int(cell[0]), int(cell[1])
    names = seen.facts.classes
    again = (target, predicted) == tuple(seen.facts.chosen)
    _choose("" if again else visible(names[target]), "" if again else visible(names[predicted]))


def _choose(target: str, predicted: str) -> None:
    look.choose(VIEW, target=target, predicted=predicted)
