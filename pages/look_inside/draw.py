"""The pad: a picture is drawn, and the network's answer, its saliency and a layer's maps follow each stroke.

The part talks to the door's /look by itself (drawn.py). Reruns carry which run, moment and layer is looked at;
back comes the drawing, as text, once the pen has rested, and the layer that was chosen.
"""

from __future__ import annotations

from contextlib import suppress

import streamlit as st

from core.catalog.views.draw import ANSWERS, DrawFacts
from core.spec import drawings, registry
from core.spec.questions import Look, Seen
from pages.kit import location, look, moments, waiting
from pages.kit.live import live_words
from pages.kit.network import made_of
from pages.kit.web_parts import web_part
from pages.kit.words import _, plain

KEY = "draw"
HEIGHT = 486  # with it the whole pad stands under the moment's slider at 1280×720CLASSES = 40  # that are named at most
CLASSES = 40  # that are named at most

_mount = web_part("draw", HEIGHT)

VIEW = registry.VIEWS.get("draw")


def page() -> None:
    """The pad, and under it the same answer in words, as a table, to download and in PyTorch."""
    run = location.current()
    if run is None:
        look.without_run()
        return
    layers, form = made_of(run)
    if not VIEW.applies(layers, form):
        look.without_part(run, VIEW)
        return
    about, time = st.columns([0.6, 0.4], gap="medium", vertical_alignment="bottom")
    with time:
        step = moments.draw(run)
    if step is None:
        look.without_weights()
        return
    offered = VIEW.layers(layers, form)
    layer = location.layer() if location.layer() in offered else offered[0]
    pad(run.id, step=step, layer=layer, layers=offered)
    seen = waiting.answer(question(run.id, step, layer))
    if seen is not None:
        about.markdown(plain(what_to_draw(seen)))
        look.below(seen, table=table(seen))


def pad(run_id: str, *, step: int, layer: str, layers: tuple[str, ...]) -> None:
    """The pad with what the network makes of it; the test sample where nothing is drawn."""
    _mount(
        key=KEY,
        data={
            "run": run_id,
            "step": step,
            "layer": layer,
            "layers": list(layers),
            "sample": location.sample(),
            "drawn": location.drawing(),
            "height": HEIGHT,
            "words": _words(),
        },
        on_drawn_change=_drawn,
        on_layer_change=_layer,
    )


def _drawn() -> None:
    """What was drawn is what every page looks at; an empty pad gives the test samples back."""
    text = str(st.session_state[KEY].drawn or "")
    with suppress(drawings.DrawingError):
        if text:
            drawings.decode(text)
        location.look_at(drawing=text)


def _layer() -> None:
    location.look_at(layer=str(st.session_state[KEY].layer or ""))


def question(run_id: str, step: int, layer: str) -> Look:
    """What the pad asks, for the words, the table and the downloads under it."""
    view, drawn = registry.VIEWS.get("draw"), location.drawing()
    return Look(run_id, view.name, 0 if drawn else location.sample(), layer, step, view.options(), drawn)


def what_to_draw(seen: Seen[DrawFacts]) -> str:
    """Which classes the network knows."""
    classes = seen.facts.classes
    names = ", ".join(classes[:CLASSES]) + (" …" if len(classes) > CLASSES else "")
    said = _("Draw one of what this network has learned: {names}.").format(names=names)
    if location.drawing():
        said += " " + _("Your drawing is now the sample of every view under Look inside, until you clear the pad.")
    return said


def table(seen: Seen[DrawFacts]) -> list[dict[str, object]]:
    """The shares of the classes, as rows."""
    shares = seen.arrays[ANSWERS].tolist()
    return [
        {_("class"): name, _("share"): round(share, 4)} for name, share in zip(seen.facts.classes, shares, strict=True)
    ]


def _words() -> dict[str, str]:
    """Every word the part shows; what stands in braces is filled in by the browser."""
    shown = live_words()
    same = ("layer", "first_of", "scale_signed", "scale_size", "lost", "refused_origin", "refused_host")
    return {name: shown[name] for name in shown if name in same or name.startswith(("about_", "hover_"))} | {
        "pad": _("Pad to draw on, 28 × 28 pixels"),
        "here": _("draw here"),
        "brush": _("brush"),
        "brush_help": _("Width of the brush in pixels of the picture; a pen's pressure makes it wider"),
        "erase": _("Erase"),
        "erase_help": _("The brush takes away instead"),
        "undo": _("Undo"),
        "undo_help": _("Take the last stroke back (Ctrl+Z)"),
        "clear": _("Clear"),
        "clear_help": _("Empty the pad: back to the test samples (Delete)"),
        "fit": _("Fit to the data: size, place, softness"),
        "fit_help": _(
            "As the data's own pictures were made: the drawing is scaled to their usual size, its centre of mass put "
            "where theirs is, its edges made as soft. Switch it off to see how much the network relies on that."
        ),
        "take": _("Put test sample {sample} on the pad"),
        "take_help": _("Then change it: draw on it, erase, or move it with Shift and the arrow keys"),
        "keys": _(
            "Keyboard: arrows move the pen, Space puts it down and lifts it, Shift and arrows move the whole picture."
        ),
        "lowered": _("The pen is down: arrows draw."),
        "lifted": _("The pen is up: arrows only move it."),
        "gets": _("What the network gets"),
        "gets_sample": _("What the network gets: test sample {sample}"),
        "got": _("the picture"),
        "got_help": _("The picture as it reaches the network, pixel by pixel"),
        "saliency": _("the saliency"),
        "saliency_help": _(
            "How much the predicted class's logit would change with each pixel: the size of its gradient. "
            "The line goes around what is drawn."
        ),
        "steepest": _("Saliency: 0 (dark) to {most} (bright), change of the logit for one standard deviation"),
        "says": _("What it says"),
        "bars": _("Share of each class"),
        "said": _("The network says {predicted}, {sure}."),
        "target": _("it is {target}"),
        "layer_help": _("The layer whose output is shown"),
    }
