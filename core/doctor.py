"""What this machine offers, and what would go wrong: for `layerlab doctor` and for bug reports."""

from __future__ import annotations

import importlib.metadata
import os
from pathlib import Path
from typing import Any

import psutil

from core.spec.quoting import Quoted
from core.spec.sentences import Sentence
from core.store import Store, free_space

PACKAGES = ("streamlit", "plotly", "numpy", "scikit-learn", "safetensors", "torch", "torchvision")
LOW_SPACE = 2 << 30


def report(runs: Path, data: Path, home: Path, worker: dict[str, Any]) -> dict[str, Any]:
    """devices, versions, folders, limits, problems; plain values.

    worker: the answer to core.spec.questions.Doctor; {} where none came.
    """
    store = Store(runs)
    used = sum(run.bytes() for run in store.runs())
    free = free_space(runs)
    folders = {
        "home": str(home),
        "runs": Sentence(
            "{folder} ({n} runs, {used:,.0f} MiB)", folder=Quoted(runs), n=len(store.runs()), used=used / 2**20
        ),
        "data": f"{data} ({'there' if data.is_dir() else 'not there yet; it is made by the first download'})",
        "logs": str(home / "logs"),
    }
    limits = {
        "cpu cores": os.cpu_count(),
        "memory": f"{psutil.virtual_memory().total / 2**30:,.1f} GiB",
        "free disk": f"{free / 2**30:,.1f} GiB",
    }
    return {
        "devices": [f"{d['name']}: {d['detail']}" for d in worker.get("devices", ())],
        "versions": {**worker.get("versions", {}), **_installed()},
        "folders": folders,
        "limits": limits,
        "problems": problems(free, runs),
    }


def problems(free: int, runs: Path) -> list[str]:
    """Sentences about what stands in the way; empty when nothing does."""
    found: list[str] = []
    if free < LOW_SPACE:
        found.append(
            Sentence(
                "Only {free:,.0f} MiB are free where the runs are kept ({runs}); delete some runs.",
                free=free / 2**20,
                runs=runs,
            )
        )
    if not os.access(runs, os.W_OK):
        found.append(
            Sentence("{runs} cannot be written to; choose another folder with --runs or $LAYERLAB_RUNS.", runs=runs)
        )
    found += [
        Sentence("{name} is not installed; run `pip install -e .` again.", name=name)
        for name, v in _installed().items()
        if not v
    ]
    return found


def _installed() -> dict[str, str]:
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = ""
    return versions
