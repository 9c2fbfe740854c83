"""Takes the turns, and says each ratio as it is there (what they are: core.bench)."""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import torch

from core.bench import CASES, TRAINED, check_cases
from core.bench.contestant import OURS, Contestant, ContestantError
from core.bench.loops import Session, bare, experiment_of, network_of
from core.bench.peers import installed
from core.bench.processes import cores, jobs, memory
from core.bench.turns import Plan, Ratio, advance, compared, take_turns, timed, whole_time
from core.store import scratch_store
from core.worker.session import keep_freed_memory
from core.worker.train.training import load_data

Say = Callable[[str], None]
Named = tuple[str, Ratio]


def run(cases: Sequence[str] | None = None, quick: bool = False, say: Say | None = None) -> dict[str, Any]:
    """Measure the cases (all of CASES when None); {"device", …, "rows": [{"case", "name", "ratio", "low", "high"}]}.

    `say` hears of every row as it is there. SpecError for an unknown case.
    """
    check_cases(cases or ())
    torch.set_num_threads(1)
    say, plan = say or (lambda _line: None), Plan(8, 2) if quick else Plan()
    about = _about(plan)
    say("  ".join(f"{key} {value}" for key, value in about.items()))
    rows = []
    for case in cases or CASES:
        for name, found in _measured(case, plan, quick, say):
            rows.append({"case": case, "name": name, **asdict(found)})
            say(f"{case:12} {name:24} {found.ratio:6.3f}  [{found.low:.3f} … {found.high:.3f}]")
    return {**about, "rows": rows}


def _about(plan: Plan) -> dict[str, Any]:
    gpu = torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name() if gpu else f"cpu {platform.machine()}, {cores()} cores, 1 thread",
        "clock": "wall, synchronised" if gpu else "CPU time",
        "pairs": plan.pairs,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "command": " ".join(["layerlab", *sys.argv[1:]]),
    }


def _measured(case: str, plan: Plan, quick: bool, say: Say) -> Iterator[Named]:
    if case == "jobs":
        yield from jobs(quick, say)
    elif case == "memory":
        found = memory(say)
        if found:
            yield "one more run", found
    elif case in TRAINED:
        yield from _trained(case, plan)
    else:
        yield from _beside_peers(case.removeprefix("peers-"), plan, say)


def _trained(case: str, plan: Plan) -> Iterator[Named]:
    keep_freed_memory()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    experiment = experiment_of(case)
    splits = load_data(experiment).to(device)
    with scratch_store() as store:
        loops = [bare(network_of(experiment, device), experiment, splits) for _side in "AA"]
        times = take_turns(
            {
                "bare": timed(partial(advance, loops[0])),
                "bare again": timed(partial(advance, loops[1])),
                "trainer": timed(Session(store, experiment, watched=False)),
                "watched": timed(Session(store, experiment, watched=True)),
            },
            plan,
        )
    for name, reference in (("bare again", "bare"), ("trainer", "bare"), ("watched", "trainer")):
        yield name, compared(times[reference], times[name], plan.turns)
        if name != "bare again":
            yield f"{name}, whole time", whole_time(times[reference], times[name], plan.turns)


def _beside_peers(case: str, plan: Plan, say: Say) -> Iterator[Named]:
    times = peer_times(case, installed(), plan, say)
    for name, found in times.items():
        if name != "plain":
            yield name if name == "plain again" else f"peer:{name}", compared(times["plain"], found, plan.turns)


def peer_times(case: str, names: Iterable[str], plan: Plan, say: Say) -> dict[str, list[float]]:
    """Seconds per step of every turn: plain, plain again, layerlab and the named peers. One that fails is left out."""
    contestants: dict[str, Contestant] = {}
    try:
        for name in ("plain", "plain again", OURS, *names):
            made = Contestant(case, name)
            try:
                made(1)
                contestants[name] = made
            except ContestantError as error:
                made.close()
                say(f"{case}: {name} is left out: {error}")
        return take_turns(contestants, plan)
    finally:
        for one in contestants.values():
            one.close()
