"""Runs wrong calls of the command line in this process, which may load nothing heavy: `python tests/refusals.py`.

Reads a JSON list of lists of words; prints for each {"code", "out", "err", "loaded"}, where `loaded` is the first heavy
module that the call wanted. A module that was wanted is not loaded, so that the next call begins as clean.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import io
import json
import sys

HEAVY = ("torch", "torchvision", "captum", "sklearn", "skimage", "scipy", "pandas", "matplotlib", "streamlit", "plotly")


class Heavy(BaseException):
    """Something heavy was wanted."""


class _Refusing(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, _path: object = None, _target: object = None) -> None:
        if name.partition(".")[0] in HEAVY:
            raise Heavy(name)


def main() -> None:
    """Every call, one after the other."""
    sys.meta_path.insert(0, _Refusing())
    from core import cli

    told = []
    for words in json.load(sys.stdin):
        out, err, loaded, code = io.StringIO(), io.StringIO(), "", None
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = cli.main(words)
            except Heavy as wanted:
                loaded = str(wanted)
        told.append({"code": code, "out": out.getvalue(), "err": err.getvalue(), "loaded": loaded})
    assert not [name for name in sys.modules if name.partition(".")[0] in HEAVY]
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
