"""A model as PyTorch source that runs as it stands: the same names, so the same state_dict, and the same logits.

Imports no torch: our own modules are copied into the text from their files, read but never run here.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Sequence
from functools import cache
from importlib.machinery import SourceFileLoader

from core.catalog.entries import TOKENS, WORDS, DataForm, Form, Layer
from core.spec import registry
from core.spec.questions import Look
from core.spec.specs import LayerSpec


def program(asked: Look, runs: str, code: str) -> str:
    """The lines that a view shows as a program that runs as it stands, beside LayerLab.

    The lines need `network`, in evaluation mode on the CPU, and `x`, a batch of one sample. asked: with the step, the
    sample and the layer that are shown. runs: the runs folder.
    """
    where = [f"{asked.run!r}", f"{asked.view!r}", f"sample={asked.sample}", f"step={asked.step}"]
    where += [f"{name}={value!r}" for name, value in (("layer", asked.layer), ("drawing", asked.drawing)) if value]
    return "\n".join(
        [
            f'"""What the view {asked.view!r} shows of run {asked.run[:4]} at step {asked.step}, computed again."""',
            "",
            "import torch",
            "",
            "from core.spec.questions import Look",
            "from core.worker.look.subject import subject_of",
            "",
            f"subject = subject_of(Look({', '.join([*where, f'runs={runs!r}'])}))",
            "network, x = subject.copied(), subject.x",
            "",
            code,
            "",
        ]
    )


def pytorch_code(layers: Sequence[tuple[LayerSpec, Form]], data: DataForm) -> str:
    """The source of a model from its layers, each with the form it gets; the last line makes it and counts it."""
    copied: dict[str, str] = {}  # name → source, in the order of need
    imports = {"from torch import Tensor, nn"}
    made, calls = [], []
    tokens = data.kind == TOKENS
    for spec, takes in layers:
        entry: Layer = registry.LAYERS.get(spec.kind)
        module, _colon, name = entry.module.partition(":")
        if module != "torch.nn":
            _copy(module, name, copied, imports)
        arguments = ", ".join(f"{k}={v!r}" for k, v in entry.arguments(spec.options, takes).items())
        made.append(f"self.{spec.name} = {'nn.' * (module == 'torch.nn')}{name}({arguments})")
        calls.append(f"x = self.{spec.name}(x{', mask' * (tokens and entry.masked)})")
        if tokens and spec.kind == "class_token":
            imports.add("import torch.nn.functional as F")
            calls.append("mask = F.pad(mask, (1, 0), value=True)  # the class token is real")
    if tokens:
        calls.insert(0, "mask = x != 0  # True at real tokens: id 0 is padding")
    return "\n\n\n".join([_imports(imports), *copied.values(), _network(made, calls, data), _LAST]) + "\n"


_LAST = """if __name__ == "__main__":
    network = Network()
    print(f"{sum(p.numel() for p in network.parameters()):,} parameters")"""


def _network(made: list[str], calls: list[str], data: DataForm) -> str:
    gets = f"{WORDS[data.kind]} of {data.words()}"
    lines = [
        "class Network(nn.Module):",
        f'    """From {gets}',
        f'    to {data.asks()}; the first axis of both is the batch."""',
        "",
        "    def __init__(self) -> None:",
        "        super().__init__()",
        *(_wrapped(line) for line in made),
        "",
        "    def forward(self, x: Tensor) -> Tensor:",
        *(f"        {line}" for line in calls),
        "        return x",
    ]
    return "\n".join(lines)


def _wrapped(line: str) -> str:
    """One statement of __init__, its arguments on a line of their own where it is long."""
    if len(line) <= 110:
        return f"        {line}"
    call, _open, rest = line.partition("(")
    return f"        {call}(\n            {rest[:-1]}\n        )"


def _imports(imports: set[str]) -> str:
    """Standard library first, then torch."""
    own = sorted(line for line in imports if "torch" not in line)
    plain = sorted(i for i in imports if "torch" in i and i.startswith("import"))
    rest = sorted(i for i in imports if "torch" in i and i.startswith("from"))
    return "\n".join([*own, *([""] if own else []), *plain, *rest])


def _copy(module: str, name: str, copied: dict[str, str], imports: set[str]) -> None:
    """Take one class or function from a module's file, after everything in that file that it uses."""
    if name in copied:
        return
    defined, imported = _file(module)
    node, text = defined[name]
    used = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    for other in sorted(used - {name}):
        if other in defined:
            _copy(module, other, copied, imports)
        elif other in imported:
            imports.add(imported[other])
    copied[name] = text


@cache
def _file(module: str) -> tuple[dict[str, tuple[ast.AST, str]], dict[str, str]]:
    """(name → (syntax tree, text) of what a module defines, name → the import line that gives it)."""
    spec = importlib.util.find_spec(module)
    loader = spec.loader if spec else None
    assert isinstance(loader, SourceFileLoader), module
    source = loader.get_source(module) or ""
    defined: dict[str, tuple[ast.AST, str]] = {}
    imported: dict[str, str] = {}
    for node in ast.parse(source).body:
        text = ast.get_source_segment(source, node) or ""
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            defined[node.name] = node, text
        elif isinstance(node, ast.Import | ast.ImportFrom):
            imported |= {alias.asname or alias.name: text for alias in node.names}
    return defined, imported
