"""A run at a glance: what a list of runs shows of each, found without parsing the whole log.

What was read mostly stands, so each look reads what is new. The folder is the truth: this is forgotten
with the process and built again from the rows.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from core.store.runs import Run

POINTS = 64  # of the small loss curve, at most twice as many while it is collected
KEPT = 2000  # runs that are remembered
_NUMBER = rb'":"?(nan|-?inf|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)[",}]'  # nothing else is a value: see events.json_number
_LOSS = re.compile(rb'"train/loss' + _NUMBER)
_TEST = re.compile(rb'"test/accuracy' + _NUMBER)
_ACCURACY = re.compile(rb'"val/accuracy' + _NUMBER)


@dataclass
class Glance:
    """loss: train/loss evenly thinned over the steps so far. Accuracies: 0…1, None where there is none.

    best, last: on the validation part. test: on the test part, which is measured at the end.
    """

    loss: list[float] = field(default_factory=list)
    best_accuracy: float | None = None
    last_accuracy: float | None = None
    test_accuracy: float | None = None
    offset: int = 0
    _stride: int = 1
    _seen: int = 0

    def add(self, rows: bytes) -> None:
        """Take in whole lines of events.jsonl."""
        for match in _LOSS.finditer(rows):
            if self._seen % self._stride == 0:
                self.loss.append(float(match[1]))
                if len(self.loss) >= 2 * POINTS:
                    del self.loss[1::2]
                    self._stride *= 2
            self._seen += 1
        for match in _ACCURACY.finditer(rows):
            self.last_accuracy = float(match[1])
            self.best_accuracy = max(self.last_accuracy, self.best_accuracy or 0.0)
        for match in _TEST.finditer(rows):
            self.test_accuracy = float(match[1])


_known: OrderedDict[Path, Glance] = OrderedDict()
_lock = threading.Lock()


def glance(run: Run) -> Glance:
    """What a list shows of the run, up to its newest row."""
    with _lock:
        found = _known.setdefault(run.path, Glance())
        _known.move_to_end(run.path)
        while len(_known) > KEPT:
            _known.popitem(last=False)
        while True:
            rows, offset = run.rows_after(found.offset)
            if offset - len(rows) < found.offset:  # the log was mended, or rows were taken back: from the beginning
                found = _known[run.path] = Glance()
                continue
            if not rows:
                return found
            found.add(rows)
            found.offset = offset
