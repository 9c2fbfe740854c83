"""How long it takes, from the click, until a CNN reads 99 % of MNIST's test set, somebody watching.

    python -m tests.bench.mnist_99 --data-dir DIR [--seeds 5] [--set train.epochs=3 …]

Every seed is a run as the app starts it: an engine, a worker, rows, snapshots, checkpoints, and one viewer who watches
the first layer. Click: from the request to the row test/accuracy, which is of all 10,000 pictures. Training: the
steps alone, with all that looks at them. Exit code 1 where a seed stays below 99 %.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch

from core.engine.client import connect
from core.spec.events import ENDED, Command
from core.spec.specs import Experiment, assign, preset
from core.store import Store, data_home, scratch_store

ENOUGH = 0.99
CHOSEN = {"train.epochs": 3, "train.batch_size": 256, "train.lr": 0.01, "model.channels": "32,64", "model.dropout": 0.2}


def main() -> int:
    """Print a line a seed and the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, default=data_home())
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--set", nargs="*", default=[])
    asked = parser.parse_args()
    where = torch.cuda.get_device_name() if torch.cuda.is_available() else "the CPU"
    chosen = {**CHOSEN, **dict(one.split("=", 1) for one in asked.set)}
    print(f"cnn on MNIST, {chosen}, on {where}, torch {torch.__version__}")
    found = []
    with scratch_store() as store:
        engine = connect(store.root)
        try:
            for seed in range(asked.seeds):
                experiment = assign(preset("cnn", "mnist"), {**chosen, "train.seed": seed})
                found.append(one_run(store, engine, experiment, asked.data_dir))
                accuracy, click, training = found[-1]
                print(f"seed {seed}: {accuracy:.4f} after {click:.2f} s from the click, {training:.2f} s of training")
        finally:
            engine.close()
    accuracies, clicks, trainings = (statistics.median(column) for column in zip(*found, strict=True))
    print(f"medians: {accuracies:.4f}, {clicks:.2f} s from the click, {trainings:.2f} s of training")
    return 0 if all(accuracy >= ENOUGH for accuracy, *_ in found) else 1


def one_run(store: Store, engine, experiment: Experiment, data_dir: Path) -> tuple[float, float, float]:  # type: ignore[no-untyped-def]
    """(test accuracy, seconds from the click to it, seconds of training)."""
    clicked = time.time()
    run = engine.start(experiment, data_dir=str(data_dir))
    while engine.state(run).status.state not in ENDED:
        engine.command(run, Command("watch", {"sample": 3, "layer": ""}))
        time.sleep(0.05)
    kept = store.run(run)
    row = next((e for e in kept.events() if e.name == "test/accuracy"), None)
    if row is None:
        raise RuntimeError(engine.state(run).status.words)
    return row.value, row.time - clicked, float(kept.about()["seconds"])


if __name__ == "__main__":
    sys.exit(main())
