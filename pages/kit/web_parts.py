"""Parts of a page that Streamlit has no widget for: a module of assets/web, mounted once and told what to show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

# Resent with every message, so it only fetches the module. Streamlit loads it from a blob: the address must be whole.
_SCRIPT = """
export default function (component) {{
  const gone = import(location.origin + "{base}/layerlab/{name}.js").then((part) => part.mount(component));
  return () => gone.then((end) => end && end());
}}
"""


def web_part(name: str, height: int) -> Callable[..., Any]:
    """The part whose module is assets/web/NAME.js and exports mount(component)."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return st.components.v2.component(
        f"layerlab_{name}",
        css=f".layerlab-{name} {{ min-height: {height}px; }}\n",  # before the module is there: no jump
        js=_SCRIPT.format(base=f"/{base}" if base else "", name=name),
        isolate_styles=False,
    )
