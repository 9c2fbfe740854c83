"""Every question has one function that answers it, of the types that it declares."""

from __future__ import annotations

import dataclasses
from typing import Any, get_type_hints

import numpy as np
import pytest

from core.spec import questions, registry
from core.spec.options import SpecError
from core.spec.question_base import Question, answer_of
from core.worker import answers


@pytest.mark.parametrize("kind", questions.kinds(), ids=lambda kind: kind.__name__)
def test_a_question_is_answered_by_a_function_of_its_own_types(kind: type[Question[Any]]) -> None:
    handler = registry.load(kind.handler)
    types = get_type_hints(handler, localns={"np": np})
    answer = answer_of(kind)
    assert types.pop("return") in (answer, type(answer))  # None is written for its type
    assert types.popitem()[1] == answers.Send and list(types.values()) == [kind]


@pytest.mark.parametrize("kind", questions.kinds(), ids=lambda kind: kind.__name__)
def test_who_sends_a_question_does_not_choose_what_runs(kind: type[Question[Any]]) -> None:
    assert "handler" not in {known.name for known in dataclasses.fields(kind)}


def test_what_is_no_question_is_refused_in_words() -> None:
    with pytest.raises(SpecError, match="str is no question"):
        answers.answer("os:getcwd", print)  # type: ignore[arg-type]
