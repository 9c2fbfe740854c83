"""ARCHITECTURE.md and CONTRIBUTING.md say what is so: rooms are those of the tree, recipes work as they stand."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import walls
from tests.walls import ROOT

PLAN = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
RECIPES = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_rooms_of_the_plan_are_those_of_the_tree_and_of_the_walls() -> None:
    listed = re.findall(r"^\| `(core/[\w/]+)`", PLAN, re.MULTILINE)
    inner = [f"core/worker/{path.name}" for path in (ROOT / "core/worker").iterdir() if (path / "__init__.py").exists()]
    rooms = [f"core/{path.name}" for path in (ROOT / "core").iterdir() if (path / "__init__.py").exists()]
    assert sorted(listed) == sorted(rooms + inner)
    ranks = [walls.ROOMS[room.removeprefix("core/").replace("/", ".")] for room in listed]
    assert ranks == sorted(ranks), "in the order of the walls"
    sections = {path.name for path in (ROOT / "pages").iterdir() if (path / "__init__.py").exists()}
    assert set(re.findall(r"`pages/(\w+)`", PLAN)) == sections


def test_every_file_that_is_named_is_there() -> None:
    names = re.findall(r"`((?:core|pages|tests)/[\w/.]+\.py)`", PLAN + RECIPES)
    assert len(names) >= 3
    assert [name for name in names if "NAME" not in name and not (ROOT / name).exists()] == []


# What each recipe must have led to; the module names stand for those of the command line.
FOLLOWED = {
    "Add a layer": """
from core.spec.questions import Describe
from core.spec.registry import LAYERS
from core.spec.specs import LayerSpec, ModelSpec, preset
from core.worker.model.build import describe
made = preset("mlp", "points")
softplus, linear = LAYERS.get("softplus"), LAYERS.get("linear")
layers = (
    LayerSpec("softplus", softplus.options(), "softplus1"),
    LayerSpec("linear", linear.options(features=2), "head"),
)
found = describe(Describe(ModelSpec("mlp", made.model.options, layers), made.data))
assert [row.kind for row in found.layers][0] == "softplus", found
""",
    "Add a data set": """
from core.spec.specs import assign, preset
from core.worker.train.training import Training
training = Training(assign(preset("mlp", "quadrants"), {"train.steps": 150}))
for _happened in training: pass
accuracy = {e.name: e.value for e in training.evaluate("test")}
assert accuracy["test/accuracy"] > 0.9, accuracy
""",
    "Add a view": """
from core.spec.questions import Look
from core.worker.answers import look
seen = look(Look(run.id, "spread", runs=str(run.path.parent)), lambda *_told: None)
assert len(seen.arrays["spread"]) == len(seen.facts.layers) and seen.words[0].startswith("The largest"), seen
from pages import menu
assert "look_inside-spread" in [entry.address for entry in menu.entries()]
""",
    "Add an attribution method": """
import numpy as np
from core.spec.questions import Explain
from core.spec.registry import METHODS
from core.spec.specs import Choice
from core.worker.answers import answer
def of(method):
    asked = Explain(run=run.id, methods=(Choice(method, METHODS.get(method).options()),), runs=str(run.path.parent))
    return answer(asked, lambda *_told: None)[0]
np.testing.assert_allclose(of("squared_gradient").attribution, of("saliency").attribution ** 2, rtol=1e-5)
""",
    "Add a question": """
import sys
from core.engine.client import connect
from core.spec.events import Snapshot
from core.spec.questions import Largest
from core.spec.specs import preset
from core.store import Store
import numpy as np
made = Store("runs").create(preset("mlp", "points"))
made.save_snapshot(Snapshot(0, {"a.weight": np.array([1, -3], np.float32), "b.weight": np.ones(2, np.float32)}))
engine = connect("runs", worker="tests.engine.fake_worker")
try:
    assert engine.ask(Largest(made.id)) == {"a.weight": 3.0, "b.weight": 1.0}
finally:
    engine.close()
assert "torch" not in sys.modules
from pathlib import Path
log = Path("home/logs/engine.log").read_text()
assert f"asks Largest run={made.id}" in log, log
""",
}
PREPARED = """
from pathlib import Path
from core.spec.specs import assign, preset
from core.store import Store
from tests.trained import train
run = train(Store(Path("runs")), assign(preset("mlp", "points"), {"train.steps": 5}))
"""


ONE_AFTER_THE_OTHER = """
import json, sys, traceback
for title, program in json.loads(sys.stdin.read()).items():
    try:
        exec(program, {"__name__": "recipe"})
        print(json.dumps([title, ""]))
    except Exception:
        print(json.dumps([title, traceback.format_exc()]))
"""


def _follow(title: str, tree: Path) -> None:
    recipe = re.split(r"^## ", RECIPES.partition(f"## {title}\n")[2], flags=re.MULTILINE)[0]
    files = re.findall(r"```python\n# ([^\s,]+)(, at its end)?\n(.*?)```", recipe, re.DOTALL)
    assert files
    for name, at_its_end, source in files:
        known = (tree / name).exists()
        assert known == bool(at_its_end), f"{name} is there already: choose another example"
        with (tree / name).open("a", encoding="utf-8") as file:
            file.write(f"\n\n{source}" if known else source)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What became of each recipe: "" or a traceback. All in one copy of the tree and one process."""
    tree = tmp_path_factory.mktemp("tree")
    for room in ("core", "pages", "tests", "assets"):  # with the bytecode: to compile everything anew takes seconds
        shutil.copytree(ROOT / room, tree / room, ignore=shutil.ignore_patterns("pictures", "browser", "test_*"))
    for title in FOLLOWED:
        _follow(title, tree)
    light_first = sorted(FOLLOWED, key=lambda title: "torch" not in FOLLOWED[title])
    programs = {t: (PREPARED if "run.path" in FOLLOWED[t] else "") + FOLLOWED[t] for t in light_first}
    done = subprocess.run(
        [sys.executable, "-c", ONE_AFTER_THE_OTHER],
        input=json.dumps(programs),
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "LAYERLAB_HOME": str(tree / "home")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    told = dict(json.loads(line) for line in done.stdout.splitlines() if line.startswith('["Add'))
    return {title: told.get(title, done.stderr) for title in FOLLOWED}


@pytest.mark.parametrize("title", FOLLOWED)
def test_a_recipe_leads_to_what_it_promises(title: str, outcomes: dict[str, str]) -> None:
    assert outcomes[title] == ""
