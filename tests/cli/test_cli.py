"""The command line: one JSON object, or one clear line and exit code 2; never a traceback."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core import cli
from core.engine.client import connect
from core.spec import registry
from core.spec.specs import preset, to_json
from core.store import Store
from core.store.addresses import read_address
from tests.trained import copied

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with an engine that holds its runs for all tests here: only the first waits for a worker to load torch."""
    home = tmp_path_factory.mktemp("lab")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("LAYERLAB_HOME", str(home))
        engine = connect(home / "runs")
        yield home
        engine.close()


@pytest.fixture
def at_lab(lab: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The commands' home is the lab; its runs."""
    monkeypatch.setenv("LAYERLAB_HOME", str(lab))
    return Store(lab / "runs")


def here(capsys, *words: str) -> tuple[int, str, str]:
    """The same in this process: exit code, stdout, stderr."""
    code = cli.main(words)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_describe_resnet20_as_one_json_object(answered_here, capsys):
    code, out, err = here(capsys, "describe", "--preset", "resnet20", "--json")
    found = json.loads(out)
    assert (code, err, found["params"], found["problems"]) == (0, "", 269_722, [])
    assert set(found["layers"][0]) >= {"name", "kind", "in_shape", "out_shape", "params", "macs", "receptive_field"}
    assert found["macs"] == sum(row["macs"] for row in found["layers"])


@pytest.mark.slow_for("resnet110", "resnet56", "resnet44", "resnet32", "resnet20", "plain20")
@pytest.mark.parametrize("name", registry.ARCHITECTURES.names())
def test_every_preset_is_described_without_naming_its_data(answered_here, capsys, name):
    code, out, _err = here(capsys, "describe", "--preset", name, "--json")
    found = json.loads(out)
    assert code == 0 and not found["problems"] and found["params"] > 0


BACK = "make lstm one-directional"


@pytest.mark.parametrize("command", ["train", "describe"])
def test_a_model_whose_answer_is_in_the_input_is_refused_with_a_fix(answered_here, capsys, tmp_path, command):
    asked = ("--preset", "lstm", "--data", "characters", "--set", "model.bidirectional=true")
    more = ("--steps", "300", "--runs", str(tmp_path / "runs")) if command == "train" else ()
    code, out, err = here(capsys, command, *asked, *more)
    said = err if command == "train" else out
    assert code == (2 if command == "train" else 0)
    assert "the answer would be in the input" in said and BACK in said and "Traceback" not in said
    assert not list((tmp_path / "runs").glob("*/experiment.json"))


def test_describe_tells_what_a_model_would_do_badly(answered_here, capsys, tmp_path):
    """A file of a model with a ReLU after the layer that answers."""
    file = tmp_path / "last_relu.json"
    file.write_text(
        json.dumps(
            {
                "layers": [
                    {"kind": "flatten", "name": "flatten"},
                    {"kind": "linear", "name": "out", "options": {"features": 10}},
                    {"kind": "relu", "name": "last"},
                ]
            }
        )
    )
    code, out, _err = here(capsys, "describe", "--model", str(file), "--data", "digits")
    assert code == 0 and "Note: last:" in out and "a logit can never be below 0" in out and "remove last" in out
    _code, out, _err = here(capsys, "describe", "--model", str(file), "--data", "digits", "--json")
    assert [one["layer"] for one in json.loads(out)["remarks"]] == ["last"]


def test_describe_for_people(answered_here, capsys):
    code, out, _err = here(capsys, "describe", "--preset", "lenet", "--data", "mnist")
    assert code == 0 and "61,706 parameters" in out and "conv1" in out


def test_a_model_file_with_a_fault_lists_the_layer_and_the_mend(answered_here, capsys, tmp_path):
    model = {
        "architecture": "cnn",
        "layers": [
            {"kind": "conv", "name": "conv1", "options": {"channels": 8}},
            {"kind": "linear", "name": "head", "options": {"features": 10}},
        ],
    }
    (tmp_path / "MODEL.json").write_text(json.dumps(model))
    code, out, _err = here(capsys, "describe", "--model", str(tmp_path / "MODEL.json"), "--json")
    found = json.loads(out)
    assert code == 0 and found["problems"][0]["layer"] == "head"
    assert set(found["problems"][0]) == {"layer", "message", "fix"} and "flatten" in found["problems"][0]["fix"]
    code, _out, err = here(capsys, "train", "--model", str(tmp_path / "MODEL.json"), "--data", "digits")
    assert code == 2 and found["problems"][0]["message"] in err


def test_the_columns_for_people_do_not_run_together(answered_here, capsys, tmp_path):
    wide = {"layers": [{"kind": "conv", "name": "a_name_of_more_than_sixteen", "options": {"channels": 8000}}]}
    (tmp_path / "MODEL.json").write_text(json.dumps(wide))
    _code, out, _err = here(capsys, "describe", "--model", str(tmp_path / "MODEL.json"), "--input", "900,6000,6000")
    assert out.splitlines()[0].split()[0] == "a_name_of_more_than_sixteen"
    assert out.splitlines()[0].split()[-4:-2] == ["64,808,000", "2,332,800,000,000,000"]


@pytest.mark.parametrize(
    "words",
    [
        ["runs"],
        ["doctor"],
        ["engine"],
        ["train", "--preset", "mlp"],
        ["control", "abcdef", "pause"],
        ["look", "abcdef", "--view", "feature_maps"],
    ],
)
def test_a_folder_that_cannot_be_is_one_line(capsys, home, tmp_path, words):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "runs"):
        code, out, err = here(capsys, *words, "--runs", str(folder))
        assert (code, out, err.count("\n")) == (2, "", 1) and str(folder) in err and "--runs" in err


