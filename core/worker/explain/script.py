"""A program that makes one attribution again with plain Captum, from the arrays beside it; it needs no LayerLab."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from importlib.metadata import version

import numpy as np

from core.catalog.entries import TOKENS
from core.spec import registry
from core.spec.questions import Explain, Explained, Reproduction
from core.worker.explain.explained_case import Case, case_of
from core.worker.explain.questions import explain
from core.worker.look.subject import CannotShow, Report, Subject, subject_of
from core.worker.model.build import check, code, state_arrays

ARRAYS = "attribution.npz"


def reproduction(asked: Explain, report: Report) -> Reproduction:
    """The program and the arrays of the first method that is asked for. CannotShow where it is withheld."""
    (found, *_others) = explain(replace(asked, spread=()), report)  # of one seed
    if found.withheld:
        raise CannotShow(found.withheld)
    subject = subject_of(asked)
    case = case_of(subject, target=asked.target, layer=asked.layer, seed=asked.seed)
    weights = {f"weights/{name}": value for name, value in state_arrays(subject.network).items()}
    given = {"attribution": found.attribution, **found.arrays, **weights}
    if case.ids is not None:
        given["ids"] = case.ids[0].numpy()
    return Reproduction(_program(subject, case, found), {name: np.asarray(value) for name, value in given.items()})


def _program(subject: Subject, case: Case, found: Explained) -> str:
    source = code(check(subject.experiment.model, subject.form), subject.form)
    network = source.partition('\n\n\nif __name__ == "__main__":')[0]
    imports, _gap, classes = network.partition("\n\n\n")
    own = [line for line in imports.splitlines() if line and line not in _IMPORTS]
    title = registry.METHODS.get(found.method).title
    sample = "a drawing" if subject.asked.drawing else f"test sample {found.sample}"
    about = (
        f"Why {found.target}? {title} of a network on {subject.experiment.data.name}, weights of step {found.step}, "
        f"{sample}. Needs torch, numpy, captum, and {ARRAYS} beside it."
    )
    tried = f"Made with torch {version('torch')} and captum {version('captum')}."
    head = "\n".join(['"""' + textwrap.fill(about, 110), "", tried, '"""', "", *sorted({*_IMPORTS, *own}, key=_order)])
    return "\n\n\n".join([head, classes, _model(case), _body(case, found)]) + "\n"


_IMPORTS = (
    "import random",
    "from pathlib import Path",
    "import captum.attr",
    "import numpy as np",
    "import torch",
    "from torch import Tensor, nn",
)


def _order(line: str) -> tuple[bool, bool, str]:
    """The standard library first; in each part what is imported whole, then what is taken out of a module."""
    installed = any(name in line for name in ("torch", "numpy", "captum"))
    return installed, line.startswith("from"), line


def _model(case: Case) -> str:
    """The class Model: inputs [n, …] → [n], with the network as its part `network`."""
    picked = [] if case.target.step is None else [f"answers = answers[:, {case.target.step}]"]
    other = "" if case.target.other is None else f" - answers[:, {case.target.other}]"
    picked.append(f"return answers[:, {case.target.index}]{other}")
    if case.form.kind == TOKENS:
        at = next(name for name, module in case.network.named_modules() if module is case.embedding)
        lines = [
            f"handle = self.network.{at}.register_forward_hook(lambda *_: inputs, prepend=True)",
            "# these vectors, whatever the ids",
            "answers = self.network(ids.expand(len(inputs), -1))  # the ids still say what is padding",
            "handle.remove()",
        ]
    else:
        lines = ["answers = self.network(inputs)"]
    body = "\n".join(f"        {line}" for line in [*lines, *picked])
    return f'''class Model(nn.Module):
    """Inputs [n, …] → [n]: the number that is explained, {case.target.words.replace('"', "'")}."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> Tensor:
{body}'''


def _body(case: Case, found: Explained) -> str:
    tokens = case.form.kind == TOKENS
    lines = [
        f'with np.load(Path(__file__).with_name("{ARRAYS}")) as file:',
        "    stored = {name: torch.from_numpy(file[name]) for name in file.files}",
        "network = Network()",
        'network.load_state_dict({name[8:]: kept for name, kept in stored.items() if name.startswith("weights/")})',
        "model = Model(network.eval().requires_grad_(False)).eval()",
        'x = stored["x"][None]',
    ]
    if tokens:
        lines.append('ids = stored["ids"][None]')
    if "baseline" in found.arrays:
        lines.append('baseline = stored["baseline"][None]')
    lines += [
        f"seed = {found.seed}",
        "random.seed(seed)",
        "np.random.seed(seed)",
        "torch.manual_seed(seed)",
        "",
        found.code.strip(),
        "",
        "attribution = torch.as_tensor(attribution).detach()[0]",
        'known = stored["attribution"]',
        "difference, largest = float((attribution - known).abs().max()), float(known.abs().max())",
        'print(f"largest difference from the stored map: {difference:.2g} (its largest value: {largest:.2g})")',
    ]
    return "\n".join(lines)
