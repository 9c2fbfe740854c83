"""The walls of the house, each kept by a test. The checkers themselves are tried on small offenders first."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pages import menu
from tests import walls
from tests.walls import ROOT

CORE, PAGES = ROOT / "core", ROOT / "pages"
CODE = sorted([*CORE.rglob("*.py"), *PAGES.rglob("*.py"), *ROOT.glob("*.py")])
ON_SCREEN = [p for p in CODE if CORE not in p.parents]  # pages, what they share, and the door
PAGE_LINES = 60
TOP_LEVEL = {
    "pyproject.toml",
    "README.md",
    "app.py",
    "pages",
    "core",
    "tests",
    "assets",
    "Makefile",
    "LICENSE",
    "CHANGELOG.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "constraints.txt",
}


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _core() -> Iterator[tuple[Path, str]]:
    for path in sorted(CORE.rglob("*.py")):
        if path != CORE / "__init__.py":
            yield path, walls.room_of(path, CORE)


# ── the checkers find what they are for ──────────────────────────────────────


@pytest.mark.parametrize(
    ("source", "room"),
    [
        ("import core.worker.train.training", "store"),
        ("from core.worker import answers", "engine"),
        ("def f():\n    from core.catalog import entries", "spec"),
        ("import importlib\nimportlib.import_module('core.worker.model.build')", "engine"),
        ("from core.worker.explain import attribute", "worker.look"),
        ("import streamlit as st", "cli"),
        ("from pages.kit import forms", "cli"),
        ("from core.cellar import wine", "cli"),
        ("from . import specs", "store"),
    ],
)
def test_the_import_checker_finds_a_wrong_import(source: str, room: str) -> None:
    assert len(walls.wrong_imports(ast.parse(source), room)) == 1


def test_the_import_checker_accepts_rooms_above_and_the_own_room() -> None:
    tree = ast.parse("import json\nfrom core.store import Store\nfrom core.catalog.entries import Form")
    assert walls.wrong_imports(tree, "store") == []


@pytest.mark.parametrize("source", ["import torch", "from torch import nn", "from core.worker.train import training"])
def test_the_heavy_import_checker_finds_it(source: str) -> None:
    assert walls.heavy_imports(ast.parse(source))


@pytest.mark.parametrize(
    "source",
    [
        "open('a')",
        "path.open()",
        "(a / b).write_text('')",
        "p.mkdir()",
        "tempfile.mkstemp()",
        "shutil.rmtree(a)",
        "os.remove(a)",
        "p.read_bytes()",
        "Path(a).unlink()",
    ],
)
def test_the_file_checker_finds_a_file_call(source: str) -> None:
    assert walls.file_calls(ast.parse(source))


def test_the_file_checker_lets_other_calls_pass() -> None:
    assert walls.file_calls(ast.parse("shutil.which('git')\nname.replace('a', 'b')\nstore.read(1)")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "conn.recv()",
        "self.conn.recv()",
        "self._conn.send(1)",
        "eval(a)",
        "torch.load(a)",
        "np.load(a, allow_pickle=True)",
        "exec(code)",
    ],
)
def test_the_checker_finds_what_runs_what_it_reads(source: str) -> None:
    assert walls.running_what_it_reads(ast.parse(source))


def test_the_checker_lets_bytes_and_generators_pass() -> None:
    source = "conn.recv_bytes(4)\nconn.send_bytes(a)\nnetwork.eval()\nnp.load(a)\nsend(0.5, 'x')\nsocket.recv(4)"
    assert walls.running_what_it_reads(ast.parse(source)) == []


@pytest.mark.parametrize(
    "source",
    ["seen.facts['x']", "seen.facts.get('x')", "f'x/{y}' in seen.arrays", "a, b = seen.arrays, 1\na[f'x/{y}']"],
)
def test_the_answer_checker_finds_a_key_that_is_written_out(source: str) -> None:
    assert walls.literal_keys(ast.parse(source))


def test_the_answer_checker_lets_declared_names_pass() -> None:
    source = "a = seen.arrays\na[HIDDEN]\na.get(gate(name))\nseen.facts.steps\nCELL in a\nother['x']\n'x' in other"
    assert walls.literal_keys(ast.parse(source)) == []


@pytest.mark.parametrize("name", ["core/utils.py", "pages/kit/plot_helpers.py", "core/common/a.py", "run_manager.py"])
def test_the_name_checker_finds_a_vague_name(name: str) -> None:
    assert walls.vague_names(Path(name))


@pytest.mark.parametrize(
    "source",
    [
        "st.session_state['cache'] = 1",
        "st.session_state.cache",
        "st.session_state.get('cache')",
        "f(st.session_state)",
        "'cache' in st.session_state",
        "st.session_state.clear()",
    ],
)
def test_the_state_checker_finds_a_foreign_key(source: str) -> None:
    assert walls.state_uses(ast.parse(source), {"'lr'"})


@pytest.mark.parametrize(
    "source",
    ["st.session_state['lr']", "st.session_state.run = 'a'", "'run' in st.session_state", "st.session_state.pop('lr')"],
)
def test_the_state_checker_accepts_widget_keys_and_the_run(source: str) -> None:
    keys = walls.widget_keys(ast.parse("st.slider(_('rate'), key='lr')"))
    assert walls.state_uses(ast.parse(source), keys) == []


@pytest.mark.parametrize(
    "source",
    [
        "st.title('Train')",
        "left.metric('loss', 3)",
        "st.write(f'{n} steps')",
        "st.tabs(['one', 'two'])",
        "st.button(_('Go'), help='start it')",
        "st.caption('{n} runs'.format(n=1))",
        "st.info('a' if x else _('b'))",
    ],
)
def test_the_word_checker_finds_untranslated_words(source: str) -> None:
    assert walls.untranslated(ast.parse(source))


@pytest.mark.parametrize(
    "source",
    [
        "st.title(_('Train'))",
        "st.write(_('{n} steps').format(n=3))",
        "st.write(f'{n} / {m}')",
        "log.info('started')",
        "st.button(':material/delete:')",
        "st.markdown('—')",
        "st.write(name)",
    ],
)
def test_the_word_checker_lets_translated_words_pass(source: str) -> None:
    assert walls.untranslated(ast.parse(source)) == []


def test_the_state_checker_lets_forms_compute_keys_but_not_invent_them() -> None:
    tree = ast.parse("st.session_state[f'{part}.{name}'] = 1\nst.session_state['cache'] = 1")
    assert len(walls.state_uses(tree, set(), forms=True)) == 1


# ── the walls ────────────────────────────────────────────────────────────────


def test_core_imports_only_from_rooms_above_and_never_the_screen() -> None:
    wrong = {_name(p): bad for p, room in _core() if (bad := walls.wrong_imports(_tree(p), room))}
    assert wrong == {}


def test_every_file_of_core_is_in_a_known_room() -> None:
    assert {room for _path, room in _core()} <= set(walls.ROOMS)


def test_light_rooms_and_the_screen_import_nothing_heavy() -> None:
    light = [p for p, room in _core() if room in walls.LIGHT] + ON_SCREEN
    assert {_name(p): bad for p in light if (bad := walls.heavy_imports(_tree(p)))} == {}


def test_everybody_but_the_bench_asks_the_engine_instead_of_the_worker() -> None:
    """The command line too: there is no second way to look or explain."""
    for offender in ("from core.worker import answers", "def f():\n    import core.worker.look.draw"):
        assert walls.of_the_worker(ast.parse(offender))
    assert walls.of_the_worker(ast.parse("look = 'core.worker.look.draw:look'")) == []
    others = [p for p, room in _core() if room not in walls.USE_THE_WORKER]
    assert {_name(p): bad for p in [*others, *ON_SCREEN] if (bad := walls.of_the_worker(_tree(p)))} == {}


IMPORT_THE_WEB_SIDE = """
import importlib, importlib.util, pathlib, pkgutil, sys
def everything(package):
    yield package.__name__
    for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if not found.name.endswith(("__main__", "pages.shell")):  # they run when they are imported
            yield found.name
