"""Names that Plotly draws letter by letter.

Plotly reads tags (`<b>`, `<a href=…>`), entities (`&lt;`) and places (`%{x}`) in every text of a figure: names, ticks,
titles, what the pointer shows. So each function that makes a figure escapes every text that it is given (`literal`);
tags that are meant are written inside, or given as Markup.
"""

from __future__ import annotations

import functools
import html
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, ParamSpec, TypeVar

import numpy as np

from core.spec.quoting import visible

_P = ParamSpec("_P")
_R = TypeVar("_R")


class Markup(str):
    """A text whose tags and places are meant."""

    __slots__ = ()


def escaped(text: str) -> Markup:
    """The text as Plotly draws it letter by letter."""
    return Markup(html.escape(visible(text), quote=False).replace("%{", "%&#123;"))


def unescaped(value: Any) -> Any:
    """What a clicked point says, as it was before `escaped`."""
    if isinstance(value, str):
        return html.unescape(value)
    return [unescaped(one) for one in value] if isinstance(value, list) else value


def literal(draw: Callable[_P, _R]) -> Callable[_P, _R]:
    """Have a function that makes a figure escape all texts in its arguments, however deep they stand."""

    @functools.wraps(draw)
    def drawn(*args: _P.args, **more: _P.kwargs) -> _R:
        return draw(*(_inside(one) for one in args), **{name: _inside(one) for name, one in more.items()})

    return drawn


def _inside(value: Any) -> Any:
    if isinstance(value, str):
        return value if isinstance(value, Markup) or value.startswith("data:image/") else escaped(value)
    if isinstance(value, Mapping):
        return {_inside(key): _inside(one) for key, one in value.items()}
    if isinstance(value, np.ndarray):
        return _array(value) if value.dtype.kind in "UO" else value
    if is_dataclass(value) and not isinstance(value, type):
        return _remade(value)
    if isinstance(value, list | tuple | set | frozenset) and not hasattr(value, "_fields"):
        return value if all(isinstance(one, int | float) for one in value) else type(value)(map(_inside, value))
    return value


def _array(values: np.ndarray) -> np.ndarray:
    made = values.astype(object)  # a copy
    for place, one in np.ndenumerate(values):
        made[place] = _inside(one)
    return made


def _remade(value: Any) -> Any:
    return replace(value, **{f.name: _inside(getattr(value, f.name)) for f in fields(value) if f.init})
