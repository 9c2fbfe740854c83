"""Attribution methods behind one call: fit before run, a private copy, its own seed, and proof on every result."""

from core.worker.explain.attribute import attribute
from core.worker.explain.explained_case import Case, Result, Target, Withheld, case_of
from core.worker.explain.questions import explain, fits
from core.worker.explain.script import reproduction

__all__ = ["Case", "Result", "Target", "Withheld", "attribute", "case_of", "explain", "fits", "reproduction"]
