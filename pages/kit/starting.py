"""Starting a run, from whichever page it is asked for."""

from __future__ import annotations

from streamlit.runtime.scriptrunner import get_script_run_ctx

from core.engine.protocol import EngineError
from core.spec.specs import Experiment
from pages.kit import boundary, location, visitors
from pages.kit import engine as doors


def start(experiment: Experiment) -> None:
    """Start a run and make it the current one. A second click within two seconds is the same run.

    A button's callback: what is written into the address before a rerun that the script itself asks for gets lost.
    """
    context = get_script_run_ctx()
    with boundary.answered(gone=None):
        if fault := visitors.file_fault(getattr(experiment.data.options, "path", "")):
            raise EngineError(fault)  # the form says it, too; a click may come from one that was drawn before
        location.choose(doors.engine().start(experiment, token=context.session_id if context else ""))
