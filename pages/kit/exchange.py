"""An experiment as a link and as a file."""

from __future__ import annotations

import json

import streamlit as st

from core.spec import specs
from core.spec.options import SpecError
from core.spec.quoting import parsed, quoted
from core.spec.specs import Experiment
from pages.kit import forms, location, setup
from pages.kit.setup import Asked
from pages.kit.words import _


def write_link(asked: Asked) -> bool:
    """Keep what the form asks for in the address, so that reloading and sharing bring it back; False: it is too long.

    The experiment's file carries what no link can.
    """
    try:
        link = specs.to_link(asked.experiment)
    except SpecError:
        link = {}
    if setup.own_layers() == ():
        link["layers"] = setup.NOTHING
    stands = location.address()
    kept = {k: v for k, v in stands.items() if not _of_form(k)}
    if stands != kept | link:
        st.query_params.from_dict(kept | link)
    return bool(link)


def _of_form(name: str) -> bool:
    return name in ("v", "model", "data", "layers") or name.startswith(("model.", "data.", "train."))


def file_corner(asked: Asked) -> None:
    """The experiment as a file: down and up."""
    text = json.dumps(specs.to_json(asked.experiment), indent=1)
    st.download_button(
        _("Download the experiment"),
        text,
        f"{asked.experiment.model.architecture}.json",
        "application/json",
        icon=":material/download:",
        on_click="ignore",
        width="stretch",
    )
    st.file_uploader(_("Open an experiment's file"), key="setup.file", on_change=_opened, max_upload_size=1)
    file = st.session_state.get("setup.file")
    if file is not None:
        error = _read(file.getvalue())[1]
        if error:
            forms.mistake(error)


def _opened() -> None:
    file = st.session_state.get("setup.file")
    made = _read(file.getvalue())[0] if file is not None else None
    if made:
        setup.fill(made)


def _read(data: bytes) -> tuple[Experiment | None, str]:
    try:
        return specs.experiment_from_json(parsed(data)), ""
    except SpecError as error:
        text = _("The file was left aside. {field}: {message}")
        return None, text.format(field=quoted(error.field), message=error.message)
    except (ValueError, RecursionError):
        return None, _("The file was left aside: it is not readable JSON. An experiment's file begins with {.")
