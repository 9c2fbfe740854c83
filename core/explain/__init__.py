"""Attribution methods behind one call: fit before run, a private copy, its own seed, and proof on every result."""

from core.explain.asking import explain, fits
from core.explain.attribute import attribute
from core.explain.case import Case, Result, Target, Withheld, case_of
from core.explain.script import reproduction

__all__ = ["Case", "Result", "Target", "Withheld", "attribute", "case_of", "explain", "fits", "reproduction"]
