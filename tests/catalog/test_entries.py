"""Every catalog entry on its own examples; entries are found by themselves, so a new one is tested at once."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch

from core.catalog.entries import PICTURE, SEQUENCE, TOKENS, VECTOR, DataForm, Form
from core.spec import registry
from core.spec.options import declared
from core.spec.specs import Choice, LayerSpec, ModelSpec, TrainSpec, preset
from core.worker.model.build import ModelError, build, data_form, place
from core.worker.train.training import Training, make_optimizer

LAYERS = [(e, o, f) for e in registry.LAYERS for o, f in e.examples]
DEEP = 12  # layers, from which on building or training a preset takes seconds
MODELS = [
    pytest.param(e, o, marks=[pytest.mark.slow] if len(e.layers(o, e.example_data)) > DEEP else [])
    for e in registry.ARCHITECTURES
    for o in e.examples
]


def batch(form: Form, size: int = 3) -> torch.Tensor:
    """A random batch of this form."""
    if form.kind == TOKENS:
        return torch.randint(1, 5, (size, *form.shape))
    return torch.randn(size, *form.shape)


@pytest.mark.parametrize(("entry", "options", "form"), LAYERS, ids=lambda v: getattr(v, "name", ""))
def test_a_layer_gives_what_its_check_on_shapes_says(entry, options, form):
    spec = LayerSpec(entry.name, options, "layer1")
    placed = place(spec, form, DataForm(form.kind, form.shape))
    module = registry.load(entry.module)(**entry.arguments(options, form))
    x = batch(form)
    out = module(x, None) if entry.masked else module(x)
    assert tuple(out.shape[1:]) == placed.gives.shape
    assert placed.gives.kind in (PICTURE, SEQUENCE, TOKENS, VECTOR)
    assert len(placed.gives.shape) == {PICTURE: 3, SEQUENCE: 2, TOKENS: 1, VECTOR: 1}[placed.gives.kind]


@pytest.mark.parametrize(("entry", "options"), MODELS, ids=lambda v: getattr(v, "name", ""))
def test_an_architecture_gives_one_logit_per_class_on_every_data_set_it_takes(entry, options):
    forms = {dataset.form(dataset.options()) for dataset in registry.DATASETS}
    taken = [data for data in forms if data.kind in entry.takes and data.task in entry.tasks]
    assert taken
    built = 0
    for data in taken:
        try:
            network = build(ModelSpec(entry.name, options), data)
        except ModelError as refused:
            assert "the answer would be in the input" in str(refused)
            continue
        built += 1
        with torch.no_grad():
            assert network(batch(Form(data.kind, data.shape))).shape == (3, *data.answer().shape)
    assert built


def test_every_entry_has_words_examples_and_a_range_on_every_number():
    catalogs = (registry.LAYERS, registry.ARCHITECTURES, registry.DATASETS, registry.OPTIMIZERS, registry.SCHEDULES)
    for known in (*catalogs, registry.AUGMENTATIONS):
        assert len(list(known)) > 2
        for entry in known:
            assert entry.title
            assert entry.examples, f"{entry.name} has no examples"
            for name, (kind, default, about) in declared(entry.options).items():
                assert about.help.endswith("."), f"{entry.name}.{name} has no line of help"
                assert kind in (int, float, bool, str, tuple[int, ...])
                if kind in (int, float):
                    assert about.low is not None and about.high is not None and about.unit, f"{entry.name}.{name}"
                    assert about.low <= default <= about.high


OPTIMIZERS = [(e, o) for e in registry.OPTIMIZERS for o in e.examples]


def stepped(optimizer, network, x, y) -> None:
    """Four steps of it."""
    for _ in range(4):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(x), y).backward()
        optimizer.step()


@pytest.mark.parametrize(("entry", "options"), OPTIMIZERS, ids=lambda v: getattr(v, "name", ""))
@pytest.mark.parametrize("architecture", ["mlp", "lenet"])
def test_an_optimizer_steps_exactly_as_its_unfused_self(entry, options, architecture):
    spec = replace(TrainSpec(lr=0.01, weight_decay=0.1), optimizer=Choice(entry.name, options))
    made = preset(architecture, "digits")
    data = data_form(made.data)
    ours, plain = (build(made.model, data, seed=1) for _ in range(2))
    given = plain if entry.of_network else plain.parameters()
    slow = {"fused": False} if entry.fused else {}
    slow |= {} if entry.of_network else {"foreach": False}
    reference = registry.load(entry.module)(given, lr=0.01, weight_decay=0.1, **slow, **entry.arguments(options))
    x, y = torch.randn(8, *data.shape), torch.arange(8)
    stepped(make_optimizer(spec, ours), ours, x, y)
    stepped(reference, plain, x, y)
    start = build(made.model, data, seed=1)
    for a, b, before in zip(ours.parameters(), plain.parameters(), start.parameters(), strict=True):
        if not entry.of_network:  # Muon's products have bfloat16's digits, so that a rounding grows; see test_muon.py
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
        assert not torch.equal(a, before), "every weight has moved"


def reference_schedule(name, options, optimizer, steps):
    """torch's own scheduler for one of ours."""
    kinds = torch.optim.lr_scheduler
    if name == "one_cycle":
        return kinds.OneCycleLR(optimizer, 1.0, total_steps=steps, pct_start=options.warm_up, cycle_momentum=False)
    if name == "range_test":
        factor = (options.highest / options.lowest) ** (1 / (steps - 1))
        optimizer.param_groups[0]["lr"] = options.lowest
        optimizer.param_groups[0]["initial_lr"] = options.lowest
        return kinds.ExponentialLR(optimizer, gamma=factor)
    rising = round(options.warm_up * steps)
    if name == "cosine":
        main = kinds.CosineAnnealingLR(optimizer, T_max=steps - rising)
    elif name == "step":
        main = kinds.StepLR(optimizer, max(1, round(options.every * (steps - rising))), gamma=options.drop)
    else:
        assert name == "constant", f"no reference for the schedule {name}"
        main = kinds.ConstantLR(optimizer, factor=1.0)
    if not rising:
        return main
    first = kinds.LinearLR(optimizer, start_factor=1 / (rising + 1), total_iters=rising)
    return kinds.SequentialLR(optimizer, [first, main], milestones=[rising])


