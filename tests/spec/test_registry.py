"""Registries: entries found by themselves, mistakes explained in words."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.spec import registry
from core.spec.registry import CatalogError, Registry

ALL = [known for known in vars(registry).values() if isinstance(known, Registry)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A catalog folder that can be imported as `shelf`."""
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path / "shelf"
    for name in [name for name in sys.modules if name.split(".")[0] == "shelf"]:
        del sys.modules[name]


def _write(folder: Path, stem: str, name: str, order: int = 100) -> None:
    text = f"from types import SimpleNamespace\nENTRY = SimpleNamespace(name={name!r}, order={order})\n"
    (folder / f"{stem}.py").write_text(text)


def test_a_file_is_an_entry_and_nothing_else_is_told(folder: Path) -> None:
    _write(folder, "conv", "conv")
    _write(folder, "pool", "pool", order=1)
    (folder / "_shared.py").write_text("raise RuntimeError('not an entry')")
    known = Registry("layer", "shelf")
    assert known.names() == ["pool", "conv"]
    assert "conv" in known and "dense" not in known


def test_an_unknown_name_is_answered_with_the_nearest_one(folder: Path) -> None:
    _write(folder, "conv", "conv")
    with pytest.raises(CatalogError, match=r"no layer called “cnov”.*Did you mean “conv”.*Known: conv"):
        Registry("layer", "shelf").get("cnov")


def test_a_name_that_is_no_word_or_very_long_is_answered_in_one_short_sentence(folder: Path) -> None:
    _write(folder, "conv", "conv")
    known = Registry("layer", "shelf")
    with pytest.raises(CatalogError, match="name of a layer must be a word"):
        known.get(["conv"])  # type: ignore[arg-type]
    with pytest.raises(CatalogError, match="name of an architecture must be a word"):
        Registry("architecture", "shelf").get(["conv"])  # type: ignore[arg-type]
    with pytest.raises(CatalogError) as caught:
        known.get("x" * 100_000)
    assert len(str(caught.value)) < 200


def test_a_file_and_its_entry_have_the_same_name(folder: Path) -> None:
    _write(folder, "one", "conv")
    known = Registry("layer", "shelf")
    for _again in range(2):
        with pytest.raises(CatalogError, match=r"The layer in one\.py is called “conv”"):
            known.names()


def test_a_name_is_refused_or_found_without_reading_the_others(folder: Path) -> None:
    _write(folder, "conv", "conv")
    (folder / "pool.py").write_text("raise RuntimeError('read')")
    known = Registry("layer", "shelf")
    assert known.get("conv").name == "conv" and "pool" in known
    with pytest.raises(CatalogError, match="Known: conv, pool"):
        known.get("dense")


def test_threads_that_come_while_the_folder_is_read_see_all_of_it(folder: Path) -> None:
    for number in range(8):
        _write(folder, f"e{number}", f"e{number}")
        with (folder / f"e{number}.py").open("a") as file:
            file.write("import time; time.sleep(0.01)\n")
    known, seen = Registry("layer", "shelf"), []
    threads = [threading.Thread(target=lambda: seen.append(len(known.names()))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [8] * 4


@pytest.mark.parametrize("known", ALL, ids=lambda known: known.kind)
def test_every_entry_of_the_catalog_is_found_under_its_name_and_has_examples(known: Registry) -> None:
    assert known.names()
    for entry in known:
        assert known.get(entry.name) is entry
        assert entry.examples, f"{known.kind} {entry.name} has no examples"


def test_a_heavy_half_is_loaded_by_its_address() -> None:
    assert registry.load("core.spec.registry:Registry") is Registry
