"""What every question to the engine is: a dataclass that names the function which answers it."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from typing import Any, ClassVar, Generic, Self, TypeVar, get_args, get_origin

from core.spec.quoting import one_line

A_co = TypeVar("A_co", covariant=True)


@dataclass(frozen=True)
class Question(Generic[A_co]):
    """Something that a worker is asked; its answer is an A_co.

    A new question is one dataclass in core.spec.questions, and one function, which `handler` names by address:
    (question, send) → the answer, where `send(fraction, words, part=None)` tells how far it is. The handler belongs to
    the class and is no field: who sends a question chooses what is asked, never what runs.
    """

    handler: ClassVar[str]

    def placed(self, runs: str) -> Self:
        """The question as a worker gets it: `runs` is the folder of runs, which a worker does not know by itself."""
        return self

    def line(self) -> str:
        """What is asked, in one line for a log: every field that is not as usual, shortened."""
        told = [type(self).__name__]
        for known in fields(self):
            value = getattr(self, known.name)
            if known.name != "runs" and value != _usual(known):
                told.append(f"{known.name}={_brief(value)}")
        return " ".join(told)


@dataclass(frozen=True)
class OfRuns:
    """What every question about a run carries. Named before Question among the bases."""

    runs: str = field(default="", kw_only=True)  # the runs folder; the engine fills it in
    data_dir: str = field(default="", kw_only=True)  # where a run that does not say has its data; "": as the engine

    def placed(self, runs: str) -> Self:
        """See Question.placed."""
        return replace(self, runs=runs)


def _usual(known: Any) -> Any:
    return known.default_factory() if known.default_factory is not MISSING else known.default


def _brief(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(_brief, value[:8]))
    if is_dataclass(value):
        return one_line(str(getattr(value, "name", getattr(value, "architecture", type(value).__name__))), 40)
    return one_line(str(value), 40)


def answer_of(kind: type[Question[Any]]) -> Any:
    """The type of a question's answer: A of Question[A]."""
    (base,) = [base for base in vars(kind)["__orig_bases__"] if get_origin(base) is Question]
    return get_args(base)[0]
