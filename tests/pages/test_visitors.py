"""Whose files may be read: the person at the machine may name any text, a visitor one in the data folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from pages.kit import visitors
from tests.pages.conftest import said
from tests.pages.fake_engine import FakeEngine

Visit = Callable[..., AppTest]


class _Context:
    def __init__(self, headers: dict[str, str]) -> None:
        self.headers = headers


@pytest.mark.parametrize(
    ("address", "headers", "alone"),
    [
        ("127.0.0.1", {"Host": "127.0.0.1:8501"}, True),
        ("localhost", {"Host": "localhost:8501"}, True),
        ("::1", {"Host": "[::1]:8501"}, True),
        ("127.0.0.1", {}, True),
        ("0.0.0.0", {"Host": "127.0.0.1:8501"}, False),
        ("", {"Host": "localhost:8501"}, False),
        (None, {}, False),
        ("192.168.0.7", {}, False),
        ("127.0.0.1", {"Host": "lab.example:443"}, False),
        ("127.0.0.1", {"Host": "lab.example"}, False),
        ("127.0.0.1", {"Host": "localhost:8501", "X-Forwarded-For": "10.1.2.3"}, False),
        ("127.0.0.1", {"Host": "localhost", "Forwarded": "for=10.1.2.3"}, False),
        ("127.0.0.1", {"Host": "127.0.0.1:8501", "Origin": "http://127.0.0.1:8501"}, True),
        ("127.0.0.1", {"Host": "127.0.0.1:8501", "Origin": "https://lab.example"}, False),
        ("127.0.0.1", {"Host": "127.0.0.1:8501", "Origin": "null"}, False),
    ],
)
def test_only_a_server_for_this_machine_without_a_proxy_is_alone(
    address: str | None, headers: dict[str, str], alone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visitors.st, "get_option", lambda _name: address)
    monkeypatch.setattr(visitors.st, "context", _Context(headers))
    assert visitors.alone() is alone


@pytest.fixture
def secret(tmp_path: Path, home: Path) -> str:
    """The path of a text that is not in the data folder."""
    (tmp_path / "secret.txt").write_text("nobody else's business " * 500)
    return str(tmp_path / "secret.txt")


@pytest.mark.parametrize("page", ["train", "data"])
def test_a_visitor_is_refused_at_the_field_and_nothing_is_asked_of_the_file(
    page: str, secret: str, visit: Visit, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visitors, "alone", lambda: False)
    at = visit(page, data="characters", model="gpt", **{"data.path": secret})
    assert "outside of the data folder" in said(at)
    asked = [getattr(question, "data", None) for question in fake.asked]
    assert all(getattr(data.options, "path", "") == "" for data in asked if data is not None)


@pytest.mark.parametrize("page", ["train", "data"])
def test_the_person_at_the_machine_may_name_any_text(
    page: str, secret: str, visit: Visit, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visitors, "alone", lambda: True)
    at = visit(page, data="characters", model="gpt", **{"data.path": secret})
    assert "outside of the data folder" not in said(at)


def test_a_start_that_was_drawn_before_is_refused_too(
    secret: str, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.spec import specs
    from pages.kit import starting

    monkeypatch.setattr(visitors, "alone", lambda: False)
    told: list[str] = []
    monkeypatch.setattr(st, "error", lambda text, **_more: told.append(text))
    starting.start(specs.assign(specs.preset("gpt", "characters"), {"data.path": secret}))
    assert len(told) == 1 and "outside of the data folder" in told[0] and fake.store.runs() == []