SCHEDULES = [(e, o) for e in registry.SCHEDULES for o in e.examples]


@pytest.mark.filterwarnings("ignore:Detected call of")
@pytest.mark.parametrize(("entry", "options"), SCHEDULES, ids=lambda v: getattr(v, "name", ""))
@pytest.mark.parametrize("steps", [2, 20, 333])
def test_a_schedule_equals_torchs_own(entry, options, steps):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = reference_schedule(entry.name, options, optimizer, steps)
    for step in range(steps):
        assert math.isclose(
            entry.factor(options, step, steps), optimizer.param_groups[0]["lr"], rel_tol=1e-9, abs_tol=1e-9
        )
        if step < steps - 1:
            scheduler.step()


FOR_DIGITS = [
    pytest.param(e.name, marks=[pytest.mark.slow] if len(e.layers(e.options(), e.example_data)) > DEEP else [])
    for e in registry.ARCHITECTURES
    if PICTURE in e.takes
]


@pytest.mark.slow_for("resnet8", "vit")
@pytest.mark.parametrize("architecture", FOR_DIGITS)
def test_every_preset_learns_something_in_a_few_steps(architecture, small_splits):
    experiment = preset(architecture, "digits")
    losses = []
    train = replace(experiment.train, steps=12, epochs=0, batch_size=32)
    for happened in Training(replace(experiment, train=train), small_splits):
        losses += [e.value for e in happened if getattr(e, "name", "") == "train/loss"]
    assert len(losses) == 12
    assert sum(losses[-3:]) < sum(losses[:3])


def test_forms_that_no_preset_takes_do_not_exist():
    taken = set(itertools.chain.from_iterable(a.takes for a in registry.ARCHITECTURES))
    assert {d.form(d.options()).kind for d in registry.DATASETS} <= taken
