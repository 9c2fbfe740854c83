"""Languages come from catalogs, one file each; who reads English needs none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.spec.pseudo import PSEUDO
from core.spec.sentences import ENGLISH, Sentence, counted
from core.store import languages

GERMAN = """
msgid ""
msgstr "Content-Type: text/plain; charset=utf-8\\nPlural-Forms: nplurals=2; plural=(n != 1);\\n"

msgid "{name} = {value:,.1f}"
msgstr "{value:,.1f} ist {name}"

msgid "{n} step"
msgid_plural "{n} steps"
msgstr[0] "{n} Schritt"
msgstr[1] "{n} Schritte"
"""


@pytest.fixture
def german(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of catalogs in which there is a German one."""
    folder = tmp_path / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "layerlab.po").write_text(GERMAN, encoding="utf-8")
    monkeypatch.setattr(languages, "LOCALE", tmp_path)
    monkeypatch.delenv("LAYERLAB_LANG", raising=False)
    _forget()
    yield
    _forget()


def _forget() -> None:
    languages._catalogs.cache_clear()
    languages._language.cache_clear()


@pytest.mark.usefixtures("german")
@pytest.mark.parametrize("wished", ["de", "de-AT", "de_DE.UTF-8"])
def test_a_catalog_makes_a_language_with_its_numbers_and_plurals(wished: str) -> None:
    language = languages.nearest(wished)
    assert language.text(Sentence("{name} = {value:,.1f}", name="lr", value=1234.5)) == "1.234,5 ist lr"
    steps = [language.text(counted("{n} step", "{n} steps", n=n)) for n in (1, 2)]
    assert steps == ["1 Schritt", "2 Schritte"]
    assert languages.names() == ["en", "de"] and languages.title("de") == "Deutsch"


@pytest.mark.usefixtures("german")
def test_without_a_catalog_it_is_english_and_the_variable_overrides_the_locale(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert languages.nearest("fr") is languages.nearest(None) is languages.default("ja-JP") is ENGLISH
    assert languages.default("de").name == "de"
    monkeypatch.setenv("LAYERLAB_LANG", "xx")
    assert languages.default("de") is PSEUDO and languages.of_process() is PSEUDO
    assert languages.names() == ["en", "de", "xx"]
