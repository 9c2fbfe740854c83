"""One live frame: what the watched layer holds for one test sample, and what the model answers to twelve of them."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.spec.events import Frame
from core.spec.specs import LayerSpec
from core.worker.data.splits import NOT_ASKED, Splits, in_turn
from core.worker.model.build import Network
from core.worker.model.trace import looking, trace, view_address, view_kind

PICTURES = 12
MAPS = 64  # feature maps that one frame shows at most


def make_frame(
    network: Network, layers: tuple[LayerSpec, ...], splits: Splits, step: int, sample: int, layer: str
) -> Frame:
    """Twelve test samples with their answers, and one layer's array for the chosen sample."""
    names = [spec.name for spec in layers]
    layer = layer if layer in names else names[0]
    sample = min(max(0, sample), len(splits.test[0]) - 1)
    indices = frame_samples(splits, sample)
    address = view_address(layers, layer)
    with looking(network), trace(network, [address], row=indices.index(sample)) as found:
        logits = network(splits.test[0][indices])
    value = found[address].float().cpu()
    kind = view_kind(value, address, layer)
    view, low, high = quantise(value[:MAPS] if kind == "feature_maps" else value)
    given, about = _given(splits, indices)
    meta = {
        "sample": sample,
        "layer": layer,
        "layers": names,
        "view": kind,
        "low": low,
        "high": high,
        "classes": list(splits.classes),
        "indices": indices,
        "total": value.shape[0],
        "samples": len(splits.test[0]),
        "task": task_of(splits),
        **about,
    }
    return Frame(step, time.time(), meta, {**given, **_answers(logits, splits.test[1][indices]), "view": view})


def task_of(splits: Splits) -> str:
    """classes, number or each_step, as the targets are (see core.catalog.entries.DataForm)."""
    y = splits.test[1]
    if y.is_floating_point():
        return "number"
    return "each_step" if y.dim() > 1 else "classes"


def _given(splits: Splits, indices: list[int]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The samples as people see them, by the name of their kind; and what meta says of them."""
    shown = splits.shown[indices]
    if splits.vocabulary:
        tokens = np.where(shown == 0, -1, shown).astype(np.int32)
        return {"tokens": tokens}, {"kind": "tokens", "vocabulary": list(splits.vocabulary)}
    if shown.dtype == np.uint8:
        return {"pictures": shown}, {"kind": "picture"}
    if shown.ndim == 2:
        ends = [float(splits.shown.min()), float(splits.shown.max())]
        return {"points": shown.astype(np.float32)}, {"kind": "points", "range": ends}
    given = {"sequences": shown[:, :, 0].astype(np.float32)}
    if splits.evidence is not None:  # a line alone does not show which of its steps are meant
        given["marks"] = splits.evidence[indices].astype(np.uint8)
    return given, {"kind": "sequence"}


def _answers(logits: Tensor, y: Tensor) -> dict[str, np.ndarray]:
    """targets, predicted and, where classes are asked, confidence; shapes as in core.spec.events.Frame."""
    if y.is_floating_point():
        return {"targets": y.cpu().numpy(), "predicted": logits.reshape(y.shape).float().cpu().numpy()}
    confidence, predicted = (t.cpu() for t in logits.softmax(-1).max(-1))
    y = y.cpu()
    if y.dim() > 1:  # the mean over the steps that are asked
        asked = (y != NOT_ASKED).float()
        confidence = (confidence * asked).sum(1) / asked.sum(1).clamp(min=1)
    return {
        "targets": y.numpy().astype(np.int32),
        "predicted": predicted.numpy().astype(np.int32),
        "confidence": np.nan_to_num(confidence.numpy().astype(np.float32)),
    }


def frame_samples(splits: Splits, sample: int) -> list[int]:
    """Twelve test indices: the first of every class in turn; the chosen one takes the last place if it is not there."""
    y = splits.test[1].cpu().numpy()
    order = in_turn(y) if task_of(splits) == "classes" else np.arange(len(y))
    first: list[int] = order[:PICTURES].tolist()
    if sample not in first:
        first[-1] = sample
    return first


def quantise(value: Tensor) -> tuple[np.ndarray, float, float]:
    """uint8 levels of an array, and the values that 0 and 255 stand for."""
    value = torch.nan_to_num(value, 0.0, 0.0, 0.0)
    low, high = float(value.min()), float(value.max())
    scale = 255 / (high - low) if high > low else 0.0
    return ((value - low) * scale).round_().to(torch.uint8).numpy(), low, high
