"""Options: frozen dataclasses whose fields know their range, their unit and one line of help.

Forms, command-line flags, experiment files and links are all drawn from the same fields, so a value that is
out of range is refused with the same sentence everywhere.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, get_type_hints

from core.spec.quoting import clean, shown
from core.spec.sentences import Sentence, _

__all__ = ["Option", "Options", "SpecError", "_", "changed", "coerce", "declared", "option"]


class SpecError(ValueError):
    """What was asked for cannot be; `field` names the place, the text says what is wrong and what would do."""

    def __init__(self, field_name: str, message: str) -> None:
        super().__init__(message)
        self.field = field_name
        self.message = message

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.field, self.message)


NETWORK, DATA = "network", "data"


@dataclass(frozen=True)
class Option:
    """What is known of one field besides its type and default."""

    help: str
    label: str = ""
    low: float | None = None
    high: float | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()
    log: bool = False  # a slider for it is logarithmic
    slider: bool = False  # moved to see what happens, rather than typed
    group: str = ""  # fields of one group stand together under its name
    auto: str = ""  # what it means that nobody has chosen, which `low` stands for
    applies: Callable[[Any], bool] | None = None  # given the options: does this field matter?
    place_in: str = ""  # NETWORK or DATA: it names a place in one of them, and would mean something else in another


def option(  # noqa: PLR0913 (all but two are by keyword)
    default: Any,
    help: str,
    *,
    label: str = "",
    low: float | None = None,
    high: float | None = None,
    unit: str = "",
    choices: tuple[str, ...] = (),
    log: bool = False,
    slider: bool = False,
    group: str = "",
    auto: str = "",
    applies: Callable[[Any], bool] | None = None,
    place_in: str = "",
) -> Any:
    """A field of an Options class."""
    known = Option(help, label, low, high, unit, choices, log, slider, group, auto, applies, place_in)
    return field(default=default, metadata={"option": known})


@dataclass(frozen=True)
class Options:
    """Base of all options: values are coerced to the declared type and checked when the object is made."""

    def __post_init__(self) -> None:
        for name, (kind, _default, known) in declared(type(self)).items():
            object.__setattr__(self, name, coerce(name, kind, getattr(self, name), known))


_declared: dict[type, dict[str, tuple[Any, Any, Option]]] = {}  # resolving type hints was a quarter of a page's rerun


def declared(cls: type) -> dict[str, tuple[Any, Any, Option]]:
    """name → (type, default, Option) of every option field of `cls`, in order. To be read, not changed."""
    if cls not in _declared:
        hints = get_type_hints(cls)
        _declared[cls] = {
            f.name: (hints[f.name], f.default, f.metadata["option"]) for f in fields(cls) if "option" in f.metadata
        }
    return _declared[cls]


def coerce(name: str, kind: Any, value: Any, known: Option) -> Any:
    """`value` as the declared type, or SpecError in words. 1, 1.0 and "1" are one value of an int field."""
    wanted = _words(kind)
    try:
        value = _cast(kind, value)
    except (TypeError, ValueError, OverflowError):
        text = Sentence("{name} must be {wanted}, not {value}.", name=name, wanted=wanted, value=shown(value))
        raise SpecError(name, text) from None
    if known.choices and value not in known.choices:
        text = Sentence(
            "{name} must be one of {choices}, not {value}.", name=name, choices=known.choices, value=shown(value)
        )
        raise SpecError(name, text)
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, bool) or not isinstance(number, int | float):
            continue
        too_low = known.low is not None and number < known.low
        too_high = known.high is not None and number > known.high
        if too_low or too_high or not math.isfinite(number):
            text = Sentence(
                "{name} = {value} is out of range: {range}.", name=name, value=shown(number), range=_range(known)
            )
            raise SpecError(name, text)
    return value


def _cast(kind: Any, value: Any) -> Any:
    known = _CASTS.get(kind)
    return known(value) if known else value


_TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() not in _TRUTH:
        raise ValueError
    return _TRUTH[str(value).lower()]


def _int(value: Any) -> int:
    number = _float(value)
    if number != int(number):
        raise ValueError
    return value if isinstance(value, int) else int(number)


def _float(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError
    return float(value) + 0.0  # -0.0 equals 0.0 and must have its text, too


def _str(value: Any) -> str:
    if not isinstance(value, str) or clean(value) != value:  # what is no text can be neither kept nor sent
        raise ValueError
    return value


def _ints(value: Any) -> tuple[int, ...]:
    parts = value.replace("x", ",").split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not 0 < len(parts) <= 64:
        raise ValueError
    return tuple(_int(part) for part in parts)


_CASTS: dict[Any, Callable[[Any], Any]] = {
    bool: _bool,
    int: _int,
    float: _float,
    str: _str,
    tuple[int, ...]: _ints,
}


def _words(kind: Any) -> str:
    names = {int: _("a whole number"), float: _("a number"), bool: _("true or false"), str: _("a word")}
    return names.get(kind, _("whole numbers with commas between them, at most 64"))


def _range(known: Option) -> str:
    low, high = (None if end is None else _number(end, known.unit) for end in (known.low, known.high))
    if low and known.high is not None:
        return Sentence("it must be between {low} and {high}", low=_number(known.low or 0, ""), high=high)
    if low:
        return Sentence("it must be at least {low}", low=low)
    return Sentence("it must be at most {high}", high=high) if high else _("it must be a finite number")


def _number(value: float, unit: str) -> Sentence:
    whole = value == int(value) and abs(value) < 1e12
    number = Sentence("{n:,.0f}", n=value) if whole else Sentence("{n:g}", n=value)
    return Sentence("{number} {unit}", number=number, unit=unit) if unit else number


def changed(options: Any) -> dict[str, Any]:
    """The fields that differ from their defaults."""
    return {
        f.name: getattr(options, f.name) for f in dataclasses.fields(options) if getattr(options, f.name) != f.default
    }
