"""LayerLab's engine room. `from core import …` gives what a notebook needs; nothing heavy is loaded before it is used.

from core import Event, Training, assign, preset
experiment = assign(preset("cnn", "digits"), {"train.steps": 200})
for happened in (training := Training(experiment)):
    for event in happened:
        if isinstance(event, Event) and event.name == "val/accuracy":
            print(event.step, event.value)
print(training.evaluate("test"))
print(training.network)                     # a plain torch.nn.Module
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"
__all__ = ["Describe", "Event", "Experiment", "Store", "Training", "assign", "describe", "preset"]

_HOME = {
    "Describe": "core.spec.questions",
    "Event": "core.spec.events",
    "Experiment": "core.spec.specs",
    "Store": "core.store",
    "Training": "core.worker.train.training",
    "assign": "core.spec.specs",
    "describe": "core.worker.model.build",
    "preset": "core.spec.specs",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"core has no {name}; it offers {', '.join(__all__)}")
