"""doctor, bench and engine."""

from __future__ import annotations

import argparse

from core.bench import check_cases
from core.cli.output import print_json, runs_folder, say
from core.spec.questions import Doctor
from core.store import Store, data_home, layerlab_home


def do_doctor(asked: argparse.Namespace) -> int:
    runs = Store(runs_folder(asked)).root

    from core.doctor import report

    found = report(runs, data_home(), layerlab_home(), Doctor())
    if asked.json:
        print_json(found)
        return 0
    for title, lines in found.items():
        say(title)
        for line in lines.items() if isinstance(lines, dict) else lines:
            say("  " + ("  ".join(map(str, line)) if isinstance(line, tuple) else str(line)))
    return 0


def do_bench(asked: argparse.Namespace) -> int:
    check_cases(asked.case or ())

    from core.bench.measure import run

    found = run(cases=asked.case, quick=asked.quick, say=None if asked.json else say)
    if asked.json:
        print_json(found)
    return 0


def do_engine(asked: argparse.Namespace) -> int:
    from core.engine.__main__ import main as serve

    flags = ["--runs", str(runs_folder(asked))]
    return serve(flags + (["--slots", str(asked.slots)] if asked.slots else []))
