"""Who may come in over the network: under which name the server was asked for, and from whose page.

Streamlit's options decide, for its own stream and for the door's routes alike:

    server.baseUrlPath          the routes stand under it, too
    server.allowedHosts         the names of the server; behind a proxy that keeps the Host header, the proxy's name
    server.corsAllowedOrigins   origins of pages that may listen besides the server's own: behind a proxy that rewrites
                                the Host header, the address that people see. They may also show the app in a frame.
    server.enableCORS=false     any page may listen

Headers such as X-Forwarded-Host and X-Forwarded-Prefix are not believed: any visitor can send them. Under which prefix
the page stands is known to the browser, which asks for everything beside it (pages.kit.web_parts).
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import urlsplit

import streamlit as st
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOST, FOREIGN = 4421, 4403  # close codes of a socket; assets/web/socket.js says the words
OURS = ("/live", "/look", "/layerlab/")
PORTS = {"http": 80, "https": 443}


def refused(headers: Headers) -> int:
    """The close code for a socket with these headers; 0 where it is welcome."""
    if not host_allowed(headers.get("host")):
        return HOST
    return 0 if origin_allowed(headers.get("origin"), headers.get("host")) else FOREIGN


def host_allowed(host: str | None) -> bool:
    """Does a Host header name this server (server.allowedHosts)? As Streamlit decides for its own stream.

    A page of another site whose name was made to point here (DNS rebinding) sends its own name.
    """
    allowed = [str(one).strip().lower().rstrip(".") for one in st.get_option("server.allowedHosts") or ()]
    if not allowed:
        return True
    try:
        asked = urlsplit(f"//{host or ''}")
        name, _port = (asked.hostname or "").rstrip("."), asked.port
    except ValueError:
        return False
    if not name or asked.netloc != host or "@" in asked.netloc:
        return False
    return any(one in ("*", name) or (one.startswith("*.") and name.endswith(one[1:])) for one in allowed)


def origin_allowed(origin: str | None, host: str | None) -> bool:
    """May a page of this origin listen: the server's own, or one that whoever runs the server has named?"""
    if not st.get_option("server.enableCORS"):
        return True
    try:
        asked = urlsplit(origin or "")
        if asked.scheme in PORTS and asked.netloc and asked.netloc.lower() == (host or "").lower():
            return True
        return any(_same(str(one).strip(), origin or "") for one in st.get_option("server.corsAllowedOrigins") or ())
    except ValueError:
        return False


def _same(named: str, origin: str) -> bool:
    """Is this the origin that was named? A bare host name stands for each of its ports."""
    one, other = urlsplit(named if "//" in named else f"//{named}"), urlsplit(origin)
    if not one.hostname or one.hostname != other.hostname or other.scheme not in PORTS:
        return False
    if not one.scheme:
        return one.port is None or one.port == (other.port or PORTS[other.scheme])
    port = one.port or PORTS.get(one.scheme)
    return one.scheme == other.scheme and port == (other.port or PORTS[other.scheme])


class Doorkeeper:
    """ASGI middleware around all of the app: base path and host of our routes, and who may frame whatever is sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            scope = _under_no_base(scope)
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"].startswith(OURS) and not host_allowed(Headers(scope=scope).get("host")):
            why = "The server does not accept requests under this name: see server.allowedHosts.\n"
            await PlainTextResponse(why, 421)(scope, receive, _framed(send))
        else:
            await self._app(scope, receive, _framed(send))


def _under_no_base(scope: Scope) -> Scope:
    """Our routes are also there under server.baseUrlPath, as Streamlit's own are."""
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    path = scope["path"].removeprefix(f"/{base}") if base else scope["path"]
    if path == scope["path"] or not path.startswith(OURS):
        return scope
    return {**scope, "path": path, "raw_path": path.encode()}


def _framed(send: Send) -> Send:
    """Only the app's own pages, and those of the origins that may listen, may show what is sent in a frame.

    Another site could lay the app under a page of its own and have a visitor press its buttons.
    """
    others = [one for one in map(str, st.get_option("server.corsAllowedOrigins") or ()) if "//" in one]
    policy = " ".join(["frame-ancestors 'self'", *(one.strip().rstrip("/") for one in others)])
    headers = [(b"content-security-policy", policy.encode("latin-1", "ignore"))]
    headers += [] if others else [(b"x-frame-options", b"SAMEORIGIN")]  # it knows no list

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = _with(message, headers)
        await send(message)

    return sent


def _with(message: MutableMapping[str, Any], headers: list[tuple[bytes, bytes]]) -> MutableMapping[str, Any]:
    return {**message, "headers": [*message.get("headers", ()), *headers]}
