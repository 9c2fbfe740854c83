"""The languages that LayerLab can be read in: English, and each folder of assets/locale that holds a catalog.

A catalog is assets/locale/NAME/LC_MESSAGES/layerlab.po, as gettext's tools and Babel write it from layerlab.pot.
"""

from __future__ import annotations

import gettext
import io
import os
from functools import lru_cache
from pathlib import Path

from core.spec import pseudo
from core.spec.sentences import ENGLISH, Language
from core.store.regular import read_regular

LOCALE = Path(__file__).resolve().parents[2] / "assets" / "locale"
VARIABLE = "LAYERLAB_LANG"
LARGEST = 16 << 20  # bytes of a catalog


def names() -> list[str]:
    """Every language that has a catalog, English first; the pseudo-language only where it was switched on."""
    switched_on = os.environ.get(VARIABLE) == pseudo.NAME
    return [ENGLISH.name, *sorted(_catalogs()), *([pseudo.NAME] if switched_on else [])]


def nearest(wished: str | None) -> Language:
    """The language of a name such as `de`, `de-AT` or `de_AT.UTF-8`; English where there is none like it."""
    name = (wished or "").partition(".")[0].replace("-", "_")
    if name == pseudo.NAME:
        return pseudo.PSEUDO
    known = _catalogs()
    for one in (name, name.partition("_")[0]):
        if one in known:
            return _language(one)
    return ENGLISH


def default(locale: str | None = None) -> Language:
    """$LAYERLAB_LANG; without it the language of this locale."""
    return nearest(os.environ.get(VARIABLE) or locale)


def of_process() -> Language:
    """The language of who types: $LAYERLAB_LANG, or that of the environment."""
    asked = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
    return default(next((one for one in asked if one), None))


@lru_cache(maxsize=1)
def _catalogs() -> dict[str, Path]:
    return {path.parents[1].name: path for path in LOCALE.glob("*/LC_MESSAGES/layerlab.po")}


@lru_cache(maxsize=16)
def _language(name: str) -> Language:
    from babel import Locale  # late: who reads English needs none of it
    from babel.messages.mofile import write_mo
    from babel.messages.pofile import read_po

    compiled = io.BytesIO()
    write_mo(compiled, read_po(io.BytesIO(read_regular(_catalogs()[name], LARGEST)), locale=name))
    compiled.seek(0)
    known = gettext.GNUTranslations(compiled)
    signs = Locale.parse(name).number_symbols["latn"]
    return Language(
        name,
        known.gettext,
        lambda one, many, n: known.ngettext(one, many, n if isinstance(n, int) else 2),
        decimal=signs["decimal"],
        group=signs["group"],
    )


def title(name: str) -> str:
    """What a language calls itself."""
    if name == pseudo.NAME:
        return pseudo.pseudo("English")
    if name == ENGLISH.name:
        return "English"
    from babel import Locale

    return (Locale.parse(name).get_display_name() or name).capitalize()
