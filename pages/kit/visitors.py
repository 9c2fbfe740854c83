"""Who is looking: the person at this machine, or anybody who can reach the server."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from urllib.parse import urlsplit

import streamlit as st

from core.store.texts import outside_the_data

_PASSED_ON = ("x-forwarded-for", "x-forwarded-host", "x-real-ip", "forwarded", "via")  # written by a proxy


def alone() -> bool:
    """True where only this machine can be looking: the server listens here alone, and no proxy stands before it."""
    if not _loopback(str(st.get_option("server.address") or "")):  # no address: every one of the machine's
        return False
    told = {name.lower(): value for name, value in st.context.headers.items()}
    host = told.get("host", "localhost").rpartition(":")[0] or told.get("host", "localhost")
    page = urlsplit(told.get("origin", "http://localhost")).hostname or ""  # stays where a proxy rewrites the host
    return _loopback(host) and _loopback(page) and not any(name in told for name in _PASSED_ON)


def file_fault(path: str) -> str:
    """Why this visitor may not have the file read that a data set's `path` names; "" where they may, or it is empty."""
    return outside_the_data(path) if path and not alone() else ""


def _loopback(name: str) -> bool:
    with suppress(ValueError):
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    return name == "localhost" or name.endswith(".localhost")
