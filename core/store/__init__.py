"""A run's folder, and the folder of all runs: the only room that knows paths and file formats.

runs/<id>/about.json             format version, name, created, threads …
          experiment.json        what was asked for; never changes
          status.json            where the run stands
          events.jsonl           rows of numbers, appended; the first row of a (step, name) stands
          frame.bin              the newest live frame
          snapshots/<step>.safetensors                      weights, to look at
          checkpoint.safetensors, checkpoint.previous.safetensors    all that a bit-exact resume needs
"""

from core.store.files import (
    DiskFull,
    StoreError,
    data_home,
    free_space,
    layerlab_home,
    read_named_json,
    runs_home,
    write_npz,
    write_source,
)
from core.store.log import EventLog, read_rows
from core.store.runs import Checkpoint, Run, Store, scratch_store

__all__ = [
    "Checkpoint",
    "DiskFull",
    "EventLog",
    "Run",
    "Store",
    "StoreError",
    "data_home",
    "free_space",
    "layerlab_home",
    "read_named_json",
    "read_rows",
    "runs_home",
    "scratch_store",
    "write_npz",
    "write_source",
]
