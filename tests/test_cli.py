"""The command line: one JSON object, or one clear line and exit code 2; never a traceback."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core import cli, registry
from core.specs import preset, to_json
from core.store import Store

ROOT = Path(__file__).resolve().parent.parent


def call(*words: str, home: Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """`python -m core …` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "core", *words], cwd=ROOT, env={**os.environ, "LAYERLAB_HOME": str(home)},
        capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip


def here(capsys, *words: str) -> tuple[int, str, str]:
    """The same in this process: exit code, stdout, stderr."""
    code = cli.main(words)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_describe_resnet20_as_one_json_object(capsys):
    code, out, err = here(capsys, "describe", "--preset", "resnet20", "--json")
    found = json.loads(out)
    assert (code, err, found["params"], found["problems"]) == (0, "", 269_722, [])
    assert set(found["layers"][0]) >= {"name", "kind", "in_shape", "out_shape", "params", "macs", "receptive_field"}
    assert found["macs"] == sum(row["macs"] for row in found["layers"])


@pytest.mark.parametrize("name", registry.ARCHITECTURES.names())
def test_every_preset_is_described_without_naming_its_data(capsys, name):
    code, out, _err = here(capsys, "describe", "--preset", name, "--json")
    found = json.loads(out)
    assert code == 0 and not found["problems"] and found["params"] > 0


BACK = "make lstm one-directional"


@pytest.mark.parametrize("command", ["train", "describe"])
def test_a_model_whose_answer_is_in_the_input_is_refused_with_a_fix(capsys, tmp_path, command):
    asked = ("--preset", "lstm", "--data", "characters", "--set", "model.bidirectional=true")
    more = ("--steps", "300", "--runs", str(tmp_path / "runs")) if command == "train" else ()
    code, out, err = here(capsys, command, *asked, *more)
    said = err if command == "train" else out
    assert code == (2 if command == "train" else 0)
    assert "the answer would be in the input" in said and BACK in said and "Traceback" not in said
    assert not list((tmp_path / "runs").glob("*/experiment.json"))


def test_describe_tells_what_a_model_would_do_badly(capsys, tmp_path):
    """A file of a model with a ReLU after the layer that answers."""
    file = tmp_path / "last_relu.json"
    file.write_text(json.dumps({"layers": [
        {"kind": "flatten", "name": "flatten"}, {"kind": "linear", "name": "out", "options": {"features": 10}},
        {"kind": "relu", "name": "last"},
    ]}))  # fmt: skip
    code, out, _err = here(capsys, "describe", "--model", str(file), "--data", "digits")
    assert code == 0 and "Note: last:" in out and "a logit can never be below 0" in out and "remove last" in out
    _code, out, _err = here(capsys, "describe", "--model", str(file), "--data", "digits", "--json")
    assert [one["layer"] for one in json.loads(out)["remarks"]] == ["last"]


def test_describe_for_people(capsys):
    code, out, _err = here(capsys, "describe", "--preset", "lenet", "--data", "mnist")
    assert code == 0 and "61,706 parameters" in out and "conv1" in out


def test_a_model_file_with_a_fault_lists_the_layer_and_the_mend(capsys, tmp_path):
    model = {"architecture": "cnn", "layers": [
        {"kind": "conv", "name": "conv1", "options": {"channels": 8}},
        {"kind": "linear", "name": "head", "options": {"features": 10}},
    ]}  # fmt: skip
    (tmp_path / "MODEL.json").write_text(json.dumps(model))
    code, out, _err = here(capsys, "describe", "--model", str(tmp_path / "MODEL.json"), "--json")
    found = json.loads(out)
    assert code == 0 and found["problems"][0]["layer"] == "head"
    assert set(found["problems"][0]) == {"layer", "message", "fix"} and "flatten" in found["problems"][0]["fix"]
    code, _out, err = here(capsys, "train", "--model", str(tmp_path / "MODEL.json"), "--data", "digits")
    assert code == 2 and found["problems"][0]["message"] in err


def test_the_columns_for_people_do_not_run_together(capsys, tmp_path):
    wide = {"layers": [{"kind": "conv", "name": "a_name_of_more_than_sixteen", "options": {"channels": 8000}}]}
    (tmp_path / "MODEL.json").write_text(json.dumps(wide))
    _code, out, _err = here(capsys, "describe", "--model", str(tmp_path / "MODEL.json"), "--input", "900,6000,6000")
    assert out.splitlines()[0].split()[0] == "a_name_of_more_than_sixteen"
    assert out.splitlines()[0].split()[-4:-2] == ["64,808,000", "2,332,800,000,000,000"]


