"""What holds for every view of the catalog, whatever it shows."""

from __future__ import annotations

import hashlib
import re
import types
import typing
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np
import pytest

from core.catalog.code import program
from core.catalog.entries import View
from core.engine.wire import dumps, loads
from core.spec import registry
from core.spec.drawings import encode
from core.spec.facts import AboutSample, declares
from core.spec.questions import NEWEST, Look
from core.worker.answers import look
from core.worker.look.subject import CannotShow, subject_of
from tests.trained import Trained
from tests.worker.look.conftest import ask

VIEWS = list(registry.VIEWS)
NETWORKS = (("cnn", "digits"), ("lstm", "digits"), ("transformer", "order"), ("mlp", "points"), ("gpt", "characters"))
CASES = [(view, i) for view in VIEWS for i in range(len(view.examples))]


def quiet(_fraction: float, _words: str, _part: Any = None) -> None:
    """Nobody waits."""


def fitting(view: View, trained: Trained) -> Any:
    """A run of the first network that the view applies to."""
    for preset, data in NETWORKS:
        run = trained(preset, data, steps=8)
        form = registry.DATASETS.get(data).form(run.experiment().data.options)
        layers = registry.ARCHITECTURES.get(preset).layers(run.experiment().model.options, form)
        if view.applies(layers, form):
            return run
    raise AssertionError(f"no preset of {NETWORKS} has what {view.name} shows")


@pytest.mark.parametrize(("view", "example"), CASES, ids=[f"{view.name}-{i}" for view, i in CASES])
def test_an_example_answers_in_plain_values_and_leaves_the_network_alone(
    view: View, example: int, trained: Trained
) -> None:
    run = fitting(view, trained)
    asked = Look(run.id, view.name, 1, options=view.examples[example], runs=str(run.path.parent))
    before = weights(asked)
    seen = look(asked, quiet)
    assert weights(asked) == before
    assert all(isinstance(array, np.ndarray) and array.dtype != object for array in seen.arrays.values())
    assert type(seen.facts) is view.facts
    assert issubclass(view.facts, AboutSample) or not view.of_sample
    assert [name for name in seen.arrays if not declares(view.arrays + view.optional_arrays, name)] == []
    assert [name for name in view.arrays if not any(declares((name,), made) for made in seen.arrays)] == []
    for name, hint in get_type_hints(view.facts, localns={"np": np}).items():
        assert fits(getattr(seen.facts, name), hint), f"{name} is no {hint}"
    assert all(re.search(r"[.:!?)]$", sentence) for sentence in seen.words), seen.words
    compile(seen.code, view.name, "exec")
    again = loads(dumps(seen))  # nothing heavy rides along
    assert (again.step, again.words) == (seen.step, seen.words)


