"""The sessions of this process's visitors. Streamlit keeps that of a closed tab, in case its browser comes back.

Each holds an event loop, three handles, until somebody else leaves after its time is over; a hundred quick visitors
would take all that a process may have. So the door closes them.
"""

from __future__ import annotations

import time
from contextlib import suppress

from streamlit.runtime import Runtime, get_instance
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core.engine.handles import held

KEPT = 60.0  # seconds a browser may be away (a reload, a cut line) and find its session again
HURRIED = 1.0  # the same, while more than half of all handles are taken
_seen: dict[str, float] = {}  # session → when its browser was last known to be there


def note() -> None:
    """A page is drawn for this session."""
    context = get_script_run_ctx()
    if context is not None:
        _seen[context.session_id] = time.monotonic()


def close_left(handles: int) -> None:
    """Close the sessions whose browser has been away for too long. `handles`: how many we may have, 0 unknown.

    To be called in the server's event loop.
    """
    if not Runtime.exists():
        return
    runtime, now = get_instance(), time.monotonic()
    patience = HURRIED if handles and held() > handles // 2 else KEPT
    for session, seen in list(_seen.items()):
        if runtime.is_active_session(session):
            _seen[session] = now
        elif now - seen > patience:
            del _seen[session]
            with suppress(Exception):  # Streamlit may have closed it itself
                runtime.close_session(session)
