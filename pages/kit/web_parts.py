"""Parts of a page that Streamlit has no widget for: a module of assets/web, mounted once and told what to show."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import streamlit as st

from pages.kit.words import _, translated

# Resent with every message, so it only fetches the module. Streamlit loads it from a blob, so the address must be
# whole. A proxy may have put the app under a prefix of which only the browser knows: Streamlit's own script was loaded
# from there. Where the module does not come, the place says so.
_SCRIPT = """
export default function (component) {{
  const own = document.querySelector('script[src*="static/js/"]')?.src.replace(/static\\/js\\/[^/]*$/, "");
  const address = new URL("layerlab/{name}.js", own ?? location.origin + "{base}/").href;
  const gone = import(address).then((part) => part.mount(component), (error) => {{
    console.error(error);
    component.parentElement.textContent = {words}.replace("{{address}}", address);
  }});
  return () => gone.then((end) => end && end());
}}
"""


def web_part(name: str, height: int) -> Callable[..., Any]:
    """The part whose module is assets/web/NAME.js and exports mount(component)."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    not_loaded = _(
        "This part of the page could not be loaded from {address}. Load the page again. Behind a proxy, every address "
        "below the page's own must reach the server."
    )
    component = st.components.v2.component(
        f"layerlab_{name}",
        css=f".layerlab-{name} {{ min-height: {height}px; }}\n",  # before the module is there: no jump
        js=_SCRIPT.format(base=f"/{base}" if base else "", name=name, words=json.dumps(not_loaded)),
        isolate_styles=False,
    )

    def mount(*, data: dict[str, Any], **more: Any) -> Any:
        return component(data=translated(data), **more)

    return mount
