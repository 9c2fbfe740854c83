"""Values that somebody might send: in links, files, names and arguments."""

from __future__ import annotations

import json
import re
from typing import Any

from streamlit.testing.v1 import AppTest

ACTING = [  # texts that Markdown, Streamlit, Plotly or HTML would act on
    "![a](http://host.example/x.png)",
    "[press here](http://host.example)",
    "http://host.example/a",
    "www.host.example",
    "me@host.example",
    ":material/home:",
    ":streamlit:",
    ":red[hi]",
    "$x^2$",
    "<b>bold</b><img src=x onerror=alert(1)>",
    "&lt;b&gt;",
    "**b** _i_ ~~s~~ `c`",
    "# head",
    "a -- b -> c",
    "%{x}<extra>",
    "a\nb\n===",
    "- item",
]
BROKEN = [  # texts that break what handles them
    "\ud800",
    "\udcff name",
    "a\x00b",
    "\x1b[2J\x1b]0;title\x07",
    "\rover",
    "\u202egnp.exe",
    "1" * 4500,
    "-1",
    "nan",
    "1e999",
    "9" * 30,
    "٣",
    "[" * 2000,
    '[{"kind":"\\ud800","name":"a"}]',
    '{"a":' * 500,
    "\ufeff",
    "' OR 1=1",
    "../../etc/passwd",
    "x" * 5000,
    "%s%n{0}{x}",
]
PARAMETERS = (  # every one that a page reads
    "run",
    "sample",
    "layer",
    "step",
    "drawn",
    "why",
    "target",
    "v",
    "model",
    "data",
    "layers",
    "model.kernel",
    "data.size",
    "train.lr",
    "train.augmentation",
    "train.optimizer",
)

_LIVE = re.compile(
    r"(?<!\\)!?\[[^\]]*\]\s*\((?!\))|https?://|\bwww\.|(?<=[\w.+-])@(?=\w)|(?<!\\)<[a-z/!]|:material/home:|:streamlit:|"
    r"(?<!\\):red\[hi|(?<!\\)\$x|(?<!\\)`c`|(?<!\\)\*\*b|^\s*#\s+head|^\s*=+$|^- item",
    re.MULTILINE | re.IGNORECASE,
)
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_OF_A_PROTO = ("body", "label", "help", "text")  # its fields that Streamlit's front end reads as Markdown


def markdowns(at: AppTest) -> list[str]:
    """Every Markdown that the page sends to the browser: bodies, labels, helps, choices."""
    found = []
    for block in (at.main, at.sidebar):
        for element in _all(block):
            proto = getattr(element, "proto", None)
            if proto is None or type(element).__name__ in ("Html",):
                continue
            found += [str(value) for name in _OF_A_PROTO if isinstance(value := getattr(proto, name, ""), str)]
            found += [str(one.content) for one in getattr(proto, "options", ()) if hasattr(one, "content")]
    return [text for text in found if text]


def _all(block: Any) -> list[Any]:
    inside = []
    for child in getattr(block, "children", {}).values():
        inside += [child, *_all(child)]
    return inside


def live(text: str) -> list[str]:
    """What would act in this Markdown."""
    return [found[0] for found in _LIVE.finditer(text)] + _CONTROL.findall(text)


def sendable(text: str) -> str:
    """The text as a link can carry it: an address has no halves of surrogate pairs."""
    return text.encode("utf-8", "replace").decode()


def experiment(text: str) -> bytes:
    """An experiment's file with the text in every place that takes one."""
    return json.dumps(
        {
            "format": 1,
            "data": {"name": "digits", text: text},
            "model": {"architecture": text, "layers": [{"kind": text, "name": text}]},
            "train": {text: text},
        }
    ).encode()