def test_a_home_that_cannot_be_is_one_line(capsys, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LAYERLAB_HOME", str(tmp_path / "file"))
    code, _out, err = here(capsys, "train", "--preset", "mlp", "--steps", "1", "--runs", str(tmp_path / "runs"))
    assert code == 2 and err.count("\n") == 1 and "LAYERLAB_HOME" in err


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"train": {"lr": "x"}}', '{"nonsense": 1}', '{"format": 99}', "[" * 100_000]
)
def test_a_broken_experiment_file_is_one_line(capsys, tmp_path, home, text):
    (tmp_path / "e.json").write_text(text)
    code, out, err = here(capsys, "train", "--experiment", str(tmp_path / "e.json"))
    assert code == 2 and out == "" and err.count("\n") == 1


def test_train_runs_control_and_resume_through_a_real_engine(capsys, at_lab):
    code, out, err = here(capsys, "train", "--preset", "mlp", "--data", "digits", "--steps", "50", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert out.count("\n") == 1 and found["steps"] == 50
    assert {"run", "seconds", "samples_per_second", "device", "metrics"} <= set(found)
    assert {"train/loss_first", "train/loss", "test/accuracy", "val/accuracy"} <= set(found["metrics"])
    assert found["metrics"]["train/loss"] < found["metrics"]["train/loss_first"]

    listed = json.loads(here(capsys, "runs", "--json")[1])["runs"]
    assert [r["run"] for r in listed] == [run.id for run in at_lab.runs()] and found["run"] in listed[0]["run"]
    assert {"name", "status", "step", "steps", "metrics", "bytes"} <= set(listed[0])
    code, _out, err = here(capsys, "train", "--resume", found["run"][:8])
    assert code == 2 and "finished" in err
    code, _out, err = here(capsys, "control", found["run"][:8], "pause")
    assert code == 2 and err.count("\n") == 1


@pytest.mark.slow
def test_train_waits_on_when_the_engine_ends_before_the_run_does(capsys, home):
    """The engine of another terminal: `layerlab train` there ends it, and somebody may kill it."""
    env = {**os.environ, "LAYERLAB_HOME": str(home)}
    words = [sys.executable, "-m", "core"]
    engine = subprocess.Popen([*words, "engine"], cwd=ROOT, env=env)
    until(lambda: read_address(home / "runs"))
    train = subprocess.Popen(
        [
            *words,
            "train",
            "--preset",
            "mlp",
            "--steps",
            "15000",
            "--threads",
            "1",
            "--json",
            "--set",
            "data.size=8",
            "model.hidden=16",
        ],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: any(run.latest() for run in Store(home / "runs").runs()))
        assert Store(home / "runs").runs()[0].latest().get("test/accuracy") is None, "it has ended already"
        listed: list[dict[str, object]] = []

        def far() -> bool:  # the engine is told once a second
            listed[:] = json.loads(here(capsys, "runs", "--json")[1])["runs"]
            return listed[0]["step"] > 0

        until(far)
        assert listed[0]["status"] == "running"
        engine.kill()
        out, err = train.communicate(timeout=300)
    finally:
        for process in (engine, train):
            process.kill()
            process.wait()
    assert (train.returncode, err) == (0, "")
    assert json.loads(out)["steps"] == 15_000 and out.count("\n") == 1


def test_a_broken_data_file_is_one_line_and_leaves_no_run(capsys, at_lab, tmp_path, monkeypatch):
    monkeypatch.setenv("LAYERLAB_DATA", str(tmp_path))  # --data-dir sets it: undone after the test
    (tmp_path / "short.txt").write_text("too short to learn from")
    before = [run.id for run in at_lab.runs()]
    code, out, err = here(
        capsys,
        "train",
        "--preset",
        "gpt",
        "--data",
        "characters",
        "--set",
        "data.path=short.txt",
        "--data-dir",
        str(tmp_path),
        "--json",
    )
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "short.txt has 23 characters" in err
    assert [run.id for run in at_lab.runs()] == before


def until(seen: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end, "it was not seen in time"
        time.sleep(0.01)


def test_an_experiment_file_and_the_same_flags_give_the_same_losses_to_the_bit(capsys, at_lab, tmp_path):
    made = preset("mlp", "digits")
    (tmp_path / "e.json").write_text(json.dumps(to_json(made)))
    short = ("--steps", "20", "--threads", "1", "--json")
    found = [
        json.loads(here(capsys, "train", *which, *short)[1])
        for which in (("--experiment", str(tmp_path / "e.json")), ("--preset", "mlp"))
    ]
    losses = [[e.value for e in at_lab.run(one["run"]).events() if e.name == "train/loss"] for one in found]
    assert len(losses[0]) == 20 and losses[0] == losses[1]


def test_a_diverged_run_is_exit_code_1_and_one_line_and_goes_on_with_a_smaller_rate(capsys, at_lab):
    code, out, err = here(
        capsys,
        "train",
        "--preset",
        "mlp",
        "--set",
        "model.hidden=64,64",
        "train.optimizer=sgd",
        "train.lr=100",
        "train.schedule=constant",
        "--steps",
        "300",
        "--json",
    )
    assert (code, out, err.count("\n")) == (1, "", 1) and "learning rate" in err
    run = at_lab.runs()[0]
    code, out, err = here(capsys, "train", "--resume", run.id[:8], "--set", "train.lr=0.05", "--json")
    assert code == 0, err
    assert json.loads(out)["steps"] == 300
    code, _out, err = here(capsys, "train", "--resume", run.id[:8])
    assert (code, err.count("\n")) == (2, 1) and "--set train.steps=600" in err
    code, _out, err = here(capsys, "train", "--resume", run.id[:8], "--set", "train.steps=300")
    assert (code, err.count("\n")) == (2, 1) and "more than the 300" in err
    code, out, err = here(capsys, "train", "--resume", run.id[:8], "--set", "train.steps=320", "train.lr=0.02")
    assert code == 0 and "Trained on from step 300 to step 320" in out, err
    assert run.experiment().train.steps == 320 and run.latest()["set/lr"] == 0.02
    assert max(event.step for event in run.events()) == 320
    assert all(math.isfinite(event.value) for event in run.events())


def test_a_batch_that_was_cut_is_told_and_speed_is_of_what_was_taken(capsys, at_lab):
    code, out, err = here(
        capsys,
        "train",
        "--preset",
        "mlp",
        "--steps",
        "6",
        "--json",
        "--set",
        "data.size=8",
        "model.hidden=16",
        "train.batch_size=65536",
    )
    assert code == 0, err
    found = json.loads(out)
    taken = found["batch_size"]
    assert 1000 < taken < 1500 and f"65,536 samples was asked for, and there are {taken:,}" in found["words"]
    assert found["samples_per_second"] == pytest.approx(6 * taken / found["seconds"], rel=0.2)
    assert "65,536" in at_lab.run(found["run"]).status().words, "the page shows the same"


def test_doctor_says_what_the_machine_offers(answered_here, capsys, home):
    found = json.loads(here(capsys, "doctor", "--json")[1])
    assert set(found) == {"devices", "versions", "folders", "limits", "problems"}
    assert found["devices"] and found["versions"]["torch"]


def test_questions_go_to_the_engine_that_holds_the_folder(capsys, at_lab, trained):
    run, pid = copied(trained("mlp", "points", steps=8), at_lab), read_address(at_lab.root).pid
    asked = {
        f"Look run={run.id} view=gradients": ("look", run.id, "--view", "gradients"),
        f"Explain run={run.id} methods=saliency sample=3": ("explain", run.id, "--method", "saliency", "--sample", "3"),
        f"Fits run={run.id}": ("explain", run.id, "--method", "list"),
        "Describe model=cnn data=digits": ("describe", "--preset", "cnn", "--data", "digits"),
        "Doctor": ("doctor",),
    }
    for words in asked.values():
        code, out, err = here(capsys, *words, "--json")
        assert (code, err) == (0, "") and json.loads(out)
    log = (at_lab.root.parent / "logs" / "engine.log").read_text()
    assert [line for line in asked if f"process {os.getpid()} asks {line}" not in log] == []
    assert read_address(at_lab.root).pid == pid, "no engine was begun for them"


def test_a_start_text_is_looked_at_before_a_run_and_written_on_afterwards(capsys, at_lab):
    gpt = (
        "train",
        "--preset",
        "gpt",
        "--data",
        "characters",
        "--steps",
        "3",
        "--set",
        "data.samples=60",
        "data.length=8",
        "model.width=8",
    )
    before = [run.id for run in at_lab.runs()]  # other tests share it
    for words, said in ((gpt, "never read: “é”"), (("train", "--preset", "mlp", "--data", "digits"), "goes on from")):
        code, _out, err = here(capsys, *words, "--prompt", "Shé")
        assert (code, err.count("\n")) == (2, 1) and said in err
    assert [run.id for run in at_lab.runs()] == before
    code, out, err = here(capsys, *gpt, "--prompt", "Shall I", "--json")
    found = json.loads(out)
    assert code == 0 and found["prompt"] == "Shall I" and len(found["sample_text"]) == 200, err
    code, out, err = here(capsys, "look", found["run"], "--view", "writing", "--prompt", "Shall I", "--json")
    assert code == 0 and json.loads(out)["text"] == found["sample_text"], err
    code, out, err = here(capsys, "look", found["run"], "--view", "writing", "--prompt", "Shall I", "--set", "length=5")
    assert code == 0 and out.rstrip("\n").split("\n\nShall I")[-1] == found["sample_text"][:5].rstrip("\n"), out
    for view, prompt, said in (("writing", "é", "never read"), ("embeddings", "a", "takes none")):
        code, _out, err = here(capsys, "look", found["run"], "--view", view, "--prompt", prompt)
        assert (code, err.count("\n")) == (2, 1) and said in err


def test_a_language_model_prints_a_text_and_a_number_its_error(capsys, at_lab):
    code, out, err = here(
        capsys,
        "train",
        "--preset",
        "gpt",
        "--data",
        "characters",
        "--steps",
        "5",
        "--set",
        "data.samples=60",
        "data.length=8",
        "model.width=8",
        "train.label_smoothing=0.1",
        "--json",
    )
    assert code == 0, err
    found = json.loads(out)
    assert len(found["sample_text"]) == 200 and found["metrics"]["test/accuracy"] >= 0
    code, out, err = here(
        capsys,
        "train",
        "--preset",
        "irnn",
        "--data",
        "adding",
        "--steps",
        "5",
        "--set",
        "data.samples=200",
        "train.optimizer=rmsprop",
        "train.early_stopping=5",
        "--json",
    )
    assert code == 0, err
    found = json.loads(out)
    assert found["metrics"]["test/mse"] > 0 and "sample_text" not in found
    assert found["metrics"]["best/step"] >= 1 and "test/accuracy" not in found["metrics"]
