"""What a training is called when it does not learn, and that what is advised heals it when it is tried."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from core import cli
from core.catalog.entries import CLASSES, EACH_STEP, NUMBER
from core.spec import specs
from core.spec.questions import Seen
from core.spec.specs import Experiment, assign, model_from_json, preset
from core.store import Store
from core.worker.data.splits import Splits
from core.worker.look import _learning
from core.worker.model import flaws
from core.worker.model.build import check, data_form, stack_of
from tests.trained import Trained, train
from tests.worker.look.conftest import ask, subject


def of(architecture: str, data: str = "digits", **changes: Any) -> Experiment:
    return assign(preset(architecture, data), {name.replace("__", "."): value for name, value in changes.items()})


def states(seen: Seen) -> list[str]:
    return [verdict["state"] for verdict in seen.facts.verdicts]


SMALL = {"data__size": 8, "train__steps": 120}
SGD = {**SMALL, "train__optimizer": "sgd"}
ILL = {
    "SGD 1e-5": (of("mlp", **SGD, train__lr=1e-5), "lr_too_small"),
    "SGD 3e-5": (of("mlp", **SGD, train__lr=3e-5), "lr_too_small"),
    "AdamW 1e-5": (of("mlp", **SMALL, train__optimizer="adamw", train__lr=1e-5), "lr_too_small"),
    "SGD 1e-5 on a CNN": (of("cnn", **{**SGD, "train__steps": 40}, train__lr=1e-6), "lr_too_small"),
    "sigmoids": (
        of(
            "mlp",
            **SGD,
            train__lr=0.01,
            train__schedule="constant",
            model__hidden=(64, 64, 64),
            model__activation="sigmoid",
        ),
        "not_learned",
    ),
    "weight decay 1, SGD": (of("mlp", **SGD, train__lr=0.1, train__weight_decay=1), "weight_decay"),
    "weight decay 10, SGD": (of("mlp", **SGD, train__lr=0.1, train__weight_decay=10), "weight_decay"),
    "weight decay 1, Adam": (of("mlp", **SMALL, train__optimizer="adam", train__weight_decay=1), "weight_decay"),
    "weight decay 10, Adam": (of("mlp", **SMALL, train__optimizer="adam", train__weight_decay=10), "weight_decay"),
    "few samples": (of("mlp", "shapes", data__samples=200, train__steps=120), "overfitting"),
    "wrong labels": (
        of(
            "mlp",
            data__size=8,
            train__steps=800,
            train__lr=0.01,
            train__label_noise=0.4,
            model__activation="gelu",
            model__hidden=(256,),
        ),
        "overfitting",
    ),
    "batch norms after 10 steps": (of("resnet8", data__size=8, train__steps=6), "norms_lag"),
}


@pytest.mark.slow_for("batch norms after 10 steps", "wrong labels")
@pytest.mark.parametrize(("experiment", "state"), list(ILL.values()), ids=list(ILL))
def test_an_illness_is_called_by_its_name_and_its_fix_heals_it(
    tmp_path: Path, experiment: Experiment, state: str
) -> None:
    store = Store(tmp_path / "runs")
    seen = ask(train(store, experiment), "gradients")
    assert states(seen)[0] == state
    verdict = seen.facts.verdicts[0]
    assert verdict["changes"] and "--set" in seen.words[0]
    healed = ask(train(store, assign(experiment, verdict["changes"])), "gradients")
    assert states(healed) == ["healthy"], healed.words


@pytest.mark.parametrize("kind", ["relu", "sigmoid", "tanh", "dropout"])
def test_a_layer_after_the_answer_is_told_and_the_model_heals_without_it(tmp_path: Path, kind: str) -> None:
    options = {"p": 0.5} if kind == "dropout" else {}
    rows = [("flatten", {}), ("linear", {"features": 32}), ("relu", {}), ("linear", {"features": 10}), (kind, options)]
    listed = [{"kind": k, "name": f"{k}{i}", "options": o} for i, (k, o) in enumerate(rows)]
    experiment = replace(of("mlp", **SMALL), model=model_from_json({"layers": listed}))
    store = Store(tmp_path / "runs")
    seen = ask(train(store, experiment), "gradients")
    assert states(seen)[0] == "limited_answer" and f"{kind}4" in seen.words[0]
    form = data_form(experiment.data)
    mended = flaws.remarks(stack_of(check(experiment.model, form)), form)[0].mended
    healed = replace(experiment, model=replace(experiment.model, layers=mended))
    assert states(ask(train(store, healed), "gradients")) == ["healthy"]


def test_presets_that_have_learned_are_healthy_and_say_what_was_looked_at(trained: Trained) -> None:
    for run in (trained("mlp", steps=120, **{"data.size": 8}), trained("cnn", steps=40, **{"data.size": 8})):
        seen = ask(run, "gradients")
        assert states(seen) == ["healthy"]
        for said in (
            "always giving the same answer",
            "training answers",
            "In validation",
            "gradient",
            "A step moves",
            "weight decay",
            "Inputs and labels differ",
        ):
            assert said in seen.words[0], said
    assert "Batch norms answer alike" in seen.words[0]


def test_a_moment_before_the_end_is_judged_by_what_was_known_then(trained: Trained) -> None:
    run = trained("mlp", steps=120, **{"data.size": 8})
    assert states(ask(run, "gradients", step=0)) == ["unjudged"]
    assert states(ask(run, "gradients", step=120)) == ["healthy"]


# ── the evidence against plain arithmetic ────────────────────────────────────


def test_the_best_single_answer_is_found_by_trying() -> None:
    torch.manual_seed(0)
    y = torch.randint(0, 4, (300,)) * torch.randint(0, 2, (300,))
    for smoothing in (0.0, 0.2):
        logits = torch.zeros(5, requires_grad=True)
        search = torch.optim.LBFGS([logits], max_iter=200, line_search_fn="strong_wolfe")

        def loss(smoothing: float = smoothing, logits: torch.Tensor = logits) -> torch.Tensor:
            return F.cross_entropy(logits.expand(300, 5), y, label_smoothing=smoothing)

        def closure(logits: torch.Tensor = logits, loss: Any = loss) -> torch.Tensor:
            logits.grad = None
            value: torch.Tensor = loss()
            value.backward()
            return value

        search.step(closure)
        told, share = _learning.best_constant(y, CLASSES, 5, smoothing)
        assert told == pytest.approx(float(loss().detach()), abs=1e-3)
        assert share == pytest.approx(float(torch.bincount(y).max()) / 300)


def test_the_best_single_answer_of_numbers_and_of_steps() -> None:
    y = torch.tensor([1.0, 2.0, 6.0])
    told, share = _learning.best_constant(y, NUMBER, 1)
    assert told == pytest.approx(float(F.mse_loss(y.mean().expand(3), y))) and math.isnan(share)
    steps = torch.tensor([[-100, 1, 1], [-100, -100, 0]])
    told, share = _learning.best_constant(steps, EACH_STEP, 2)
    assert told == pytest.approx(-(2 / 3) * math.log(2 / 3) - (1 / 3) * math.log(1 / 3))
    assert share == pytest.approx(2 / 3)
    assert math.isnan(_learning.best_constant(torch.tensor([[-100]]), EACH_STEP, 2)[0])


def test_both_statistics_leave_the_network_as_it_was(trained: Trained) -> None:
    run = trained("cnn", steps=6, **{"data.size": 8})
    at = subject(run, "gradients")
    before = {name: value.clone() for name, value in at.network.state_dict().items()}
    own, running = _learning.both_statistics(at)  # type: ignore[misc]
    assert all(torch.equal(value, before[name]) for name, value in at.network.state_dict().items())
    x, y = (part[: _learning.COMPARED] for part in at.splits.train)
    with torch.no_grad():
        assert running == pytest.approx(float((at.network(x).argmax(1) == y).float().mean()))
        assert own == pytest.approx(float((at.copied().train()(x).argmax(1) == y).float().mean()))
    assert _learning.both_statistics(subject(trained("mlp", steps=6, **{"data.size": 8}), "gradients")) is None


def test_the_weights_are_measured_against_the_first_moment(trained: Trained) -> None:
    run = trained("mlp", steps=6, **{"data.size": 8})
    at = subject(run, "gradients")
    first, last = run.weights(0), run.weights(6)
    for name, kept in _learning.weights_kept(at).items():
        told = np.linalg.norm(last[f"{name}.weight"]) / np.linalg.norm(first[f"{name}.weight"])
        assert kept == pytest.approx(told, rel=1e-5)


# ── data from which nothing can be learned ───────────────────────────────────


def splits(x: torch.Tensor, y: torch.Tensor) -> Splits:
    return Splits((x, y), (x, y), (x, y), x.numpy(), ("a", "b"))


def test_data_in_which_nothing_differs_is_told() -> None:
    x, y = torch.randn(6, 1, 4, 4), torch.tensor([0, 1, 0, 1, 1, 0])
    assert splits(x, y).nothing_to_learn() == ""
    assert splits(torch.zeros(6, 1, 4, 4), y).nothing_to_learn() == "same inputs"
    assert splits(x[:1].expand(6, -1, -1, -1), y).nothing_to_learn() == "same inputs"
    assert splits(x, torch.ones(6, dtype=torch.long)).nothing_to_learn() == "one answer"
    assert splits(x, torch.full((6,), 0.5)).nothing_to_learn() == "one answer"
    steps = torch.tensor([[-100, 3], [3, -100]])
    assert splits(torch.tensor([[1, 2], [2, 1]]), steps).nothing_to_learn() == "one answer"


# ── from the command line ────────────────────────────────────────────────────


@pytest.mark.usefixtures("answered_here")
def test_look_does_not_call_a_run_healthy_that_has_learned_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train(Store(tmp_path / "runs"), of("mlp", **{**SGD, "train__steps": 200}, train__lr=1e-5))
    assert cli.main(("look", run.id, "--view", "gradients", "--json", "--runs", str(tmp_path / "runs"))) == 0
    said = json.loads(capsys.readouterr().out)
    assert "Learning rate too small" in json.dumps(said) and "Healthy" not in json.dumps(said)
    assert specs.to_json(run.experiment())["train"]["lr"] == 1e-5
