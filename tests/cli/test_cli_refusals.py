"""Every wrong call is answered from the light side: one clear line, exit code 2, and nothing heavy is loaded for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from core.spec.events import FINISHED, Snapshot, Status
from core.spec.specs import preset, to_json
from core.store import Store

ROOT = Path(__file__).resolve().parents[2]
CASES: list[tuple[str, str]] = [  # words, with {…} of the folder below; what the line says
    # commands and flags
    ("", "required"),
    ("paint", "invalid choice"),
    ("train --prest cnn", "unrecognized arguments"),
    ("look", "required"),
    ("look {run}", "--view"),
    ("explain {run}", "--method"),
    ("control {run} fly", "invalid choice"),
    ("control {run}", "required"),
    ("engine --slots -4", "1 or more"),
    ("engine --slots many", "1 or more"),
    ("bench --case nothing", "There is no case"),
    ("bench --case ''", "There is no case"),
    ("runs --runs {file}", "--runs"),
    ("runs --runs ''", "runs needs a value"),
    ("doctor --runs {file}/runs", "--runs"),
    ("doctor --json please", "unrecognized arguments"),
    # models and data
    ("describe", "--preset NAME"),
    ("describe --preset resnet21", "Did you mean"),
    ("describe --preset ''", "needs a value"),
    ("describe --preset cnn --data digit", "Did you mean"),
    ("describe --preset cnn --data ''", "needs a value"),
    ("describe --preset cnn --input a,b", "3,32,32"),
    ("describe --preset cnn --input ''", "needs a value"),
    ("describe --preset cnn --input 1,2,3,4", "C,H,W"),
    ("describe --preset cnn --input 1,0,3", "at least 1"),
    ("describe --preset cnn --classes 0", "1 or more"),
    ("describe --preset cnn --classes -3", "1 or more"),
    ("describe --preset cnn --classes ten", "1 or more"),
    ("describe --preset cnn --set model.channel=3", "has no option"),
    ("describe --preset cnn --set model.kernel=200", "out of range"),
    ("describe --preset cnn --set data.size=0", "out of range"),
    ("describe --preset cnn --set data.seed=-1", "out of range"),
    ("describe --preset transformer --data order --set model.heads=0", "out of range"),
    ("describe --preset transformer --data order --set model.positions=round", "must be one of"),
    ("describe --preset cnn --set network.width=3", "is no address"),
    ("describe --preset cnn --model {model}", "give one of them"),
    ("describe --model {home}/no.json", "cannot be opened"),
    ("describe --model {file}", "is not JSON"),
    ("describe --model {list}", "must be an object"),
    ("describe --model {twins}", "Two layers"),
    ("describe --model {unknown_kind}", "There is no layer"),
    ("describe --model {home}", "it is a folder"),
    ("describe --model {pipe}", "it is a pipe"),
    # training
    ("train", "--preset NAME"),
    ("train --preset cnn --set lr", "NAME=VALUE"),
    ("train --preset cnn --set ''", "NAME=VALUE"),
    ("train --preset cnn --set train.lr=-3", "between"),
    ("train --preset cnn --set train.lr=nan", "out of range"),
    ("train --preset cnn --set train.lr=fast", "must be a number"),
    ("train --preset cnn --set train.learning=3", "has no field"),
    ("train --preset cnn --set train.optimizer=sdg", "Did you mean"),
    ("train --preset cnn --set train.schedule=cosin", "Did you mean"),
    ("train --preset cnn --set train.augmentation=flop", "Did you mean"),
    ("train --preset cnn --set train.augmentation=mixup,cutmix", "Choose one of them"),
    ("train --preset cnn --set train.batch_size=0", "between 1 and"),
    ("train --preset cnn --steps many", "invalid int"),
    ("train --preset cnn --steps 0", "between 1 and"),
    ("train --preset cnn --steps 5 --epochs 1", "give one of them"),
    ("train --preset cnn --steps 5 --set train.steps=6", "give one of them"),
    ("train --preset cnn --epochs -1", "between 0 and"),
    ("train --preset cnn --seed -1", "out of range"),
    ("train --preset cnn --threads -1", "1 or more"),
    ("train --preset cnn --data order", "choose"),
    ("train --preset gpt --data digits", "choose"),
    ("train --preset gpt --data characters --set data.path=none.txt", "is not in"),
    ("train --preset irnn --data adding --set train.label_smoothing=0.1", "Set it to 0"),
    ("train --preset irnn --data adding --set train.label_noise=0.1", "Set it to 0"),
    ("train --experiment {file}", "is not JSON"),
    ("train --experiment {future}", "reads format 1"),
    ("train --experiment {home}/no.json", "cannot be opened"),
    ("train --experiment {sound} --preset cnn", "give one of them"),
    ("train --experiment {sound} --data nope", "There is no data set"),
    ("train --experiment {sound} --set train.lr=0", "out of range"),
    ("train --resume abcdef", "no run"),
    ("train --resume ''", "needs a value"),
    ("train --resume {run} --steps 500", "leave out --steps"),
    ("train --resume {run} --seed 0", "leave out --seed"),
    ("train --resume {run} --preset cnn", "give one of them"),
    ("train --resume {run} --set train.lr=0.1 model.hidden=9", "hidden' cannot be set; train.lr, "),
    ("train --resume {run} --set train.lr=fast", "lr must be a number"),
    ("train --resume {finished}", "is finished"),
    # steering
    ("control abcdef pause", "no run"),
    ("control {run} set", "say what to set"),
    ("control {run} set lr", "NAME=VALUE"),
    ("control {run} set lr=fast", "lr must be a number"),
    ("control {run} set lr=-1", "out of range"),
    ("control {run} set momentum=0.3", "cannot be changed"),
    ("control {run} pause lr=3", "takes no values"),
    ("control {run} pause", "No engine"),
    # looking
    ("look {run} --view nope", "There is no view"),
    ("look {run} --view 'a\nb'", "There is no view"),
    ("look {run} --view feature_map", "Did you mean"),
    ("look {run} --view feature_maps --set speed=1", "There is no option"),
    ("look {run} --view feature_maps --set by_strength=perhaps", "true or false"),
    ("look {run} --view feature_maps --set searched=1", "out of range"),
    ("look {run} --view feature_maps --sample -1", "0 or more"),
    ("look {run} --view feature_maps --sample first", "0 or more"),
    ("look {run} --view feature_maps --step -5", "0 or more"),
    ("look {run} --view feature_maps --out f.txt", "should end with .npz"),
    ("look {run} --view feature_maps --out /nowhere/f.npz", "could not be written"),
    ("look {run} --view attention", "transformer"),
    ("look {empty} --view feature_maps", "keeps no weights"),
    ("look {broken} --view feature_maps", "experiment.json"),
    ("look 0123abcd --view feature_maps", "no run"),
    ("look ../runs --view feature_maps", "no run"),
    ("look {run} --view feature_maps --runs {home}/elsewhere", "no run"),
    # explaining and scoring
    ("explain {run} --method salience", "Did you mean"),
    ("explain {run} --method integrated_gradients --set speed=1", "There is no option"),
    ("explain {run} --method integrated_gradients --set steps=10000", "between 8 and 2,000"),
    ("explain {run} --method integrated_gradients --set baseline=white", "must be one of"),
    ("explain {run} --method saliency --target 10", "there are 0 to 9"),
    ("explain {run} --method saliency --target 3-10", "there are 0 to 9"),
    ("explain {run} --method saliency --target ''", "needs a value"),
    ("explain {run} --method saliency --target 'the best'", "predicted or true"),
    ("explain {run} --method saliency --target 3@2", "not at every step"),
    ("explain {run} --method saliency --out a.png", "should end with .npz"),
    ("explain {run} --method saliency --script a.txt", "should end with .py"),
    ("explain {run} --method smooth_grad --seed -1", "seed = -1 is out of range"),
    ("explain {empty} --method list", "keeps no weights"),
    ("explain abcd --method list", "no run"),
    ("score --data digits", "There is no trial"),
    ("score --data ''", "There is no trial"),
    ("score --out a.txt", "should end with .csv"),
    ("score --seeds 0", "at least 1"),
    ("score --seeds 1000", "out of range"),
    ("score --run abcd", "no run"),
    ("score --run ''", "needs a value"),
]


@dataclass(frozen=True)
class Refused:
    """What a call came to."""

    code: int | None
    out: str
    err: str
    loaded: str


def words_of(call: str, places: dict[str, str]) -> list[str]:
    """The words of a call as a shell would give them."""
    import shlex

    return [word.format(**places) for word in shlex.split(call)]


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Refused]:
    """All calls, made in one process that loads nothing heavy."""
    home = tmp_path_factory.mktemp("home")
    places = _places(home)
    calls = [words_of(call, places) for call, _says in CASES]
    done = subprocess.run(
        [sys.executable, "-m", "tests.refusals"],
        cwd=ROOT,
        input=json.dumps(calls),
        capture_output=True,
        text=True,
        env={**os.environ, "LAYERLAB_HOME": str(home)},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {call: Refused(**told) for (call, _says), told in zip(CASES, json.loads(done.stdout), strict=True)}


def _places(home: Path) -> dict[str, str]:
    """Runs and files to be named by the calls."""
    store, made = Store(home / "runs"), preset("cnn", "digits")
    runs = {name: store.create(made) for name in ("run", "finished", "empty", "broken")}
    for name in ("run", "finished", "broken"):
        runs[name].save_snapshot(Snapshot(0, {"weight": np.zeros(3, np.float32)}))
    runs["finished"].set_status(Status(FINISHED, 600, 600))
    (runs["broken"].path / "experiment.json").write_text("{")
    layer = {"kind": "relu", "name": "one"}
    files = {
        "file": "",
        "list": "[]",
        "model": "{}",
        "sound": json.dumps(to_json(made)),
        "future": json.dumps({**to_json(made), "format": 2}),
        "twins": json.dumps({"layers": [layer, layer]}),
        "unknown_kind": json.dumps({"layers": [{"kind": "convolution", "name": "one"}]}),
    }
    os.mkfifo(home / "pipe.json")
    for name, text in files.items():
        (home / f"{name}.json").write_text(text)
    return {
        "home": str(home),
        **{name: str(home / f"{name}.json") for name in [*files, "pipe"]},
        **{name: run.id for name, run in runs.items()},
    }


def test_there_are_many_and_each_is_another_one() -> None:
    assert len({call for call, _says in CASES}) == len(CASES) >= 85


@pytest.mark.parametrize(("call", "says"), CASES, ids=[call.replace("\n", "⏎") or "nothing" for call, _ in CASES])
def test_a_wrong_call_is_one_line_at_once(refused: dict[str, Refused], call: str, says: str) -> None:
    told = refused[call]
    assert told.loaded == "", "something heavy was wanted before the mistake was told"
    assert (told.code, told.out, told.err.count("\n")) == (2, "", 1)
    assert says in told.err and "Traceback" not in told.err


def test_the_watchman_sees_what_is_loaded(tmp_path: Path) -> None:
    """A call that is right needs torch: the one above would have told."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.refusals"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        input=json.dumps([["bench", "--quick"]]),
        env={**os.environ, "LAYERLAB_HOME": str(tmp_path)},
    )
    assert json.loads(done.stdout)[0]["loaded"].partition(".")[0] == "torch"