@pytest.mark.parametrize(("words", "says"), [
    (["describe", "--preset", "resnet21"], "Did you mean"),
    (["describe"], "--preset NAME"),
    (["describe", "--model", "/no/such.json"], "cannot be opened"),
    (["describe", "--preset", "cnn", "--input", "a,b"], "3,32,32"),
    (["train", "--preset", "cnn", "--set", "train.lr=-3"], "between"),
    (["train", "--preset", "cnn", "--set", "train.learning=3"], "has no field"),
    (["train", "--preset", "cnn", "--set", "lr"], "NAME=VALUE"),
    (["train", "--preset", "cnn", "--data", "order"], "choose"),
    (["train", "--preset", "cnn", "--steps", "many"], "invalid int"),
    (["train", "--preset", "cnn", "--steps", "0"], "between 1 and"),
    (["train", "--resume", "abcdef"], "no run"),
    (["train", "--resume", "abcdef", "--steps", "500"], "leave out --steps"),
    (["train", "--resume", "abcdef", "--preset", "cnn"], "give one of them"),
    (["train", "--resume", "abcdef", "--set", "train.lr=0.1", "model.hidden=9"], "hidden cannot be set; train.lr, "),
    (["train", "--experiment", "e.json", "--preset", "cnn"], "give one of them"),
    (["describe", "--model", "m.json", "--preset", "cnn"], "give one of them"),
    (["control", "abcdef", "pause"], "no run"),
    (["control", "abcdef", "fly"], "invalid choice"),
    (["engine", "--slots", "-4"], "1 or more"),
    (["paint"], "invalid choice"),
    ([], "required"),
])  # fmt: skip
def test_a_mistake_is_one_line_and_exit_code_2(capsys, home, words, says):
    code, out, err = here(capsys, *words)
    assert code == 2 and out == ""
    assert err.count("\n") == 1 and says in err and "Traceback" not in err


@pytest.mark.parametrize("words", [
    ["runs"], ["doctor"], ["engine"], ["train", "--preset", "mlp"], ["control", "abcdef", "pause"],
    ["look", "abcdef", "--view", "feature_maps"],
])  # fmt: skip
def test_a_folder_that_cannot_be_is_one_line(capsys, home, tmp_path, words):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "runs"):
        code, out, err = here(capsys, *words, "--runs", str(folder))
        assert (code, out, err.count("\n")) == (2, "", 1) and str(folder) in err and "--runs" in err


def test_a_home_that_cannot_be_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    done = call("train", "--preset", "mlp", "--steps", "1", "--runs", str(tmp_path / "runs"), home=tmp_path / "file")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "LAYERLAB_HOME" in done.stderr


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"train": {"lr": "x"}}', '{"nonsense": 1}', '{"format": 99}', "[" * 100_000]
)
def test_a_broken_experiment_file_is_one_line(capsys, tmp_path, home, text):
    (tmp_path / "e.json").write_text(text)
    code, out, err = here(capsys, "train", "--experiment", str(tmp_path / "e.json"))
    assert code == 2 and out == "" and err.count("\n") == 1


def test_train_runs_control_and_resume_through_a_real_engine(home):
    done = call("train", "--preset", "mlp", "--data", "digits", "--steps", "50", "--json", home=home)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert done.stdout.count("\n") == 1 and found["steps"] == 50
    assert {"run", "seconds", "samples_per_second", "device", "metrics"} <= set(found)
    assert {"train/loss_first", "train/loss", "test/accuracy", "val/accuracy"} <= set(found["metrics"])
    assert found["metrics"]["train/loss"] < found["metrics"]["train/loss_first"]

    listed = json.loads(call("runs", "--json", home=home).stdout)["runs"]
    assert [r["run"] for r in listed] == [found["run"]]
    assert {"name", "status", "step", "steps", "metrics", "bytes"} <= set(listed[0])
    again = call("train", "--resume", found["run"][:8], home=home)
    assert again.returncode == 2 and "finished" in again.stderr
    paused = call("control", found["run"][:8], "pause", home=home)
    assert paused.returncode == 2 and paused.stderr.count("\n") == 1


