"""Some samples of a data set, as people see them: pictures, rows of tokens, curves, points."""

from __future__ import annotations

import base64
import html
import io
from typing import Any

import numpy as np
import streamlit as st
from PIL import Image

from core.catalog.entries import EACH_STEP, NUMBER, PICTURE, SEQUENCE, TOKENS
from core.figures import samples as figures
from core.spec.questions import DataPreview
from pages.kit.cards import colors
from pages.kit.words import _

NOT_ASKED = -100  # the target of a step at which nothing is asked
SIDE = 72  # pixels of a picture on the page
ROWS, CHIPS = 12, 40  # rows of tokens, tokens of one


def visible(token: str) -> str:
    """A token or a class's name so that white space can be seen."""
    return token.replace("\n", "↵").replace("\t", "⇥").replace(" ", "␣") if token.strip() == "" else token


def draw(found: DataPreview) -> None:
    """The samples with their targets."""
    if found.kind == PICTURE:
        st.html(_grid([_picture(found, i) for i in range(len(found.samples))]))
    elif found.kind == TOKENS:
        st.html(_grid([_tokens(found, i) for i in range(min(ROWS, len(found.samples)))], "ll-sample-rows"))
    elif found.kind == SEQUENCE:
        st.html(_grid([_curves(found, i) for i in range(len(found.samples))], "ll-sample-curves"))
    else:
        _points(found)


def target(found: DataPreview, i: int) -> str:
    """What sample i has for an answer, in words."""
    if found.task == NUMBER:
        return f"{float(found.labels[i]):.3g}"
    if found.task == EACH_STEP:
        names = [found.classes[label] for label in found.labels[i] if label != NOT_ASKED]
        return _visible("".join(names)) if all(len(name) == 1 for name in names) else " ".join(names)
    return found.classes[int(found.labels[i])]


def _visible(text: str) -> str:
    """A row of characters on one line."""
    return text.replace("\n", "↵").replace("\t", "⇥")


def _grid(inside: list[str], kind: str = "") -> str:
    return f'<div class="ll-samples {kind}">{"".join(inside)}</div>'


def _picture(found: DataPreview, i: int) -> str:
    name = html.escape(target(found, i))
    alt = html.escape(_("training sample {i}: {target}").format(i=i, target=target(found, i)))
    return (
        f'<figure><img src="{png(found.samples[i])}" alt="{alt}" width="{SIDE}" height="{SIDE}">'
        f"<figcaption>{name}</figcaption></figure>"
    )


def png(pixels: np.ndarray) -> str:
    """A picture, uint8 [H, W] or [H, W, 3], as a data address."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _tokens(found: DataPreview, i: int) -> str:
    real = [int(token) for token in found.samples[i] if token][:CHIPS]
    words = [found.vocabulary[token] if token < len(found.vocabulary) else str(token) for token in real]
    answer = target(found, i)
    short = answer if len(answer) <= 60 else f"{answer[:60]}…"
    if all(len(word) == 1 for word in words) and found.task == EACH_STEP:
        inside = f"<code>{html.escape(_visible(''.join(words)))}</code>"
    else:
        inside = "".join(f"<span>{html.escape(word)}</span>" for word in words)
    more = "…" if np.count_nonzero(found.samples[i]) > CHIPS else ""
    return f"<p>{inside}{more}<b>{html.escape(short)}</b></p>"


def _curves(found: DataPreview, i: int) -> str:
    alt = html.escape(_("training sample {i}: {target}").format(i=i, target=target(found, i)))
    return (
        f'<figure><img src="{sparkline(found.samples[i], colors())}" alt="{alt}" width="180" height="54">'
        f"<figcaption>{html.escape(target(found, i))}</figcaption></figure>"
    )


def sparkline(values: np.ndarray, ink: list[str]) -> str:
    """A sequence [T, F] as a data address of small curves, one for each of the first four features."""
    wide, high = 180, 54
    low, span = float(values.min()), float(np.ptp(values)) or 1.0
    lines = []
    for feature, column in enumerate(values.T[:4]):
        xs = np.linspace(2, wide - 2, len(column))
        ys = high - 3 - (column - low) / span * (high - 6)
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
        color = ink[feature % len(ink)] if ink else "#777777"
        lines.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}">'
    drawing = f"{head}{''.join(lines)}</svg>"
    return f"data:image/svg+xml;base64,{base64.b64encode(drawing.encode()).decode()}"


def _points(found: DataPreview) -> None:
    named: dict[str, Any] = {"titles": (_("x (plane units)"), _("y (plane units)")), "colors": colors()}
    picture = figures.points(found.samples, found.labels, found.classes, **named)
    words = _("{n} training points of {k} classes in the plane.")
    st.plotly_chart(
        picture,
        key="data.points",
        config={"displaylogo": False},
        alt=words.format(n=len(found.samples), k=len(found.classes)),
    )
