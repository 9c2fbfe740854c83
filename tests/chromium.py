"""The browser that tests and benchmarks drive."""

from __future__ import annotations

import shutil
from typing import Literal

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--process-per-site",  # with a page that stays, the scripts of the pages are compiled once, not once a page
]


def as_long_as_it_may(fixture_name: str, config: pytest.Config) -> Literal["session", "module"]:
    """The scope of a browser. Playwright's event loop would stand in the way of tests that have none beside them."""
    return "session" if str(config.getoption("markexpr")).startswith("browser") else "module"
