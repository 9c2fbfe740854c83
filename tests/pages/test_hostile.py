"""Whatever a link, a file or a folder says: every page stands, and nothing in it acts."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.spec import specs
from core.spec.events import FAILED
from core.store import Run, Store, StoreError
from pages.kit import exchange, words
from pages.train import runs_table
from tests.hostile import ACTING, BROKEN, PARAMETERS, experiment, live, markdowns, sendable
from tests.pages.addresses import PAGES
from tests.pages.conftest import button, said
from tests.pages.fake_engine import FakeEngine, finished
from tests.walls import ROOT

Visit = Callable[..., AppTest]
DIGITS = specs.preset("cnn", "digits")
FORMS = ("home", "build", "data", "train")  # which read a link once a session


def _sound(at: AppTest, about: object) -> None:
    assert not at.exception, about
    assert not [one.value for one in at.error if "our fault" in one.value], about
    bad = [(text[:200], found) for text in markdowns(at) if (found := live(text))]
    assert bad == [], about


@pytest.mark.parametrize("page", PAGES)
def test_a_page_stands_whatever_its_link_says(visit: Visit, store: Store, page: str) -> None:
    """All pages read the address by the same functions: each meets some of the values, and each value some pages."""
    values = [sendable(value) for value in (*ACTING, *BROKEN)]
    _stands(visit, finished(store, DIGITS), page, values[list(PAGES).index(page) % 8 :: 8])


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_every_page_stands_whatever_its_link_says(visit: Visit, store: Store, page: str) -> None:
    _stands(visit, finished(store, DIGITS), page, [sendable(value) for value in (*ACTING, *BROKEN)])


def _stands(visit: Visit, run: Run, page: str, values: list[str]) -> None:
    """Each value in all parameters at once; the forms meet them in sessions of their own, as they read a link once."""
    at = visit(page, run=run.id)
    for value in values:
        if page in FORMS:
            at = visit(page, **dict.fromkeys(PARAMETERS, value))
            _sound(at, value)
        every = dict.fromkeys(PARAMETERS, value)
        for link in (every, every | {"run": run.id}):
            for name, one in link.items():
                at.query_params[name] = one
            at.run()
            _sound(at, (page, link["run"], value))


@pytest.mark.parametrize("name", PARAMETERS)
def test_the_train_page_says_what_is_wrong_with_one_parameter(visit: Visit, name: str) -> None:
    """Alone, so that no other parameter is refused before it."""
    _sound(visit("train", **{name: "[x](http://host.example) :material/home:"}), name)
    own = {"sample": "1" * 4500, "step": "1" * 4500, "layers": '[{"kind":"\\ud800","name":"a"}]'}
    if name in own:
        _sound(visit("train", **{name: own[name]}), name)


def test_every_parameter_of_the_address_is_tried_here() -> None:
    """Those that pages.kit read by name; a new one belongs into tests.hostile.PARAMETERS."""
    read = set()
    for file in (ROOT / "pages").rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("given.get", "here.address().get"):
                read.add(ast.literal_eval(node.args[0]))
            elif isinstance(node, ast.Subscript) and ast.unparse(node.value) == "given":
                read.add(ast.literal_eval(node.slice))
    assert read and read <= set(PARAMETERS)


@pytest.mark.parametrize("text", [*ACTING, *BROKEN], ids=lambda text: ascii(text)[:24])
def test_an_uploaded_file_is_answered_in_a_sentence(text: str) -> None:
    """Also where its JSON holds halves of surrogate pairs, which no protocol can carry."""
    made, why = exchange._read(experiment(text))
    assert made is None and why
    assert live(words.plain(why)) == [] and words.plain(why).encode()
    assert exchange._read(text.encode("utf-8", "surrogatepass"))[0] is None


# ── runs ─────────────────────────────────────────────────────────────────────


def _named(run: Run, name: str) -> None:
    """As another program, or an older LayerLab, may have written it."""
    about = run.about() | {"name": name}
    (run.path / "about.json").write_text(json.dumps(about))
    status = {"state": FAILED, "step": 3, "steps": 9, "words": name, "layer": name}
    (run.path / "status.json").write_text(json.dumps(status))


@pytest.mark.parametrize("page", ["home", "train", "runs", "look_feature_maps", "explain_side_by_side"])
def test_a_page_stands_whatever_a_run_is_called(visit: Visit, store: Store, page: str) -> None:
    runs = [finished(store, DIGITS) for _ in range(4)]
    at = visit(page, run=runs[0].id)
    names = [*ACTING, *BROKEN]
    for at_once in range(0, len(names), len(runs)):
        for run, name in zip(runs, names[at_once:], strict=False):
            _named(run, name)
        at.run()
        _sound(at, names[at_once : at_once + len(runs)])
        [label.encode() for label in at.selectbox(key="run_bar.run").options] if page != "home" else None


DAMAGES: dict[str, Callable[[Run], Any]] = {
    "no JSON": lambda run: (run.path / "about.json").write_bytes(b"\xff\xfe{"),
    "no object": lambda run: (run.path / "status.json").write_text("[1, 2]"),
    "a folder as a file": lambda run: _in_place_of(run, "about.json", "mkdir"),
    "a pipe as a file": lambda run: _in_place_of(run, "status.json", "pipe"),
    "a link to nowhere": lambda run: _in_place_of(run, "experiment.json", "link"),
    "no file at all": lambda run: [file.unlink() for file in run.path.iterdir()],
    "strange numbers": lambda run: (run.path / "status.json").write_text(
        '{"state": "finished", "step": 1' + "0" * 400 + ', "steps": -1, "words": "", "layer": ""}'
    ),
    "no time": lambda run: (run.path / "about.json").write_text('{"format": 1, "name": "a", "created": 1e300}'),
    "rows of nothing": lambda run: run.events_path.write_text(
        '{"step": true, "time": "x", "values": {"train/loss": {}}}\n' * 3
    ),
    "rows in a folder": lambda run: _in_place_of(run, "events.jsonl", "mkdir"),
    "a deep file": lambda run: (run.path / "experiment.json").write_text("[" * 100_000),
    "a half character": lambda run: (run.path / "about.json").write_text(
        '{"format": 1, "name": "\\ud800", "created": 1}'
    ),
}


def _in_place_of(run: Run, name: str, what: str) -> None:
    (run.path / name).unlink()
    {
        "mkdir": (run.path / name).mkdir,
        "pipe": lambda: os.mkfifo(run.path / name),
        "link": lambda: (run.path / name).symlink_to("/nowhere/at/all"),
    }[what]()


HARMLESS = ("rows of nothing", "rows in a folder", "a half character")  # the run is whole without its rows


@pytest.fixture
def damaged(store: Store, fake: FakeEngine) -> dict[str, Run]:
    """A sound run beside one of each damage."""
    made = {"": finished(store, DIGITS, name="sound")}
    for damage, harm in DAMAGES.items():
        harm(made.setdefault(damage, finished(store, DIGITS)))
    return made


@pytest.mark.parametrize("page", ["home", "train", "runs", "look_feature_maps", "explain_side_by_side"])
def test_damaged_runs_damage_no_page(visit: Visit, damaged: dict[str, Run], page: str) -> None:
    at = visit(page, run=damaged[""].id)
    _sound(at, page)
    for damage, run in damaged.items():
        at.query_params["run"] = run.id
        at.run()
        _sound(at, (page, damage))


def test_damaged_runs_are_listed_as_such_and_can_be_deleted(
    fake: FakeEngine, store: Store, damaged: dict[str, Run]
) -> None:
    rows = {row["id"]: row for row in runs_table.rows(store.runs())}
    for damage, run in damaged.items():
        whole = damage in ("", *HARMLESS)
        assert (rows[run.id]["state"] == "finished") == whole, damage
        assert (rows[run.id]["damage"] == "") == whole, damage
        fake.delete(run.id)
    assert store.runs() == []


def test_what_is_wrong_with_a_marked_run_is_told_and_it_can_only_be_deleted(
    visit: Visit, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished(store, DIGITS)
    (run.path / "status.json").write_text("{")
    monkeypatch.setattr(runs_table, "table", lambda found: found)  # all rows are marked
    at = visit("runs")
    assert "This run is damaged" in said(at)
    off = {label: button(at, label).disabled for label in ("Open", "Look inside", "Rename", "Resume", "Delete")}
    assert off == {"Open": True, "Look inside": True, "Rename": True, "Resume": True, "Delete": False}


def test_a_run_that_may_not_be_read_is_told_and_not_our_fault(
    visit: Visit, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system refuses, whatever is asked of the folder."""
    run = finished(store, DIGITS)
    refuse: Any = PermissionError(13, "Permission denied", str(run.path))

    def refused(*_args: object, **_more: object) -> None:
        raise refuse

    for name in ("read_json", "read_regular"):
        monkeypatch.setattr(f"core.store.runs.{name}", refused)
    monkeypatch.setattr("core.store.log.read_after", refused)
    with pytest.raises(StoreError, match="Permission denied"):
        run.frame()
    for page in ("home", "train", "runs", "look_feature_maps"):
        _sound(visit(page, run=run.id), page)


# ── the one path ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize("text", [*ACTING, *BROKEN], ids=lambda text: ascii(text)[:24])
def test_a_value_in_a_sentence_does_nothing(text: str) -> None:
    sentence = words.fill("**{name}** is wrong: {n:,}", name=text, n=1234)
    assert sentence.startswith("**") and sentence.endswith("1,234")
    assert live(sentence.replace("**", "")) == []
    sentence.encode()


def test_an_error_of_any_room_reaches_the_page_letter_by_letter(
    visit: Visit, fake: FakeEngine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished(store, DIGITS)
    for text in ACTING[::4]:

        def fail(_run: str, text: str = text) -> None:
            raise StoreError(text)

        monkeypatch.setattr(fake, "state", fail)
        _sound(visit("train", run=run.id), text)
