"""The button that copies the page's address: it says all that is chosen, so that a link shows the same elsewhere."""

from __future__ import annotations

from pages.kit.web_parts import web_part
from pages.kit.words import _

HEIGHT = 30

_mount = web_part("copy_link", HEIGHT)


def draw() -> None:
    """The button."""
    words = {
        "copy": _("Copy link"),
        "copied": _("Copied"),
        "refused": _("Not copied"),
        "help": _("Copy the address of this page with all that is chosen on it"),
    }
    _mount(key="copy_link", data={"words": words})
