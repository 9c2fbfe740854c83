"""describe, train, control and runs."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from core.catalog.applies import asked_steps, check_experiment, data_form, longer, unserved
from core.catalog.views.writing import Writing
from core.cli.engine import ask, connect, engine_of, found_again
from core.cli.output import Mistake, aloud, pair, print_json, runs_folder, say, show
from core.cli.requests import description_asked
from core.engine.client import ClientEngine
from core.engine.protocol import EngineError, EngineGone, EngineSilent, RunState
from core.engine.waiting_time import rounded
from core.spec import registry
from core.spec.commands import COMMANDS, checked, is_finished
from core.spec.events import ENDED, FINISHED, PAUSED, SETTABLE, STATE_WORDS, Command
from core.spec.questions import Describe, Look, StartText
from core.spec.quoting import one_line, quoted, shown
from core.spec.sentences import Sentence, _, counted
from core.spec.specs import Experiment, assign, experiment_from_json, model_from_json, preset
from core.store import Run, Store, StoreError, data_home, read_named_json
from core.store.history import latest
from core.store.texts import text_file


def experiment_of(asked: argparse.Namespace) -> Experiment:
    """The experiment that the flags describe."""
    if getattr(asked, "experiment", None):
        made = experiment_from_json(read_named_json(Path(asked.experiment)))
        if asked.data:
            dataset = registry.DATASETS.get(asked.data)
            made = replace(made, data=replace(made.data, name=dataset.name, options=dataset.options()))
    elif asked.model:
        model = model_from_json(read_named_json(Path(asked.model)))
        made = replace(preset(model.architecture, asked.data or _usual_data(model.architecture)), model=model)
    elif asked.preset:
        made = preset(asked.preset, asked.data or _usual_data(asked.preset))
    else:
        raise Mistake(_("say which model: --preset NAME or --model FILE.json"))
    changes: dict[str, Any] = dict(pair(one) for group in asked.set for one in group)
    for name in ("steps", "epochs", "seed"):
        if getattr(asked, name, None) is not None:
            if f"train.{name}" in changes:
                raise Mistake(
                    Sentence("--{name} and --set train.{name} say the same thing; give one of them", name=name)
                )
            changes[f"train.{name}"] = getattr(asked, name)
    if getattr(asked, "steps", None) is not None:
        changes.setdefault("train.epochs", 0)  # or the preset's number of epochs would decide
    if getattr(asked, "seed", None) is not None:
        changes.setdefault("data.seed", asked.seed)
    return assign(made, changes)


def _usual_data(architecture: str) -> str:
    """The data set that is meant where none is named: the digits, or the first that the architecture can learn."""
    entry = registry.ARCHITECTURES.get(architecture)
    forms = {known.name: known.form(known.options()) for known in registry.DATASETS}
    fitting = [name for name, form in forms.items() if form.kind in entry.takes and form.task in entry.tasks]
    return "digits" if "digits" in fitting else fitting[0]


def _one_source(asked: argparse.Namespace) -> None:
    """A flag that another one would silently outdo is a Mistake."""
    if getattr(asked, "steps", None) is not None and getattr(asked, "epochs", None) is not None:
        raise Mistake(_("--steps and --epochs each say how long to train; give one of them"))
    chosen = [name for name in ("resume", "experiment", "model", "preset") if getattr(asked, name, None)]
    if len(chosen) > 1:
        one, other = chosen[:2]
        raise Mistake(Sentence("--{one} and --{other} each say what to train; give one of them", one=one, other=other))
    if chosen == ["resume"]:
        given = [
            name
            for name in ("data", "steps", "epochs", "seed", "threads", "name", "data_dir")
            if getattr(asked, name) not in (None, "")
        ]
        if given:
            flag = given[0].replace("_", "-")
            raise Mistake(
                Sentence(
                    "--resume carries a run on as it was started; leave out --{flag}, or start a new run", flag=flag
                )
            )


def _by_hand(asked: argparse.Namespace, store: Store) -> dict[str, Any]:
    """What --set changes of the run that is carried on: only what may be changed of one that trains."""
    changes = dict(pair(one) for group in asked.set for one in group)
    if others := [name for name in changes if name.removeprefix("train.") not in (*SETTABLE, "steps")]:
        can = ", ".join(f"train.{name}" for name in (*SETTABLE, "steps"))
        raise Mistake(
            Sentence(
                "--resume carries a run on as it was started: {others} cannot be set; {can} can",
                others=shown(others[0]),
                can=can,
            )
        )
    changes = {name.removeprefix("train."): value for name, value in changes.items()}
    run = store.run(asked.resume)
    experiment, status = run.experiment(), run.status()
    more = checked(Command("resume", {"steps": changes.pop("steps")})).values if "steps" in changes else {}
    if more:
        longer(experiment, status.steps, more["steps"])
    elif status.state == FINISHED:
        most = 2 * asked_steps(experiment, status.steps)
        raise EngineError(
            Sentence(
                "{is_finished} To train it on, give more: --set train.steps={most}.",
                is_finished=is_finished(status),
                most=most,
            )
        )
    return (checked(Command("set", changes)).values if changes else {}) | more


def do_describe(asked: argparse.Namespace) -> int:
    _one_source(asked)
    question = description_asked(asked, experiment_of(asked))
    with engine_of(asked) as engine:
        found = ask(engine, question, aloud(asked))
    if asked.json:
        told = {
            name: [{"layer": p.layer, "message": p.message, "fix": p.fix} for p in getattr(found, name)]
            for name in ("problems", "remarks")
        }
        print_json({**asdict(found), **told})
        return 0
    for row in found.layers:
        sizes = f"{'×'.join(map(str, row.in_shape))} → {'×'.join(map(str, row.out_shape))}"
        field = Sentence("RF {receptive_field}", receptive_field=row.receptive_field) if row.receptive_field else ""
        say(f"{row.name:15} {row.kind:17} {sizes:25} {row.params:>12,} {row.macs:>13,}  {field}".rstrip())
    say(Sentence("{params:,} parameters, {macs:,} multiply-adds per sample", params=found.params, macs=found.macs))
    for problem in found.problems:
        say(problem.sentence())
    for remark in found.remarks:
        say(Sentence("Note: {remark}", remark=remark.sentence()))
    return 0


def do_train(asked: argparse.Namespace) -> int:
    store = Store(runs_folder(asked))
    _one_source(asked)
    changes = _by_hand(asked, store) if asked.resume else {}
    experiment = None if asked.resume else _applies(experiment_of(asked))
    if asked.prompt is not None:
        _goes_on(experiment or store.run(asked.resume).experiment())
    with engine_of(asked) as engine:
        if experiment is not None:
            _can_work(engine, experiment)
        if asked.prompt is not None:
            _can_write(engine, experiment or store.run(asked.resume).experiment(), asked.prompt)
        if experiment is None:
            run = store.run(asked.resume)
            more = {"steps": changes.pop("steps")} if "steps" in changes else {}
            if changes and more:
                run.change_later(changes)
            elif changes:
                engine.command(run.id, Command("set", changes))
            engine.command(run.id, Command("resume", more))
        else:
            folder = str(data_home().resolve()) if asked.data_dir else ""
            run = store.run(engine.start(experiment, asked.name, threads=asked.threads or 0, data_dir=folder))
        return _follow(engine, run, asked.json, asked.prompt)


def _goes_on(experiment: Experiment) -> None:
    """Mistake where a model of this data goes on from no text."""
    if not data_form(experiment.data).next_step:
        raise Mistake(
            Sentence(
                "--prompt is what a model of the next token goes on from; {data} asks for something else. Leave "
                "it out, or train on a text: --preset gpt --data characters",
                data=experiment.data.name,
            )
        )


def _can_write(engine: ClientEngine, experiment: Experiment, prompt: str) -> None:
    """Mistake where the run could not go on from this text: said before minutes of work are spent on it."""
    if fault := ask(engine, StartText(experiment.data, prompt, str(data_home().resolve())), _quiet):
        raise Mistake(fault)


def _quiet(_words: str) -> None:
    """For what takes no time."""


def _applies(experiment: Experiment) -> Experiment:
    """The experiment, if its settings apply to its data and model; the same sentence as everywhere otherwise."""
    experiment = _with_its_text(experiment)
    check_experiment(experiment)
    if problem := unserved(experiment.model, data_form(experiment.data)):
        raise Mistake(problem.sentence())
    return experiment


def _can_work(engine: ClientEngine, experiment: Experiment) -> None:
    """Mistake where the model cannot work; what it would do badly is noted."""
    found = ask(engine, Describe(experiment.model, experiment.data, experiment.train.batch_size), _quiet)
    for problem in found.problems:
        raise Mistake(problem.sentence())
    for remark in found.remarks:
        say(Sentence("Note: {remark}", remark=remark.sentence()), file=sys.stderr)


def _with_its_text(experiment: Experiment) -> Experiment:
    """The experiment with the text that is meant from here: its engine may have been started in another folder."""
    path = getattr(experiment.data.options, "path", "")
    if not path:
        return experiment
    found = text_file(path, data_home()).resolve()
    if found.is_relative_to(data_home().resolve()):
        return experiment
    return assign(experiment, {"data.path": str(found)})


def _follow(engine: ClientEngine, run: Run, quiet: bool, prompt: str | None = None) -> int:
    """Wait until the run ends; Ctrl-C stops it (it can be resumed).

    The engine may end before the run does: it was killed, or belonged to a command that has done its work. Then another
    one is joined or started, which carries the run on.
    """
    said = ""
    while True:
        try:
            state = engine.state(run.id)
            status = state.status
            line = Sentence(
                "{state}  step {step} / {steps}  {queued}{words}",
                state=STATE_WORDS[status.state],
                step=status.step,
                steps=status.steps,
                queued=_queued(state),
                words=status.words,
            )
            if not quiet and line != said:
                said = line
                say(line, flush=True)
            if status.state in ENDED or (status.state == PAUSED and status.words):
                break
            time.sleep(0.1)
        except EngineGone:
            said = found_again(engine, said)
        except KeyboardInterrupt:
            engine.command(run.id, Command("stop"))
    if status.state != FINISHED:
        say(
            Sentence(
                "layerlab: run {run_id} {state}: {words}",
                run_id=run.id[:8],
                state=STATE_WORDS[status.state],
                words=status.words if isinstance(status.words, Sentence) else one_line(status.words),
            ),
            file=sys.stderr,
        )
        return 1
    found = summary(run)
    if prompt is not None:
        seen = ask(engine, Look(run.id, "writing", options=Writing(prompt=prompt)), _quiet)
        found |= {"prompt": prompt, "sample_text": seen.facts.text}
        if not quiet:
            say(f"{prompt}{seen.facts.text}")
    print_json(found) if quiet else say(f"run {run.id}")
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
    batch = int(about.get("batch_size") or run.experiment().train.batch_size)  # what a step took, not what was asked
    metrics = {k: v for k, v in last.items() if k.startswith(("train/", "val/", "test/", "best/", "suggested/"))}
    return {
        "run": run.id,
        "steps": status.step,
        "seconds": round(seconds, 3),
        "samples_per_second": round(status.step * batch / seconds, 1) if seconds else None,
        "batch_size": batch,
        "words": status.words,
        "device": about.get("device"),
        "threads": about.get("threads"),
        "metrics": {"train/loss_first": first.get("train/loss"), **metrics},
        **({"sample_text": about["sample_text"]} if "sample_text" in about else {}),
    }


def do_control(asked: argparse.Namespace) -> int:
    store = Store(runs_folder(asked))
    run = store.run(asked.run)
    values: dict[str, Any] = dict(pair(one) for one in asked.values)
    verb = COMMANDS[asked.verb]
    if verb.example and not values:
        named = {"verb": verb.name, "example": verb.example, "names": SETTABLE}
        raise Mistake(Sentence("say what to {verb}, such as {example}; {names} can be set", **named))
    values = checked(Command(asked.verb, values)).values  # before an engine is looked for, or started
    engine = connect(store.root, start=verb.begins)
    try:
        state = engine.command(run.id, Command(asked.verb, values))
        if verb.begins and engine.owned:
            return _follow(engine, run, asked.json)
        show(asked, {"run": run.id, "status": state.status.state, "step": state.status.step})
    finally:
        engine.close()
    return 0


def do_delete(asked: argparse.Namespace) -> int:
    """Also a damaged run, and also where no engine is."""
    store = Store(runs_folder(asked))
    run = store.run(asked.run).id
    try:
        engine = connect(store.root, start=False)
    except EngineSilent:  # it may train the run
        raise
    except EngineError:  # nobody trains it
        store.delete(run)
    else:
        try:
            engine.delete(run)
        finally:
            engine.close()
    show(asked, {"deleted": run})
    return 0


def do_runs(asked: argparse.Namespace) -> int:
    rows, store = [], Store(runs_folder(asked))
    training = _training(store)
    for run in store.runs():
        try:
            state = training.get(run.id) or RunState(run.id, run.status())
            status = state.status
            rows.append(
                {
                    "run": run.id,
                    "name": run.about()["name"],
                    "status": status.state,
                    "step": status.step,
                    "steps": status.steps,
                    "place": state.place,
                    "wait": state.wait,
                    "bytes": run.bytes(),
                    "words": _queued(state),
                    "metrics": {k: v for k, v in latest(run).items() if k.startswith(("train/", "val/", "test/"))},
                }
            )
        except StoreError as error:
            rows.append({"run": run.id, "name": "", "status": "damaged", "words": str(error), "bytes": run.bytes()})
    if asked.json:
        print_json({"runs": rows})
        return 0
    for row in rows:
        metrics = row.get("metrics", {})
        accuracy = metrics.get("test/accuracy", metrics.get("val/accuracy"))
        squared = metrics.get("test/mse", metrics.get("val/mse"))
        reached = f"{row['step']} / {row['steps']}" if "step" in row else ""
        shown = f"{accuracy:.1%}" if accuracy is not None else "" if squared is None else f"{squared:.3g}"
        queued = f"  ({row['words']})" if row.get("place") else ""
        told = quoted(row["words"] if row["status"] == "damaged" else row["name"], 200)
        say(f"{row['run'][:8]}  {row['status']:10}{reached:>16}{shown:>8}  {told}{queued}")
    return 0


def _queued(state: RunState) -> str:
    """Where a run stands in the queue, and how long that will take; "" for one that does not wait."""
    if not state.place:
        return ""
    if state.wait is None:
        return Sentence("place {place}, nobody can say yet when it begins", place=state.place)
    count, unit = rounded(state.wait)
    about = {
        "second": counted("about {n} second", "about {n} seconds", n=count),
        "minute": counted("about {n} minute", "about {n} minutes", n=count),
        "hour": counted("about {n} hour", "about {n} hours", n=count),
    }[unit]
    return Sentence("place {place}, {about}", place=state.place, about=about)


def _training(store: Store) -> dict[str, RunState]:
    """Where the unfinished runs are now, by id: a run's folder says what it does, its engine how far it is."""
    engine = None
    try:
        engine = connect(store.root, start=False)
        return engine.runs()
    except EngineSilent as error:
        say(Sentence("layerlab: {error} What follows is what the folder says.", error=error), file=sys.stderr)
        return {}
    except EngineError:  # nobody trains them at the moment
        return {}
    finally:
        if engine is not None:
            engine.close()
