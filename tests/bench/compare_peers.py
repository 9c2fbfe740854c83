"""Our trainer beside every installed peer in one run: cnn28, resnet20 and mlp, one thread, CPU time.

    python -m venv /tmp/peers && echo "$PWD/.venv/lib/python3.11/site-packages" > \
        /tmp/peers/lib/python3.11/site-packages/main.pth        # shares the torch that is installed
    /tmp/peers/bin/pip install lightning pytorch-ignite skorch fastai accelerate keras
    /tmp/peers/bin/python tests/bench/compare_peers.py [--pairs 30] [--turns 3] [--case mlp …] [--json FILE]

Every trainer has a process of its own, which trains only in its turn (core.bench.contestant). The table says how many
times as fast ours is: samples per CPU second over theirs, median of the pairs, 95 % interval of the median.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch

from core.bench.contestant import OURS
from core.bench.measure import peer_times
from core.bench.peers import installed
from core.bench.processes import cores
from core.bench.turns import Plan, Ratio, compared

GOALS = {"cnn28": ("best", 1.4), "resnet20": ("best", 1.1), "mlp": ("lightning", 1.25)}
RIVALS = ("lightning", "keras", "fastai", "skorch", "ignite")


def main() -> int:
    """Print the table; exit code 1 where a goal is missed."""
    asked = arguments()
    plan, names = Plan(asked.pairs, asked.turns), installed()
    print(f"{' '.join([Path(sys.executable).name, *sys.argv])}")
    print(f"torch {torch.__version__}, {platform.machine()}, {cores()} cores, one thread, {plan.pairs} pairs")
    print(f"installed: {', '.join(names)}; not here: {', '.join(set(RIVALS) - set(names)) or 'none'}")
    tables = {case: table(case, names, plan) for case in asked.case or GOALS}
    good = [goal(case, found) for case, found in tables.items()]
    if asked.json:
        rows = {case: {name: asdict(one) for name, one in found.items()} for case, found in tables.items()}
        Path(asked.json).write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return 0 if all(good) else 1


def arguments() -> argparse.Namespace:
    """The flags."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--case", action="append", choices=list(GOALS))
    parser.add_argument("--json")
    return parser.parse_args()


def table(case: str, names: list[str], plan: Plan) -> dict[str, Ratio]:
    """How many times as fast as each other trainer ours is."""
    times = peer_times(case, names, plan, print)
    found = {name: compared(one, times[OURS], plan.turns) for name, one in times.items() if name != OURS}
    found["A/A control"] = compared(times["plain"], times["plain again"], plan.turns)
    for name, one in found.items():
        print(f"{case:10} ours / {name:12} {one.ratio:6.3f}  [{one.low:.3f} … {one.high:.3f}]", flush=True)
    return found


def goal(case: str, found: dict[str, Ratio]) -> bool:
    """Is the goal of the case reached?"""
    rival, least = GOALS[case]
    if rival == "best":
        rival = min((name for name in RIVALS if name in found), key=lambda name: found[name].ratio, default="")
    if rival not in found:
        print(f"{case}: {rival or 'no peer'} is not here, so nothing can be said")
        return False
    reached = found[rival].ratio >= least
    print(f"{case}: {found[rival].ratio:.2f} times {rival}, goal {least}: {'reached' if reached else 'MISSED'}")
    return reached


if __name__ == "__main__":
    sys.exit(main())
