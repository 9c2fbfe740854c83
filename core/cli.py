"""The command line: the same requests as the pages', without a browser.

With --json each command prints exactly one JSON object on stdout. A mistake is one line on stderr and exit code 2.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NoReturn

from core import registry, specs
from core.applies import check_experiment
from core.catalog.trials import TRIALS
from core.engine.client import connect
from core.engine.protocol import Engine, EngineError
from core.events import ENDED, FINISHED, PAUSED, SETTABLE, Command
from core.options import SpecError
from core.questions import (
    NEWEST,
    PREDICTED,
    Describe,
    Doctor,
    Explain,
    Explained,
    Fits,
    Look,
    Reproduce,
    Reproduction,
    Score,
)
from core.registry import CatalogError
from core.specs import Choice, Experiment, assign, experiment_from_json, model_from_json, preset
from core.store import (
    Run,
    Store,
    StoreError,
    data_home,
    layerlab_home,
    read_named_json,
    runs_home,
    write_npz,
    write_source,
)

VERBS = ("pause", "resume", "step", "stop", "set")


class Mistake(Exception):
    """Something the person who typed can mend; the text is one line."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Mistake(f"{message} (see {self.prog} --help)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code: 0 done, 1 the run failed, 2 a mistake, 130 interrupted."""
    try:
        asked = parser().parse_args(argv)
        if getattr(asked, "data_dir", None):
            os.environ["LAYERLAB_DATA"] = str(Path(asked.data_dir).resolve())
        code: int = asked.do(asked)
        return code
    except (Mistake, SpecError, StoreError, CatalogError, EngineError) as error:
        print(f"layerlab: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def parser() -> argparse.ArgumentParser:
    """Every command with its flags."""
    shared = _Parser(add_help=False)
    shared.add_argument("--json", action="store_true", help="print exactly one JSON object")
    shared.add_argument("--runs", metavar="DIR", help="the runs folder (default: $LAYERLAB_RUNS, ~/.layerlab/runs)")
    shared.add_argument("--data-dir", metavar="DIR", help="the data folder (default: $LAYERLAB_DATA, ~/.layerlab/data)")
    top = _Parser(prog="layerlab", description="Build small networks, watch them learn, ask them why.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, do: Callable[[argparse.Namespace], int], help: str) -> _Parser:
        one = commands.add_parser(name, parents=[shared], help=help, description=help)
        one.set_defaults(do=do)
        return one

    one = add("describe", do_describe, "a model's layers, parameters and problems")
    _chooses_model(one)
    one.add_argument("--classes", type=int, metavar="K")
    one.add_argument("--input", metavar="C,H,W")
    one = add("train", do_train, "train a model and wait for it")
    _chooses_model(one)
    one.add_argument("--experiment", metavar="FILE.json")
    one.add_argument("--resume", metavar="RUN")
    one.add_argument("--steps", type=int)
    one.add_argument("--epochs", type=int)
    one.add_argument("--seed", type=int)
    one.add_argument("--threads", type=int, default=0, help="CPU threads (default: all for a lone run)")
    one.add_argument("--name", default="")
    one = add("control", do_control, "steer a run: pause, resume, step, stop, set lr=0.01")
    one.add_argument("run")
    one.add_argument("verb", choices=VERBS)
    one.add_argument("values", nargs="*", metavar="NAME=VALUE")
    add("runs", do_runs, "every run")
    one = add("look", do_look, "look inside a run: one view of one sample, at any moment of its training")
    one.add_argument("--view", required=True, metavar="NAME", help=f"one of {', '.join(registry.VIEWS.names())}")
    _chooses_sample(one, "view")
    one = add("explain", do_explain, "ask why a run's network answers as it does")
    known = ", ".join(registry.METHODS.names())
    one.add_argument("--method", required=True, metavar="NAME", help=f"list, or one of {known}")
    one.add_argument("--target", default=PREDICTED, metavar="K", help="predicted, true, a class K, or a difference K-J")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--script", metavar="FILE.py",
                     help="a program that makes the map again with plain Captum; attribution.npz is written beside it")
    _chooses_sample(one, "method")
    _scores(add("score", do_score, "how well the methods find evidence that is known"))
    add("doctor", do_doctor, "what this machine offers")
    one = add("bench", do_bench, "our trainer beside a bare loop, and beside any installed peer")
    one.add_argument("--quick", action="store_true", help="fewer pairs: a look, not a claim")
    one.add_argument("--case", action="append", metavar="NAME", help="only this case (may be repeated)")
    one = add("engine", do_engine, "run the engine as a service: it outlives the web process")
    one.add_argument("--slots", type=int, default=0, help="runs at once (default: one per core)")
    return top


def _scores(one: _Parser) -> None:
    trials = ", ".join(trial.name for trial in TRIALS)
    one.add_argument("--quick", action="store_true", help="fewer seeds, steps and samples: a look, not a claim")
    one.add_argument("--seeds", type=int, default=0, metavar="N", help="networks of each trial (default 5, quick 2)")
    one.add_argument("--data", nargs="+", default=[], metavar="NAME", help=f"only these of {trials}")
    one.add_argument("--run", default="", metavar="RUN", help="score this run's own network, on data of these kinds")
    one.add_argument("--out", metavar="FILE.csv", help="where to write the table: one line a map")


def _chooses_sample(one: _Parser, what: str) -> None:
    one.add_argument("run")
    one.add_argument("--sample", type=int, default=0, metavar="I", help="of the test set")
    one.add_argument("--layer", default="", metavar="NAME", help=f"for a {what} that has one to choose")
    one.add_argument("--step", type=int, default=NEWEST, metavar="S", help="default: the newest whose weights are kept")
    one.add_argument("--set", action="append", default=[], nargs="+", metavar="OPTION=VALUE", help=f"of the {what}")
    one.add_argument("--out", metavar="FILE.npz", help="where to write the arrays")


def _chooses_model(one: _Parser) -> None:
    one.add_argument("--preset", metavar="NAME", help=f"one of {', '.join(registry.ARCHITECTURES.names())}")
    one.add_argument("--model", metavar="FILE.json")
    one.add_argument("--data", metavar="NAME", help=f"one of {', '.join(registry.DATASETS.names())}")
    one.add_argument("--set", action="append", default=[], nargs="+", metavar="PART.NAME=VALUE",
                     help="data.size=8 model.positions=none train.lr=0.01 …")  # fmt: skip


# ── what was asked for ───────────────────────────────────────────────────────────────────────────────────────────────


def experiment_of(asked: argparse.Namespace) -> Experiment:
    """The experiment that the flags describe."""
    if getattr(asked, "experiment", None):
        made = experiment_from_json(read_named_json(Path(asked.experiment)))
        if asked.data:
            dataset = registry.DATASETS.get(asked.data)
            made = replace(made, data=replace(made.data, name=dataset.name, options=dataset.options()))
    elif asked.model:
        model = model_from_json(read_named_json(Path(asked.model)))
        made = replace(preset(model.architecture, asked.data or "digits"), model=model)
    elif asked.preset:
        made = preset(asked.preset, asked.data or "digits")
    else:
        raise Mistake("say which model: --preset NAME or --model FILE.json")
    changes: dict[str, Any] = dict(_pair(one) for group in asked.set for one in group)
    if getattr(asked, "steps", None) is not None:
        changes |= {"train.steps": asked.steps, "train.epochs": 0}
    for name in ("epochs", "seed"):
        if getattr(asked, name, None) is not None:
            changes[f"train.{name}"] = getattr(asked, name)
    if getattr(asked, "seed", None) is not None:
        changes.setdefault("data.seed", asked.seed)
    return assign(made, changes)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise Mistake(f"“{text}” should be NAME=VALUE, such as train.lr=0.01")
    return name, value


def do_describe(asked: argparse.Namespace) -> int:
    from core.build import describe

    made = experiment_of(asked)
    shape = _shape(asked.input) if asked.input else ()
    if not asked.data and not shape and not made.model.layers:  # a preset alone: what it was made for
        shape = registry.ARCHITECTURES.get(made.model.architecture).example_data.shape
    found = describe(Describe(made.model, made.data, made.train.batch_size, shape, asked.classes or 0))
    if asked.json:
        problems = [{"layer": p.layer, "message": p.message, "fix": p.fix} for p in found.problems]
        _print({**asdict(found), "problems": problems})
        return 0
    for row in found.layers:
        sizes = f"{'×'.join(map(str, row.in_shape))} → {'×'.join(map(str, row.out_shape))}"
        field = f"RF {row.receptive_field}" if row.receptive_field else ""
        print(f"{row.name:16}{row.kind:18}{sizes:26}{row.params:>12,}{row.macs:>14,}  {field}")
    print(f"{found.params:,} parameters, {found.macs:,} multiply-adds per sample")
    for problem in found.problems:
        print(f"{problem.layer}: {problem.message}. To mend it: {problem.fix}.")
    return 0


def _shape(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.replace("x", ",").split(","))
    except ValueError:
        raise Mistake(f"--input {text} should be whole numbers with commas between them, such as 3,32,32") from None


# ── runs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _runs_folder(asked: argparse.Namespace) -> Path:
    return Path(asked.runs) if asked.runs else runs_home()


def do_train(asked: argparse.Namespace) -> int:
    store = Store(_runs_folder(asked))
    experiment = None if asked.resume else _checked(experiment_of(asked))
    engine = connect(store.root)
    try:
        if experiment is None:
            run = store.run(asked.resume)
            engine.command(run.id, Command("resume"))
        else:
            folder = str(data_home().resolve()) if asked.data_dir else ""
            run = store.run(engine.start(experiment, asked.name, threads=asked.threads, data_dir=folder))
        return _follow(engine, run, asked.json)
    finally:
        engine.close()


def _checked(experiment: Experiment) -> Experiment:
    """The experiment, if its model can work and its settings apply; the same sentence as everywhere otherwise."""
    from core.build import ModelError, check, data_form

    check_experiment(experiment)
    try:
        check(experiment.model, data_form(experiment.data), experiment.train.batch_size)
    except ModelError as error:
        raise Mistake(str(error)) from None
    return experiment


def _follow(engine: Engine, run: Run, quiet: bool) -> int:
    """Wait until the run ends; Ctrl-C stops it (it can be resumed)."""
    said = ""
    while True:
        try:
            status = engine.state(run.id).status
            line = f"{status.state}  step {status.step} / {status.steps}  {status.words}"
            if not quiet and line != said:
                said = line
                print(line, flush=True)
            if status.state in ENDED or (status.state == PAUSED and status.words):
                break
            time.sleep(0.1)
        except KeyboardInterrupt:
            engine.command(run.id, Command("stop"))
    if status.state != FINISHED:
        print(f"layerlab: run {run.id[:8]} {status.state}: {status.words}", file=sys.stderr)
        return 1
    _print(summary(run)) if quiet else print(f"run {run.id}")
    return 0


def summary(run: Run) -> dict[str, Any]:
    """What `train --json` prints of a finished run."""
    first: dict[str, float] = {}
    last: dict[str, float] = {}
    for event in run.events():
        first.setdefault(event.name, event.value)
        last[event.name] = event.value
    about, status = run.about(), run.status()
    seconds = float(about.get("seconds", 0.0))
    batch = run.experiment().train.batch_size
    metrics = {k: v for k, v in last.items() if k.startswith(("train/", "val/", "test/", "best/", "suggested/"))}
    return {
        "run": run.id, "steps": status.step, "seconds": round(seconds, 3),
        "samples_per_second": round(status.step * batch / seconds, 1) if seconds else None,
        "device": about.get("device"), "threads": about.get("threads"),
        "metrics": {"train/loss_first": first.get("train/loss"), **metrics},
        **({"sample_text": about["sample_text"]} if "sample_text" in about else {}),
    }  # fmt: skip


def do_control(asked: argparse.Namespace) -> int:
    store = Store(_runs_folder(asked))
    run = store.run(asked.run)
    values: dict[str, Any] = dict(_pair(one) for one in asked.values)
    if asked.verb == "set" and not values:
        raise Mistake(f"say what to set, such as lr=0.01; {', '.join(SETTABLE)} can be set")
    if asked.verb != "set" and values:
        raise Mistake(f"{asked.verb} takes no values")
    engine = connect(store.root, start=asked.verb == "resume")
    try:
        state = engine.command(run.id, Command(asked.verb, values))
        if asked.verb == "resume" and engine.owned:
            return _follow(engine, run, asked.json)
        _show(asked, {"run": run.id, "status": state.status.state, "step": state.status.step})
    finally:
        engine.close()
    return 0


def do_runs(asked: argparse.Namespace) -> int:
    rows = []
    for run in Store(_runs_folder(asked)).runs():
        try:
            status = run.status()
            rows.append({
                "run": run.id, "name": run.about()["name"], "status": status.state, "step": status.step,
                "steps": status.steps, "bytes": run.bytes(),
                "metrics": {k: v for k, v in run.latest().items() if k.startswith(("train/", "val/", "test/"))},
            })  # fmt: skip
        except StoreError as error:
            rows.append({"run": run.id, "name": "", "status": "unreadable", "words": str(error), "bytes": run.bytes()})
    if asked.json:
        _print({"runs": rows})
        return 0
    for row in rows:
        metrics = row.get("metrics", {})
        accuracy = metrics.get("test/accuracy", metrics.get("val/accuracy"))
        squared = metrics.get("test/mse", metrics.get("val/mse"))
        reached = f"{row['step']} / {row['steps']}" if "step" in row else ""
        shown = f"{accuracy:.1%}" if accuracy is not None else "" if squared is None else f"{squared:.3g}"
        print(f"{row['run'][:8]}  {row['status']:10}{reached:>16}{shown:>8}  {row['name']}")
    return 0


def do_look(asked: argparse.Namespace) -> int:
    from core.subject import CannotShow
    from core.worker import look

    view = registry.VIEWS.get(asked.view)
    options = specs.options_of(view.options, dict(_pair(one) for group in asked.set for one in group))
    store = Store(_runs_folder(asked))
    if asked.out and not asked.out.endswith(".npz"):
        raise Mistake(f"--out {asked.out} should end with .npz")
    run, root = store.run(asked.run).id, str(store.root)
    question = Look(run, view.name, asked.sample, asked.layer, asked.step, options, runs=root)
    try:
        seen = look(question, lambda _fraction, words, _part=None: asked.json or print(words, file=sys.stderr))
    except CannotShow as error:
        raise Mistake(str(error)) from None
    if asked.out:
        write_npz(Path(asked.out), seen.arrays)
    shapes = {name: list(array.shape) for name, array in seen.arrays.items()}
    if asked.json:
        _print({"view": seen.view, "step": seen.step, "arrays": shapes, "words": " ".join(seen.words)})
        return 0
    print(f"{view.title}, step {seen.step}" + (f", sample {seen.sample}" if view.of_sample else ""))
    for name, shape in shapes.items():
        print(f"  {name:24} [{', '.join(map(str, shape))}]")
    for sentence in seen.words:
        print(sentence)
    return 0


def do_explain(asked: argparse.Namespace) -> int:
    from core.subject import CannotShow
    from core.worker import why

    if asked.out and not asked.out.endswith(".npz"):
        raise Mistake(f"--out {asked.out} should end with .npz")
    if asked.script and not asked.script.endswith(".py"):
        raise Mistake(f"--script {asked.script} should end with .py")
    store = Store(_runs_folder(asked))
    run, root = store.run(asked.run).id, str(store.root)
    try:
        if asked.method == "list":
            return _list_methods(asked, why(Fits(run, asked.step, root), _aloud(asked)))
        method = registry.METHODS.get(asked.method)
        options = specs.options_of(method.options, dict(_pair(one) for group in asked.set for one in group))
        question = Explain(
            run, (Choice(method.name, options),), asked.sample, asked.target, asked.layer, asked.step, asked.seed,
            runs=root,
        )  # fmt: skip
        answer = why(question, _aloud(asked))
        assert isinstance(answer, tuple)
        found = answer[0]
        assert isinstance(found, Explained)
        if found.withheld:
            raise Mistake(found.withheld)
        if asked.out:
            write_npz(Path(asked.out), {"attribution": found.attribution, **found.arrays})
        if asked.script:
            again = why(Reproduce(question), _aloud(asked))
            assert isinstance(again, Reproduction)
            write_source(Path(asked.script), again.program)
            write_npz(Path(asked.script).with_name("attribution.npz"), again.arrays)
    except CannotShow as error:
        raise Mistake(str(error)) from None
    _show_explained(asked, found)
    return 0


def _aloud(asked: argparse.Namespace) -> Callable[..., None]:
    """Progress on stderr, unless there is to be nothing but JSON."""
    said: list[str] = []

    def tell(_fraction: float, words: str, part: Any = None) -> None:
        if not asked.json and part is None and said[-1:] != [words]:
            said.append(words)
            print(words, file=sys.stderr)

    return tell


def _list_methods(asked: argparse.Namespace, fits: Any) -> int:
    rows = [{"method": one.method, "status": one.status, "reason": one.reason} for one in fits]
    if asked.json:
        _print({"methods": rows})
        return 0
    for row in rows:
        print(f"{row['method']:24}{row['status']:10}{row['reason']}")
    return 0


def _show_explained(asked: argparse.Namespace, found: Explained) -> None:
    proof = {
        "delta": found.delta, "gap": found.gap, "expected": found.facts.get("expected"),
        "cost": round(found.cost, 2), "seconds": round(found.seconds, 3),
    }  # fmt: skip
    if asked.json:
        about = {"method": found.method, "target": found.target, "step": found.step, "sample": found.sample}
        shape = list(found.attribution.shape)
        _print({**about, **proof, "seed": found.seed, "holds": found.holds, "shape": shape,
                "words": " ".join(found.words)})  # fmt: skip
        return
    held = {True: "its own check holds", False: "its own check does not hold", None: "it has no check of its own"}
    print(f"{registry.METHODS.get(found.method).title}, why {found.target}: {held[found.holds]}")
    print("  ".join(f"{name} {value:.4g}" for name, value in proof.items() if value is not None))
    for sentence in found.words:
        print(sentence)


def do_score(asked: argparse.Namespace) -> int:
    from core.subject import CannotShow
    from core.worker import score

    if asked.out and not asked.out.endswith(".csv"):
        raise Mistake(f"--out {asked.out} should end with .csv")
    loud = _aloud(asked)
    store = Store(_runs_folder(asked))
    run = store.run(asked.run).id if asked.run else ""
    question = Score(asked.quick, asked.seeds, tuple(asked.data), run=run, runs=str(store.root) if run else "")
    try:
        found = score(question, lambda fraction, words, _part=None: loud(fraction, words.partition(":")[0]))
    except CannotShow as error:
        raise Mistake(str(error)) from None
    if asked.out:
        write_source(Path(asked.out), found.table)
    if asked.json:
        told = asdict(replace(found, arrays={}))
        left_out = [dict(zip(("data", "method", "reason"), one, strict=True)) for one in found.left_out]
        kept = ("quick", "seeds", "seconds", "rows", "gates", "reveal", "draw")
        _print({**{name: told[name] for name in kept}, "left_out": left_out, "words": " ".join(found.words)})
        return 0
    for row in found.rows:
        measures = (("hit", row.hit), ("mass", row.mass), ("auroc", row.auroc), ("cue_mass", row.cue_mass))
        said = "".join(f"  {name} {v.mean:.2f} ± {v.spread:.2f}" for name, v in measures if v is not None)
        print(f"{row.data:13}{row.method:28}{said}  cost {row.cost.mean:,.1f}{'  control' * row.control}")
    for sentence in (*(gate.words for gate in found.gates if gate.passed), *found.words):
        print(sentence)
    return 0


def do_doctor(asked: argparse.Namespace) -> int:
    from core.doctor import report

    found = report(_runs_folder(asked), data_home(), layerlab_home(), Doctor())
    if asked.json:
        _print(found)
        return 0
    for title, lines in found.items():
        print(title)
        for line in lines.items() if isinstance(lines, dict) else lines:
            print("  " + ("  ".join(map(str, line)) if isinstance(line, tuple) else str(line)))
    return 0


def do_bench(asked: argparse.Namespace) -> int:
    from core.bench import run

    found = run(cases=asked.case, quick=asked.quick, say=None if asked.json else print)
    if asked.json:
        _print(found)
    return 0


def do_engine(asked: argparse.Namespace) -> int:
    from core.engine.__main__ import main as serve

    flags = ["--runs", str(_runs_folder(asked))]
    return serve(flags + (["--slots", str(asked.slots)] if asked.slots else []))


def _show(asked: argparse.Namespace, found: dict[str, Any]) -> None:
    if asked.json:
        _print(found)
    else:
        print("  ".join(f"{k} {v}" for k, v in found.items()))


def _print(found: dict[str, Any]) -> None:
    print(json.dumps(_plain(found), allow_nan=False), flush=True)


def _plain(value: Any) -> Any:
    """JSON has no nan or inf: they are written as words."""
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        from core.events import json_number

        return json_number(value)
    return value
