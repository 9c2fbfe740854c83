"""Where what goes wrong on a page becomes a sentence. A traceback goes to the log, never to the page."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import streamlit as st

from core.engine.protocol import EngineError, EngineGone
from core.spec.options import SpecError
from core.store.files import StoreError
from pages.kit import trouble
from pages.kit.words import _, fill, plain

log = logging.getLogger("layerlab.web")


@contextmanager
def answered(*, gone: bool | None = True) -> Iterator[None]:
    """Show as a sentence what goes wrong inside. Streamlit's own reruns and stops are no Exceptions and pass.

    EngineGone is told at the top of the page (pages.kit.trouble). gone=False hands it on, for a part of a page whose
    page knows what to do about it; gone=None is for a callback: what was pressed was not done, which is told, too.
    """
    try:
        yield
    except EngineGone as error:
        if gone is False:
            raise
        log.warning("The engine cannot be reached: %s", error)
        trouble.met(error, pressed=gone is None)
    except (EngineError, StoreError, SpecError) as error:
        log.info("Told to the learner: %s", error)
        st.error(plain(str(error)), icon=":material/error:")
    except Exception as error:
        code = secrets.token_hex(3)
        log.exception("A page failed, code %s: %s", code, error)
        text = _("Something went wrong here, and it is our fault: code {code}, written to the log. Reload to go on.")
        st.error(fill(text, code=code), icon=":material/error:")


def run(page: Callable[[], None]) -> None:
    """Run a page inside the boundary."""
    with answered():
        page()