@pytest.mark.parametrize("view", VIEWS, ids=[view.name for view in VIEWS])
def test_the_lines_it_shows_are_a_program_that_runs_as_it_stands(
    view: View, trained: Trained, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = fitting(view, trained)
    monkeypatch.chdir(tmp_path)
    asked = Look(run.id, view.name, 1, options=view.examples[0], runs=str(run.path.parent))
    seen = look(asked, quiet)
    shown = replace(asked, step=seen.step, sample=seen.sample, layer=seen.layer, drawing="")
    np.savez(f"{view.name}-step{seen.step}.npz", **seen.arrays)  # as the page's download has it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Captum tells what it does to x
        exec(program(shown, str(run.path.parent), f"{seen.names}\n{seen.code}"), {"__name__": "__main__"})


def fits(value: Any, hint: Any) -> bool:
    """Is a value what an annotation promises, all the way down?"""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return True
    if origin in (types.UnionType, typing.Union):
        return any(fits(value, one) for one in args)
    if origin is tuple and args[-1:] != (...,):
        return isinstance(value, tuple) and len(value) == len(args) and all(map(fits, value, args))
    if origin in (tuple, list):
        return isinstance(value, origin) and all(fits(one, args[0]) for one in value)
    if origin is dict:
        return isinstance(value, dict) and all(fits(k, args[0]) and fits(v, args[1]) for k, v in value.items())
    return isinstance(value, (int, float) if hint is float else hint) and not isinstance(value, np.generic)


def weights(asked: Look) -> str:
    """A fingerprint of the shared network: its weights, buffers, and whether it trains or wants gradients."""
    network = subject_of(asked).network
    hashed = hashlib.sha256(str([(p.requires_grad, p.grad is None) for p in network.parameters()]).encode())
    hashed.update(str([m.training for m in network.modules()]).encode())
    hashed.update(str([len(m._forward_hooks) + len(m._forward_pre_hooks) for m in network.modules()]).encode())
    for value in network.state_dict().values():
        hashed.update(value.numpy().tobytes())
    return hashed.hexdigest()


@pytest.mark.parametrize("view", VIEWS, ids=[view.name for view in VIEWS])
def test_a_view_has_examples_and_says_where_it_does_not_apply(view: View, trained: Trained) -> None:
    assert view.examples
    everywhere = True
    for preset, data in NETWORKS:
        run = trained(preset, data, steps=8)
        form = registry.DATASETS.get(data).form(run.experiment().data.options)
        if not view.applies(registry.ARCHITECTURES.get(preset).layers(run.experiment().model.options, form), form):
            everywhere = False
            with pytest.raises(CannotShow, match=re.escape(view.needs)):
                ask(run, view.name)
    if not everywhere:
        assert any(name in view.needs for name in registry.ARCHITECTURES.names() + registry.DATASETS.names())


def test_the_moment_nearest_to_the_wanted_one_is_shown_and_says_so(trained: Trained) -> None:
    run = trained(steps=20)
    kept = run.moments()  # on a busy machine more than the powers of two: they are kept by the clock, too
    assert {0, 1, 2, 4, 8, 16, 20} <= {*kept}
    wanted = next(step for step in range(5, 20) if step not in kept)
    seen = ask(run, "feature_maps", step=wanted)
    assert seen.step == min(kept, key=lambda step: abs(step - wanted))
    assert f"step {wanted}" in seen.words[0] and f"step {seen.step}" in seen.words[0]
    assert ask(run, "feature_maps", step=NEWEST).step == 20


def test_a_sample_out_of_range_is_brought_into_it_and_told(trained: Trained) -> None:
    seen = ask(trained(), "feature_maps", sample=9_999)
    assert seen.sample == 359
    assert "9999" in seen.words[0] and "0 to 359" in seen.words[0]


def test_a_layer_that_is_not_there_is_told(trained: Trained) -> None:
    seen = ask(trained(), "feature_maps", layer="conv9")
    assert seen.layer == "conv1"
    assert "conv9" in seen.words[0]


def test_every_moment_has_its_own_weights(trained: Trained) -> None:
    run = trained(steps=20)
    first, last = (ask(run, "feature_maps", step=step).arrays["conv1"] for step in (0, 20))
    assert not np.allclose(first, last)


def test_a_drawing_is_brought_to_the_datas_size_and_scale(trained: Trained) -> None:
    picture = np.zeros((28, 28), np.uint8)
    picture[8:20, 10:18] = 255
    run = trained()
    at = subject_of(Look(run.id, "feature_maps", drawing=encode(picture), runs=str(run.path.parent)))
    expected = (picture.astype(np.float32) / 255 - at.splits.mean[0]) / at.splits.std[0]
    np.testing.assert_allclose(at.x[0, 0].numpy(), expected, atol=1e-6)
    assert at.y is None
    small = trained(**{"data.size": 16})
    at = subject_of(Look(small.id, "feature_maps", drawing=encode(picture), runs=str(small.path.parent)))
    assert at.x.shape == (1, 1, 16, 16)


def test_a_drawing_for_a_network_that_reads_no_pictures_is_refused(trained: Trained) -> None:
    run = trained("transformer", "order", steps=8)
    with pytest.raises(CannotShow, match="Only pictures can be drawn"):
        ask(run, "feature_maps", drawing=encode(np.zeros((28, 28), np.uint8)))
