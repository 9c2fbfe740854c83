"""A question about a drawing as it comes over the door's /look, and its answer as bytes.

To the door: text {"run", "layer", "step", "sample", "drawing"}, a core.spec.questions.Look of the view `draw`.
From the door: text {"error": a sentence}, or bytes, a frame (core.engine.live.encode_frame) with the arrays
  answers   float32 [class]
  saliency  uint8 [height, width]; 255 stands for meta["steepest"]
  shown     uint8 [height, width] or [height, width, 3], the picture that the network gets, as people see it
  view      uint8, what the chosen layer makes of it, as in a live frame (core.spec.events.Frame)
"""

from __future__ import annotations

import json
import math
import time
from typing import Any

import numpy as np

from core.catalog.views.draw import ANSWERS, SALIENCY, DrawFacts
from core.engine.live import encode_frame
from core.engine.protocol import EngineError
from core.spec import registry
from core.spec.events import Frame
from core.spec.questions import NEWEST, Look, Seen
from core.spec.quoting import parsed
from core.store import StoreError
from pages.kit import engine as doors
from pages.kit.words import _

VIEW = "draw"
LONGEST = 4096  # characters of a question
PATIENCE = 20.0  # seconds; the first question of a data set may have to load it
MAPS = 64  # feature maps that are sent at most
KINDS = {3: "feature_maps", 2: "states", 1: "vector"}  # by the axes of what a layer gives


class Unclear(Exception):
    """A message that is no question."""


def answer(text: str | None) -> bytes | str:
    """The answer to one message."""
    try:
        asked = question(text)
        _check(asked.run)
        seen = doors.handle().ask(asked, PATIENCE)
        assert isinstance(seen, Seen)
        return encode_frame(frame(seen))
    except (EngineError, Unclear) as error:
        return json.dumps({"error": str(error)})


def _check(run: str) -> None:
    """Only whole ids come over the network: a few digits, which the command line takes, can be guessed."""
    try:
        doors.store().run(run, whole=True)
    except StoreError:
        raise Unclear(_("This run is not known here. Choose another one or start a new one.")) from None


def question(text: str | None) -> Look:
    """The Look that a message asks for."""
    try:
        if text is None or len(text) > LONGEST:
            raise ValueError
        asked = parsed(text)
        fields: dict[str, Any] = {name: asked.get(name, "") for name in ("run", "layer", "drawing")}
        fields |= {"step": asked.get("step", NEWEST), "sample": asked.get("sample", 0)}
        kinds = {"run": str, "layer": str, "drawing": str, "step": int, "sample": int}
        if any(type(fields[name]) is not kind for name, kind in kinds.items()):
            raise ValueError
    except (ValueError, AttributeError, RecursionError):
        raise Unclear(_("The page has sent something that is no drawing; load it again.")) from None
    return Look(view=VIEW, options=registry.VIEWS.get(VIEW).options(), **fields)


def frame(seen: Seen[DrawFacts]) -> Frame:
    """What the page paints."""
    facts, layer = seen.facts, seen.arrays[seen.layer]
    view, low, high = quantised(layer[:MAPS] if layer.ndim == 3 else layer)
    saliency, _least, steepest = quantised(seen.arrays[SALIENCY], low=0.0)
    sure = facts.confidence
    meta = {
        "sample": seen.sample,
        "layer": seen.layer,
        "view": KINDS[layer.ndim],
        "low": low,
        "high": high,
        "total": len(layer),
        "steepest": steepest,
        "words": list(seen.words),
        "predicted": facts.predicted,
        "target": facts.target,
        "confidence": sure if math.isfinite(sure) else 0.0,
        "classes": facts.classes,
        "box": facts.box,
        "middle": facts.middle,
        "blur": facts.blur,
    }
    answers = np.nan_to_num(seen.arrays[ANSWERS]).astype(np.float32)
    arrays = {"answers": answers, "saliency": saliency, "shown": facts.shown, "view": view}
    return Frame(seen.step, time.time(), meta, arrays)


def quantised(values: np.ndarray, low: float | None = None) -> tuple[np.ndarray, float, float]:
    """uint8 levels of an array, and the values that 0 and 255 stand for. What is no number counts as zero."""
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()) if low is None else low, float(values.max())
    scale = 255 / (high - low) if high > low else 0.0
    return np.round((values - low) * scale).astype(np.uint8), low, high
