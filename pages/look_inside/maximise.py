"""A picture made for a unit, on a page: the film of how it came about, the climb, and the real pictures beside it."""

from __future__ import annotations

import base64
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from core.catalog.views.maximise import ACTIVATIONS, FRAMES, REAL, REAL_PICTURES, REAL_TOP, STEPS, MaximiseFacts
from core.figures import maximise as figures
from core.spec.questions import Seen
from pages.kit import figure, location, look
from pages.kit.samples import png
from pages.kit.web_parts import web_part
from pages.kit.words import _, fill, plain

HEIGHT = 330
REAL_SIDE = 76  # pixels of a real picture

_mount = web_part("film", HEIGHT)


def page(seen: Seen[MaximiseFacts]) -> None:
    """The stage of the page."""
    draw(seen)
    below(seen)


def draw(seen: Seen[MaximiseFacts]) -> None:
    """The film, the climb, the real pictures."""
    film, climb = st.columns([0.36, 0.64], gap="medium")
    with film:
        st.markdown("**" + fill(_("A picture made for {unit}"), unit=unit(seen)) + "**")
        _mount(key="maximise.film", data=told(seen), height=HEIGHT)
    with climb:
        st.markdown("**" + _("How strongly the unit answers") + "**")
        made = figures.climb(
            seen.arrays[STEPS],
            seen.arrays[ACTIVATIONS],
            seen.arrays[REAL],
            x_title=_("steps uphill"),
            y_title=_("activation"),
            made_name=_("made picture"),
            best_name=_("strongest real picture"),
            mean_name=_("mean of real pictures"),
            height=HEIGHT - 20,
        )
        alt = _("The activation at each step, from {first} to {last}; of real pictures at most {best}").format(
            first=f"{seen.arrays[ACTIVATIONS][0]:.3g}",
            last=f"{seen.arrays[ACTIVATIONS][-1]:.3g}",
            best=f"{seen.facts.best:.3g}",
        )
        figure.show(made, key="maximise.climb", alt=alt)
    _real(seen)


def unit(seen: Seen[MaximiseFacts]) -> str:
    """What the unit is called: its class, where it stands for one."""
    name = _("unit {n} of {layer}").format(n=seen.facts.unit, layer=seen.layer)
    return f"{name}, “{seen.facts.label}”" if seen.facts.label else name


def told(seen: Seen[MaximiseFacts]) -> dict[str, Any]:
    """What the film shows."""
    frames = np.rint(seen.arrays[FRAMES] * 255).astype(np.uint8)
    return {
        "frames": base64.b64encode(np.ascontiguousarray(frames).tobytes()).decode(),
        "shape": list(frames.shape),
        "steps": seen.arrays[STEPS].tolist(),
        "values": seen.arrays[ACTIVATIONS].tolist(),
        "words": {
            "play": _("Play"),
            "pause": _("Pause"),
            "slider": _("step uphill"),
            "png": _("Download as a PNG picture"),
            "at": _("step {step}: activation {value}"),
            "picture": _("The made picture,"),
        },
    }


def _real(seen: Seen[MaximiseFacts]) -> None:
    """The real pictures that the unit answers to most."""
    st.markdown("**" + _("The real test pictures it answers to most") + "**")
    which = seen.arrays[REAL_TOP].tolist()
    for place, sample, picture in zip(st.columns(8), which, seen.arrays[REAL_PICTURES], strict=False):
        value = f"{seen.arrays[REAL][sample]:.3g}"
        with place, st.container(gap="xxsmall"):
            st.html(f'<img class="ll-sample" src="{png(picture)}" alt="" width="{REAL_SIDE}" height="{REAL_SIDE}">')
            st.button(
                plain(sample),
                key=f"maximise.real.{sample}",
                width="stretch",
                on_click=partial(location.look_at, sample=sample),
                help=fill(_("Make test sample {n} the current one; the unit answers {value}"), n=sample, value=value),
            )
            st.caption(value)


def table(seen: Seen[MaximiseFacts]) -> list[dict[str, Any]]:
    """The activation of each frame."""
    rows = zip(seen.arrays[STEPS].tolist(), seen.arrays[ACTIVATIONS].tolist(), strict=True)
    return [{_("step"): step, _("activation"): value} for step, value in rows]


def below(seen: Seen[MaximiseFacts]) -> None:
    """The sentences, the table, the arrays and the lines."""
    look.below(seen, table=table(seen))