def test_train_waits_on_when_the_engine_ends_before_the_run_does(home):
    """The engine of another terminal: `layerlab train` there ends it, and somebody may kill it."""
    env = {**os.environ, "LAYERLAB_HOME": str(home)}
    words = [sys.executable, "-m", "core"]
    engine = subprocess.Popen([*words, "engine"], cwd=ROOT, env=env)
    until(lambda: (home / "runs" / ".engine.json").exists())
    train = subprocess.Popen(
        [*words, "train", "--preset", "mlp", "--steps", "40000", "--threads", "1", "--json",
         "--set", "data.size=8", "model.hidden=16"],
        cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        until(lambda: any(run.latest() for run in Store(home / "runs").runs()))
        assert Store(home / "runs").runs()[0].latest().get("test/accuracy") is None, "it has ended already"
        listed: list[dict[str, object]] = []

        def far() -> bool:  # the engine is told once a second
            listed[:] = json.loads(call("runs", "--json", home=home).stdout)["runs"]
            return listed[0]["step"] > 0

        until(far)
        assert listed[0]["status"] == "running"
        engine.kill()
        out, err = train.communicate(timeout=120)
    finally:
        for process in (engine, train):
            process.kill()
            process.wait()
    assert (train.returncode, err) == (0, "")
    assert json.loads(out)["steps"] == 40_000 and out.count("\n") == 1


def test_a_broken_data_file_is_one_line_and_leaves_no_run(home, tmp_path):
    (tmp_path / "short.txt").write_text("too short to learn from")
    done = call("train", "--preset", "gpt", "--data", "characters", "--set", "data.path=short.txt",
                "--data-dir", str(tmp_path), "--json", home=home)  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "short.txt has 23 characters" in done.stderr
    assert Store(home / "runs").runs() == []


def until(seen: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end, "it was not seen in time"
        time.sleep(0.01)


def test_an_experiment_file_and_the_same_flags_give_the_same_losses_to_the_bit(home, tmp_path):
    made = preset("mlp", "digits")
    (tmp_path / "e.json").write_text(json.dumps(to_json(made)))
    one = call(
        "train", "--experiment", str(tmp_path / "e.json"), "--steps", "20", "--threads", "1", "--json", home=home
    )
    two = call("train", "--preset", "mlp", "--steps", "20", "--threads", "1", "--json", home=home)
    first, second = (json.loads(done.stdout) for done in (one, two))
    losses = [
        [e.value for e in Store(home / "runs").run(found["run"]).events() if e.name == "train/loss"]
        for found in (first, second)
    ]
    assert len(losses[0]) == 20 and losses[0] == losses[1]


def test_a_diverged_run_is_exit_code_1_and_one_line_and_goes_on_with_a_smaller_rate(home):
    done = call(
        "train", "--preset", "mlp", "--set", "model.hidden=64,64",
        "train.optimizer=sgd", "train.lr=100", "train.schedule=constant",
        "--steps", "300", "--json", home=home,
    )  # fmt: skip
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "learning rate" in done.stderr
    run = Store(home / "runs").runs()[0]
    done = call("train", "--resume", run.id[:8], "--set", "train.lr=0.05", "--json", home=home)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["steps"] == 300
    assert all(math.isfinite(event.value) for event in run.events())


def test_doctor_says_what_the_machine_offers(home):
    found = json.loads(call("doctor", "--json", home=home).stdout)
    assert set(found) == {"devices", "versions", "folders", "limits", "problems"}
    assert found["devices"] and found["versions"]["torch"]


def test_a_language_model_prints_a_text_and_a_number_its_error(home):
    done = call(
        "train", "--preset", "gpt", "--data", "characters", "--steps", "5", "--set", "data.samples=60",
        "data.length=8", "model.width=8", "train.label_smoothing=0.1", "--json", home=home,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert len(found["sample_text"]) == 200 and found["metrics"]["test/accuracy"] >= 0
    done = call(
        "train", "--preset", "irnn", "--data", "adding", "--steps", "5", "--set", "data.samples=200",
        "train.optimizer=rmsprop", "train.early_stopping=5", "--json", home=home,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert found["metrics"]["test/mse"] > 0 and "sample_text" not in found
    assert found["metrics"]["best/step"] >= 1 and "test/accuracy" not in found["metrics"]
