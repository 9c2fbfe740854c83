"""doctor, bench and engine."""

from __future__ import annotations

import argparse

from core.bench import check_cases
from core.cli.engine import ask, engine_of
from core.cli.output import aloud, print_json, runs_folder, say
from core.engine.protocol import EngineError
from core.spec.questions import Doctor
from core.store import Store, data_home, layerlab_home


def do_doctor(asked: argparse.Namespace) -> int:
    runs = Store(runs_folder(asked)).root

    from core.doctor import report

    worker, fault = {}, ""
    try:
        with engine_of(asked) as engine:
            worker = ask(engine, Doctor(), aloud(asked))
    except EngineError as error:  # that is what a doctor is called for
        fault = str(error)
    found = report(runs, data_home(), layerlab_home(), worker)
    found["problems"] = [*filter(None, [fault]), *found["problems"]]
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