names = []
for room in sys.argv[1].split(","):
    module = importlib.import_module("core." + room)
    names += everything(module) if hasattr(module, "__path__") else [module.__name__]
import pages
names += everything(pages)
for name in names:
    importlib.import_module(name)
from core.spec import registry
for known in vars(registry).values():
    if isinstance(known, registry.Registry):
        assert known.names(), known.package + " is empty"
if pathlib.Path("app.py").exists():
    spec = importlib.util.spec_from_file_location("app", "app.py")
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
print(len(names), *[banned for banned in sys.argv[2].split(",") if banned in sys.modules])
"""


def test_the_web_process_stays_without_torch(home: Path) -> None:
    light, banned = ",".join(walls.LIGHT), ",".join(walls.BANNED_FOR_THE_WEB)
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_THE_WEB_SIDE, light, banned],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    count, *carried_in = done.stdout.splitlines()[-1].split()
    assert int(count) >= len(walls.LIGHT)
    assert carried_in == []


def test_every_package_that_is_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[^\w-]", one)[0] for one in project["dependencies"]}
    known = {*sys.stdlib_module_names, "core", "pages", "app"} | walls.IMPORTED_WHERE_THERE
    names = {(name.split(".")[0], _name(p)) for p in CODE for name in walls.imported(_tree(p))}
    missing = {(name, where) for name, where in names if name not in known}
    assert {one for one in missing if walls.PACKAGES.get(one[0], one[0]) not in declared} == set()


def test_only_the_store_and_the_data_sets_know_files() -> None:
    others = [p for p, room in _core() if room not in ("store", "worker.data")] + ON_SCREEN
    calls = {(_name(p), call) for p in others for call in walls.file_calls(_tree(p))}
    assert calls - walls.OTHER_FILES == set()
    assert walls.OTHER_FILES - calls == set()  # an exception that is not needed any more goes


def test_nothing_runs_what_it_reads() -> None:
    """Files, links and other processes hand over data; what unpickles or evaluates them would hand over the machine."""
    found = {_name(p): bad for p in CODE if (bad := walls.running_what_it_reads(_tree(p)))}
    assert found == {walls.OWN_UNPICKLER: ["pickle"]}


def test_figures_are_pure() -> None:
    foreign = {"core.store", "core.engine", "core.engine.live", "streamlit", "pages"}
    wrong = {
        (_name(path), name)
        for path in (CORE / "figures").rglob("*.py")
        for name in walls.imported(_tree(path))
        if ".".join(name.split(".")[:2]) in foreign or name.split(".")[0] in foreign
    }
    assert wrong == set()


def test_a_page_is_thin() -> None:
    lines = {
        _name(path): node.end_lineno - node.lineno
        for entry in menu.entries()
        for path in [PAGES / entry.section / f"{entry.name}.py"]
        for node in _tree(path).body
        if isinstance(node, ast.FunctionDef) and node.name == "page" and node.end_lineno
    }
    assert len(lines) == len(menu.entries())
    assert {name: count for name, count in lines.items() if count > PAGE_LINES} == {}


SECTIONS = {entry.section or "home" for entry in menu.entries()}


def test_a_section_imports_no_other_section() -> None:
    """What two sections use lies in the kit. Home and the frame lead everywhere."""
    wrong = {}
    for section in SECTIONS - {"home"}:
        others = SECTIONS - {section}
        for path in (PAGES / section).glob("*.py"):
            names = [
                name for name in walls.imported(_tree(path)) if name.split(".")[1:2] and name.split(".")[1] in others
            ]
            if bad := [name for name in names if name.startswith("pages.")]:
                wrong[_name(path)] = bad
    assert wrong == {}


def test_the_kit_holds_only_what_two_sections_use() -> None:
    users: dict[str, set[str]] = {path.stem: set() for path in (PAGES / "kit").glob("*.py") if path.stem != "__init__"}
    uses: dict[str, set[str]] = {name: _kit_uses(PAGES / "kit" / f"{name}.py") for name in users}
    for path in [*PAGES.rglob("*.py"), ROOT / "app.py"]:
        if (PAGES / "kit") in path.parents:
            continue
        section = path.parent.name if path.parent.name in SECTIONS else path.stem
        reached, left = set(), _kit_uses(path)
        while left:  # also what it reaches by way of another file of the kit
            name = left.pop()
            if name not in reached:
                reached.add(name)
                left |= uses.get(name, set())
        for name in reached & set(users):
            users[name].add(section)
    assert {name: sections for name, sections in users.items() if len(sections) < 2} == {}


OF_METHODS = ("side_by_side",)  # it puts the arrays of several methods together


def test_pages_read_what_a_view_says_by_the_names_of_its_entry() -> None:
    places = [path for path in (ROOT / "pages").rglob("*.py") if path.stem not in OF_METHODS]
    assert {str(path): keys for path in places if (keys := walls.literal_keys(_tree(path)))} == {}


def _kit_uses(path: Path) -> set[str]:
    return {name.split(".")[2] for name in walls.imported(_tree(path)) if name.startswith("pages.kit.")}


def test_pages_keep_nothing_in_the_session_but_widget_keys_and_what_all_pages_follow() -> None:
    keys = set().union(*(walls.widget_keys(_tree(p)) for p in ON_SCREEN))
    wrong = {_name(p): walls.state_uses(_tree(p), keys, forms=PAGES in p.parent.parents) for p in ON_SCREEN}
    assert {name: bad for name, bad in wrong.items() if bad} == {}


def test_every_word_on_the_screen_can_be_translated() -> None:
    assert {_name(p): bad for p in ON_SCREEN if (bad := walls.untranslated(_tree(p)))} == {}


def test_files_are_named_for_what_is_in_them() -> None:
    paths = [p.relative_to(ROOT) for p in (*CODE, *(ROOT / "tests").rglob("*.py"))]
    assert {str(p): bad for p in paths if (bad := walls.vague_names(p))} == {}


def test_what_drives_a_browser_is_marked_so_and_runs_by_itself() -> None:
    sources = [p for room in ("browser", "web") for p in (ROOT / "tests" / room).glob("test_*.py")]
    assert [p.name for p in sources if "pytest.mark.browser" not in p.read_text(encoding="utf-8")] == []


def test_browser_tests_wait_for_states_and_never_for_a_time() -> None:
    sources = [p for room in ("browser", "web") for p in (ROOT / "tests" / room).glob("*.py")]
    assert [str(p) for p in sources if "wait_for_timeout" in p.read_text(encoding="utf-8")] == []


def test_the_top_level_holds_only_what_the_plan_names() -> None:
    made = {"__pycache__", "layerlab.egg-info", "build", "dist", "runs"}  # by tools; git leaves them out
    here = {p.name for p in ROOT.iterdir() if not p.name.startswith(".")}
    assert here - made <= TOP_LEVEL


def test_no_file_holds_what_a_merge_has_left() -> None:
    marks = ("<" * 7 + " ", ">" * 7 + " ")
    places = (walls.ROOT / folder for folder in ("core", "pages", "assets", "tests"))
    texts = [*walls.ROOT.glob("*.*"), *(path for place in places for path in place.rglob("*"))]
    kinds = (".py", ".js", ".css", ".md", ".toml", ".html", ".json", ".txt")
    wrong = [
        path
        for path in texts
        if path.suffix in kinds
        and path.is_file()
        and any(line.startswith(marks) for line in path.read_text("utf-8", "replace").splitlines())
    ]
    assert not wrong
