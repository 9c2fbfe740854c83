"""The settings that the app relies on, and the two themes."""

from __future__ import annotations

import tomllib
from typing import Any

import numpy as np
import pytest
from skimage.color import rgb2lab
from streamlit import config

from tests.walls import ROOT

SETTINGS: dict[str, Any] = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))


def _flat(table: dict[str, Any], section: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{section}.{key}" if section else key
        flat |= _flat(value, name) if isinstance(value, dict) else {name: value}
    return flat


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("runner.postScriptGC", False),
        ("runner.magicEnabled", False),
        ("browser.gatherUsageStats", False),
        ("client.toolbarMode", "minimal"),
        ("client.showErrorDetails", "type"),
        ("server.address", "127.0.0.1"),
        ("server.headless", True),
        ("server.maxUploadSize", 10),
        ("server.allowedHosts", ["localhost", "127.0.0.1"]),
    ],
)
def test_the_app_is_set_up_as_it_needs_to_be(name: str, value: Any) -> None:
    assert _flat(SETTINGS)[name] == value


def test_streamlit_knows_every_setting() -> None:
    known = set(config.get_config_options(force_reparse=False))
    assert set(_flat(SETTINGS)) <= known


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_words_and_curves_can_be_read_in_both_themes(theme: str) -> None:
    colours = SETTINGS["theme"][theme]
    grounds = [colours["backgroundColor"], colours["secondaryBackgroundColor"], colours["sidebar"]["backgroundColor"]]
    for ground in grounds:
        assert _contrast(colours["textColor"], ground) >= 7
        assert _contrast(colours["linkColor"], ground) >= 4.5
        assert _contrast(colours["primaryColor"], ground) >= 3
    assert _contrast("#ffffff", colours["primaryColor"]) >= 4.5  # the words on a primary button
    assert min(_contrast(c, colours["backgroundColor"]) for c in colours["chartCategoricalColors"]) >= 3


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_ten_classes_have_ten_colours_that_can_be_told_apart(theme: str) -> None:
    colours = SETTINGS["theme"][theme]["chartCategoricalColors"]
    pixels = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colours], np.uint8)
    lab = rgb2lab(pixels[None])[0]
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    assert len(colours) == 10 and apart[~np.eye(10, dtype=bool)].min() >= 25


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_scales_have_ten_colours_and_steady_lightness(theme: str) -> None:
    colours = SETTINGS["theme"][theme]
    rising = [_luminance(c) for c in colours["chartSequentialColors"]]
    assert len(rising) == 10 and rising == sorted(rising)
    signed = [_luminance(c) for c in colours["chartDivergingColors"]]
    low, high = signed[:5], signed[5:]
    towards_zero = theme == "light"  # zero is as light, or as dark, as the page
    assert low == sorted(low, reverse=not towards_zero) and high == sorted(high, reverse=towards_zero)
