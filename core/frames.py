"""One live frame: what the watched layer holds for one test sample, and what the model answers to twelve of them."""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import Tensor

from core.build import Network
from core.data.splits import Splits
from core.events import Frame
from core.specs import LayerSpec
from core.trace import looking, trace, view_address, view_kind

PICTURES = 12
MAPS = 64  # feature maps that one frame shows at most


def make_frame(
    network: Network, layers: tuple[LayerSpec, ...], splits: Splits, step: int, sample: int, layer: str
) -> Frame:
    """Twelve test samples with their answers, and one layer's array for the chosen sample (see core.events.Frame)."""
    names = [spec.name for spec in layers]
    layer = layer if layer in names else names[0]
    sample = min(max(0, sample), len(splits.test[0]) - 1)
    indices = frame_samples(splits, sample)
    address = view_address(layers, layer)
    with looking(network), trace(network, [address], row=indices.index(sample)) as found:
        odds = network(splits.test[0][indices]).softmax(1)
    confidence, predicted = (t.cpu() for t in odds.max(1))
    value = found[address].float().cpu()
    kind = view_kind(value, address, layer)
    shown, low, high = quantise(value[:MAPS] if kind == "feature_maps" else value)
    meta = {
        "sample": sample, "layer": layer, "layers": names, "view": kind, "low": low, "high": high,
        "classes": list(splits.classes), "indices": indices, "total": value.shape[0],
        "samples": len(splits.test[0]), "kind": "tokens" if splits.vocabulary else "picture",
    }  # fmt: skip
    if splits.vocabulary:
        meta["vocabulary"] = list(splits.vocabulary)
        given = {"tokens": np.where(splits.shown[indices] == 0, -1, splits.shown[indices]).astype(np.int32)}
    else:
        given = {"pictures": splits.shown[indices]}
    arrays = {
        **given,
        "targets": splits.test[1][indices].cpu().numpy().astype(np.int32),
        "predicted": predicted.numpy().astype(np.int32),
        "confidence": np.nan_to_num(confidence.numpy().astype(np.float32)),
        "view": shown,
    }
    return Frame(step, time.time(), meta, arrays)


def frame_samples(splits: Splits, sample: int) -> list[int]:
    """Twelve test indices: the first of every class in turn; the chosen one takes the last place if it is not there."""
    y = splits.test[1].cpu().numpy()
    rank = np.zeros(len(y), dtype=np.int64)
    for label in np.unique(y):
        rank[y == label] = np.arange((y == label).sum())
    first: list[int] = np.lexsort((y, rank))[:PICTURES].tolist()
    if sample not in first:
        first[-1] = sample
    return first


def quantise(value: Tensor) -> tuple[np.ndarray, float, float]:
    """uint8 levels of an array, and the values that 0 and 255 stand for."""
    value = torch.nan_to_num(value, 0.0, 0.0, 0.0)
    low, high = float(value.min()), float(value.max())
    scale = 255 / (high - low) if high > low else 0.0
    return ((value - low) * scale).round_().to(torch.uint8).numpy(), low, high
