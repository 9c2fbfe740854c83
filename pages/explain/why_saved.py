"""What is taken home from the comparison: one page with all its maps, and a program that makes a map again."""

from __future__ import annotations

import html
import io
import zipfile
from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from core.catalog.entries import PICTURE
from core.spec.questions import Explain, Explained, Reproduce, Reproduction
from core.spec.registry import METHODS
from pages.explain import badges, why_maps
from pages.kit import engine as doors
from pages.kit.samples import png
from pages.kit.words import _

_SHEET = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color: {ink}; background: {ground}; }}
main {{ display: flex; flex-wrap: wrap; gap: 1.5rem; }}
figure {{ margin: 0; max-width: 32rem; }}
figcaption small {{ display: block; opacity: .8; }}
.ll-why-words, .ll-why-letters {{ display: flex; flex-wrap: wrap; gap: 4px; height: auto !important; }}
.ll-why-legend {{ display: flex; gap: 1.5rem; margin-bottom: 1.5rem; align-items: center; }}
.ll-why-legend i {{ display: inline-block; width: 90px; height: 10px; }}
.ll-why-words span {{ padding: 1px 6px; border-radius: 3px; }}
</style></head><body><h1>{title}</h1><p>{about}</p>{legend}<main>{cards}</main></body></html>
"""


def sheet(title: str, maps: Sequence[Explained], *, over: bool, drawing: bool, number: bool) -> str:
    """All maps with their proof as one page that needs nothing else; each map can be saved as a picture from there."""
    cards, script = [], True
    if why_maps.about(maps[0]).kind == PICTURE:
        given = f'<img src="{png(why_maps.about(maps[0]).shown)}" width="160" height="160" alt="" class="ll-sample">'
        cards.append(f"<figure>{given}<figcaption><b>{html.escape(_('Input'))}</b></figcaption></figure>")
    for found in maps:
        method = METHODS.get(found.method)
        if found.withheld or found.rounding:  # noise divided by its own largest value looks like any map
            cards.append(
                f"<figure><figcaption><b>{html.escape(_(method.title))}</b><small>"
                f"{html.escape(found.withheld or found.rounding)}</small></figcaption></figure>"
            )
            continue
        drawn = why_maps.drawn(found, _(method.title), over=over)
        if isinstance(drawn, go.Figure):
            drawn = drawn.to_html(full_html=False, include_plotlyjs=script, config={"displaylogo": False})
            script = False
        told = " · ".join([badges.badge(found)[1], *badges.cost(found), *found.words])
        name = html.escape(_(method.title))
        cards.append(
            f"<figure>{drawn}<figcaption><b>{name}</b><small>{html.escape(told)}</small></figcaption></figure>"
        )
    first = maps[0]
    name = _("your drawing") if drawing else _("test sample {n}").format(n=first.sample)
    about = _("{name}, predicted: {predicted}; weights of step {step}.").format(
        name=name, predicted=why_maps.about(first).predicted, step=first.step
    )
    dark = why_maps.dark()
    return _SHEET.format(
        title=html.escape(title),
        about=html.escape(about),
        cards="".join(cards),
        legend=why_maps.legend(number),
        ink="#e8e8e8" if dark else "#222",
        ground="#14181f" if dark else "#fff",
    )


def program(asked: Explain) -> bytes:
    """why.py and attribution.npz, zipped: the map again with plain Captum. EngineError in words."""
    made = doors.engine().ask(Reproduce(asked))
    assert isinstance(made, Reproduction)
    held, arrays = io.BytesIO(), io.BytesIO()
    np.savez(arrays, **made.arrays)  # type: ignore[arg-type]
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("why.py", made.program)
        packed.writestr("attribution.npz", arrays.getvalue())
    return held.getvalue()
