"""Our trainer beside a bare loop, watched beside unwatched, and beside any installed peer: ratios only.

A row's ratio, with the 95 % interval of its median:
  bare again           a second bare loop over the first: how far the machine itself is to be believed
  trainer              samples per CPU second of a run as its worker carries it, nobody watching, over the bare loop's
  watched              the same run with a viewer (every instrument on, frames written), over the run without one
  …, whole time        the same by the sum of all turns, so that rare work (a checkpoint) counts in full
  peer:NAME            another trainer on the same module, over a plain loop (torch's AdamW as it comes); each of them
                       in a process of its own, all with the allocator that ours sets (session.keep_freed_memory):
                       without it two plain loops differ by 30 %
  peer:layerlab        our trainer in that place, which brings channels_last and the fused optimizer
  jobs / memory        steps per second of several jobs over one alone; memory of one more run over a spawned one
"""

from __future__ import annotations

from collections.abc import Sequence

from core.spec.options import SpecError
from core.spec.quoting import shown
from core.spec.sentences import Sentence

TRAINED = ("mlp", "cnn", "resnet20", "lstm", "transformer")
BESIDE_PEERS = ("mlp", "cnn28")
CASES = (*TRAINED, *(f"peers-{name}" for name in BESIDE_PEERS), "jobs", "memory")


def check_cases(names: Sequence[str]) -> None:
    """SpecError for a case that there is not."""
    for name in names:
        if name not in CASES:
            raise SpecError(
                "case", Sentence("There is no case {name}; there are {cases}.", name=shown(name), cases=list(CASES))
            )
