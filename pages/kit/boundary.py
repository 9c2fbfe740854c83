"""Where what goes wrong on a page becomes a sentence. A traceback goes to the log, never to the page."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import streamlit as st

from core.engine.protocol import EngineError, EngineGone
from core.options import SpecError
from core.store.files import StoreError
from pages.kit import engine as doors
from pages.kit.words import _, plain

log = logging.getLogger("layerlab.web")
RETRY = 1.5  # seconds between two tries to reach the engine again


@contextmanager
def answered(*, gone: bool | None = True) -> Iterator[None]:
    """Show as a sentence what goes wrong inside. Streamlit's own reruns and stops are no Exceptions and pass.

    gone=False hands EngineGone on, for a part of a page whose page knows what to do about it; gone=None says nothing
    of it, for a callback, after which the page runs into it itself.
    """
    try:
        yield
    except EngineGone:
        if gone is False:
            raise
        log.warning("The engine cannot be reached.")
        if gone:
            _engine_gone()
    except (EngineError, StoreError, SpecError) as error:
        log.info("Told to the learner: %s", error)
        st.error(plain(str(error)), icon=":material/error:")
    except Exception as error:
        code = secrets.token_hex(3)
        log.exception("A page failed, code %s: %s", code, error)
        text = _("Something went wrong here, and it is our fault: code {code}, written to the log. Reload to go on.")
        st.error(text.format(code=code), icon=":material/error:")


def run(page: Callable[[], None]) -> None:
    """Run a page inside the boundary."""
    with answered():
        page()


def _engine_gone() -> None:
    since = time.monotonic()

    @st.fragment(run_every=RETRY)
    def again() -> None:
        st.warning(_("The engine stopped; it is being started again…"), icon=":material/sync:")
        if time.monotonic() - since > RETRY / 2:  # not while the page that has just failed is still being drawn
            with suppress(EngineError):
                doors.engine().status()  # the door has started another by then
                st.rerun(scope="app")

    again()
