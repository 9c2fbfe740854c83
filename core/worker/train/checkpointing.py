"""The parts of a checkpoint that are the same for every training: an optimizer's state, and the random generators."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor

Arrays = dict[str, np.ndarray]


def of_optimizer(optimizer: torch.optim.Optimizer) -> tuple[Arrays, dict[str, Any]]:
    """(tensors, other values) of its state, by `place/name`; a place counts through the parameter groups."""
    arrays: Arrays = {}
    scalars: dict[str, Any] = {}
    for i, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            if isinstance(value, Tensor):
                arrays[f"optimizer/{i}/{name}"] = value.detach().cpu().contiguous().clone().numpy()
            elif value is not None:
                scalars[f"{i}/{name}"] = value
    return arrays, scalars


def to_optimizer(optimizer: torch.optim.Optimizer, arrays: Arrays, scalars: dict[str, Any]) -> None:
    """State tensors take their parameter's memory format: fused kernels walk both alike."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for key, value in arrays.items():
        if key.startswith("optimizer/"):
            _word, i, name = key.split("/")
            parameter, tensor = parameters[int(i)], torch.from_numpy(value.copy())
            if tensor.shape == parameter.shape and name != "step":
                tensor = torch.empty_like(parameter, memory_format=torch.preserve_format).detach().copy_(tensor)
            else:
                tensor = tensor.to(parameter.device)
            optimizer.state[parameter][name] = tensor
    for key, scalar in scalars.items():
        i, _slash, name = key.partition("/")
        optimizer.state[parameters[int(i)]][name] = scalar


def of_generators(device: torch.device) -> tuple[Arrays, dict[str, Any]]:
    """(arrays, plain values) of every generator that anything may draw from: torch, the device, numpy, random."""
    arrays = {"rng/torch": torch.get_rng_state().numpy().copy()}
    if device.type == "cuda":
        arrays["rng/cuda"] = torch.cuda.get_rng_state(device).numpy().copy()
    numpy_state: Any = np.random.get_state()  # noqa: NPY002 (the global one, to restore)
    python_state = random.getstate()
    arrays["rng/numpy"] = np.asarray(numpy_state[1])
    arrays["rng/python"] = np.asarray(python_state[1], dtype=np.uint64)
    return arrays, {"numpy": [numpy_state[0], *map(float, numpy_state[2:])], "gauss": python_state[2]}


def to_generators(device: torch.device, arrays: Arrays, meta: dict[str, Any]) -> None:
    """The inverse of of_generators."""
    torch.set_rng_state(torch.from_numpy(arrays["rng/torch"].copy()))
    if "rng/cuda" in arrays and device.type == "cuda":
        torch.cuda.set_rng_state(torch.from_numpy(arrays["rng/cuda"].copy()), device)
    name, place, has_gauss, gauss = meta["numpy"]
    np.random.set_state((name, arrays["rng/numpy"], int(place), int(has_gauss), gauss))  # noqa: NPY002
    random.setstate((3, tuple(int(v) for v in arrays["rng/python"]), meta["gauss"]))
