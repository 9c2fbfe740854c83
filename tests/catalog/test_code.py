"""The code that is shown: run as it stands it is the same model, with the same keys and the same logits."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from core.catalog.entries import SEQUENCE, TOKENS, VECTOR, DataForm
from core.spec import registry
from core.spec.questions import Describe
from core.spec.specs import LayerSpec, ModelSpec, preset
from core.worker.model.build import build, check, code, data_form, describe, layers_of, walk

DEEP = 12  # layers, from which on it takes a second
EXAMPLES = [
    pytest.param(e, o, marks=[pytest.mark.slow] if len(e.layers(o, e.example_data)) > DEEP else [])
    for e in registry.ARCHITECTURES
    for o in e.examples
]
POINTS = data_form(preset("mlp", "points").data)
SEVEN_TOKENS = DataForm(TOKENS, (7,), 4, vocabulary=9)


def forms(entry):
    """A form for each kind and task that an architecture takes."""
    made = {entry.example_data.kind: entry.example_data, TOKENS: SEVEN_TOKENS, SEQUENCE: DataForm(SEQUENCE, (6, 3), 1)}
    made[VECTOR] = DataForm(VECTOR, (2,), 3)
    tasks = [t for t in entry.tasks if t != "number"]
    return [replace(made[k], task=t) for k in entry.takes for t in tasks if not (t == "each_step" and k == "picture")]


def some(data: DataForm) -> torch.Tensor:
    """A batch, with padding at the end of rows of tokens."""
    if data.kind != TOKENS:
        return torch.randn(2, *data.shape)
    ids = torch.randint(1, data.vocabulary, (2, *data.shape))
    ids[1, data.shape[0] // 2 :] = 0
    return ids


def run(text: str) -> type[torch.nn.Module]:
    """The Network class of a source text, which must need nothing from here."""
    assert "core" not in [word.strip(".,:") for line in text.splitlines() if "import" in line for word in line.split()]
    names: dict[str, object] = {"__name__": "shown"}
    exec(compile(text, "shown.py", "exec"), names)
    return names["Network"]


def same(network, model_class, data):
    """Both are the same function of the same state."""
    torch.manual_seed(5)
    shown = model_class()
    assert list(shown.state_dict()) == list(network.state_dict())
    shown.load_state_dict(network.state_dict())
    x = some(data)
    assert torch.equal(network.eval()(x), shown.eval()(x))


@pytest.mark.parametrize(("entry", "options"), EXAMPLES, ids=lambda v: getattr(v, "name", ""))
def test_the_code_of_an_architecture_is_the_same_model(entry, options):
    for data in forms(entry):
        model = ModelSpec(entry.name, options)
        same(build(model, data), run(code(check(model, data), data)), data)


@pytest.mark.parametrize("entry", list(registry.LAYERS), ids=lambda e: e.name)
def test_the_code_of_every_layer_is_the_same_layer(entry):
    from core.catalog.code import pytorch_code
    from core.worker.model.build import Network, make, place

    for options, form in entry.examples:
        data = DataForm(form.kind, form.shape, 3, vocabulary=4)
        placed = place(LayerSpec(entry.name, options, "one"), form, data)
        network = Network([("one", make(placed.spec, form), entry.masked)])
        same(network, run(pytorch_code([(placed.spec, form)], data)), data)


def test_the_same_seed_draws_the_same_first_weights():
    data = registry.ARCHITECTURES.get("vit").example_data
    network = build(preset("vit", "digits").model, data, seed=3)
    made = run(code(check(preset("vit", "digits").model, data), data))
    torch.manual_seed(3)
    for mine, shown in zip(network.parameters(), made().parameters(), strict=True):
        assert torch.equal(mine, shown)


@pytest.mark.slow
def test_the_code_runs_by_itself_and_prints_the_count(tmp_path):
    found = describe(Describe(preset("resnet20", "digits").model, preset("cnn", "digits").data, input=(3, 32, 32)))
    file = tmp_path / "shown.py"
    file.write_text(found.code)
    out = subprocess.run([sys.executable, "-I", str(file)], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert out.stdout == "269,722 parameters\n"
    assert max(map(len, found.code.splitlines())) <= 120


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("fi", "ﬁ"), "is the name of two layers"),
        (("𝐢𝐟", "b"), "is a word that Python"),
        (("ｔｒａｉｎ", "b"), "is a word that Python"),
        (("Ａ", "A"), "is the name of two layers"),
    ],
)
def test_names_that_are_one_in_a_program_are_one_here(names, says):
    """Made in Python, past the reader of files, which writes names as a program has them."""
    made = preset("mlp", "points").model
    relu = registry.LAYERS.get("relu").options()
    layers = (*[LayerSpec("relu", relu, name) for name in names], *layers_of(made, POINTS))
    problem = walk(replace(made, layers=layers), POINTS)[1]
    assert problem is not None and says in problem.message
    assert walk(replace(made, layers=problem.mended), POINTS)[1] is None
