"""Pages run by AppTest through the shell, with an engine in memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from core.spec import events
from core.store import Run, Store
from core.worker import answers
from pages.kit import engine as doors
from pages.kit import figure
from tests.pages.addresses import switch
from tests.pages.fake_engine import FakeEngine
from tests.trained import Trained, copied

Visit = Callable[..., AppTest]
Made = Callable[..., Run]
Drawn = dict[str, dict[str, Any]]
SHELL = Path(__file__).parents[2] / "pages" / "shell.py"


@pytest.fixture(scope="session", autouse=True)
def no_foreign_components() -> Iterator[None]:
    """AppTest reads the metadata of every installed package at every visit, in search of components: 0.4 s each.

    Ours are registered by our own code, so there is nothing to find.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest_scanner, "scan_component_manifests", list)
        yield


@pytest.fixture
def fake(store: Store, monkeypatch: pytest.MonkeyPatch) -> FakeEngine:
    """The engine and the store that every page of this test meets."""
    engine = FakeEngine(store)
    monkeypatch.setattr(doors, "engine", lambda: engine)
    monkeypatch.setattr(doors, "store", lambda: store)
    st.cache_data.clear()
    st.cache_resource.clear()
    return engine


@pytest.fixture(scope="session")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The pages as the shell registers them: a deep link opens a page with nothing before it."""
    with pytest.MonkeyPatch.context() as patch:
        engine = FakeEngine(Store(tmp_path_factory.mktemp("runs")))
        patch.setattr(doors, "engine", lambda: engine)
        patch.setattr(doors, "store", lambda: engine.store)
        return AppTest.from_file(str(SHELL), default_timeout=120).run()._registered_pages


@pytest.fixture
def visit(registered: Any, fake: FakeEngine) -> Callable[..., AppTest]:
    """Open a page by its name, with the address's parameters and with values in its fields; without an exception."""

    def visit(page: str, *, fields: dict[str, Any] | None = None, **link: str) -> AppTest:
        at = AppTest.from_file(str(SHELL), default_timeout=120)
        if page != "home":
            at._registered_pages = registered  # or a run of home would have to come first, to register them
            switch(at, page)
        for name, value in link.items():
            at.query_params[name] = value
        for key, value in (fields or {}).items():
            at.session_state[key] = value
        at.run()
        assert not at.exception
        return at

    return visit


@pytest.fixture
def made(store: Store, fake: FakeEngine, trained: Trained) -> Made:
    """made(preset, data, **changes by address) → a run of twelve steps, and a real worker's answers to looks at it."""

    def made(preset: str, data: str = "digits", **changes: Any) -> Run:
        run = copied(trained(preset, data, **{"steps": 12, **changes}), store)
        fake.put(run, events.FINISHED, run.experiment().train.steps)
        fake.look = lambda question: answers.look(question, lambda *_: None)
        return run

    return made


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """Key → the figure ("fig") and what else was given of what the page has shown."""
    found: Drawn = {}
    monkeypatch.setattr(figure, "show", lambda fig, *, key, **more: found.update({key: {"fig": fig, **more}}))
    return found


def said(at: AppTest) -> str:
    """Every sentence that the page shows, as people read it."""
    kinds = (at.markdown, at.caption, at.warning, at.error, at.info, at.title, at.text)
    return "\n".join(read(str(element.value)) for kind in kinds for element in kind)


def read(markdown: str) -> str:
    """Markdown of quoted values as people read it: without the backslashes that keep it from acting."""
    return re.sub(r"\\([\\`*_{}\[\]()#+.!|$:~<>&=-])", r"\1", markdown).replace("\u2060", "")


def button(at: AppTest, label: str) -> object:
    """The button with this label."""
    return next(found for found in at.button if found.label == label)
