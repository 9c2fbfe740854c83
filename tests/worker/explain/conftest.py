"""Cases to explain: of small trained runs, and of networks that are written down in the test."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from core.catalog.entries import VECTOR, DataForm, Form
from core.spec import registry, specs
from core.spec.options import declared
from core.spec.questions import Explain, Explained
from core.spec.specs import Choice
from core.store import Run
from core.worker.explain import Case, attribute, case_of
from core.worker.look.subject import subject_of
from core.worker.model.build import Network


def choice(method: str, **options: Any) -> Choice:
    """The method with these options."""
    return Choice(method, specs.options_of(registry.METHODS.get(method).options, options))


def of_run(run: Run, sample: int = 0, **given: Any) -> Case:
    """The case of a run's test sample; `given`: target, layer, seed, report."""
    return case_of(subject_of(Explain(run=run.id, methods=(), sample=sample, runs=str(run.path.parent))), **given)


def case(network: nn.Module, x: Tensor, classes: int = 3, form: Form | None = None, **given: Any) -> Case:
    """The case of a network that is written down in the test, for a sample x [1, …]."""
    form = form or Form(VECTOR, tuple(x.shape[1:]))
    data = form if isinstance(form, DataForm) else DataForm(form.kind, form.shape, classes)
    wrapped = network if isinstance(network, Network) else Network([("net", network, False)])
    return Case(wrapped, x, data, **given)


def linear(features: int = 6, classes: int = 3, seed: int = 0, bias: bool = True) -> nn.Linear:
    """A linear network: every method that is right gives weight × (input − baseline)."""
    torch.manual_seed(seed)
    return nn.Linear(features, classes, bias=bias)


def made(case: Case, method: str, **options: Any) -> Explained:
    """The method's answer on this case, with its proof; it must not be withheld."""
    layer = options.pop("layer", None)
    if layer is not None:
        case.layer = layer
    found = attribute(case, choice(method, **options))
    assert not found.withheld, found.withheld
    return found


def why(run: Run, method: str, sample: int = 0, **options: Any) -> Explained:
    """The method's answer on a run's test sample; options may also name target, layer, seed."""
    given = {name: options.pop(name) for name in ("target", "layer", "seed") if name in options}
    known = declared(registry.METHODS.get(method).options)
    assert set(options) <= set(known), options
    return made(of_run(run, sample, **given), method, **options)
