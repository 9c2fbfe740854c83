"""Options: coerced to their type, and refused in sentences."""

from __future__ import annotations

import math
import pickle
from dataclasses import dataclass
from typing import Any

import pytest

from core.spec.options import Options, SpecError, changed, declared, option


@dataclass(frozen=True)
class Conv(Options):
    """Options to try the rules on."""

    maps: int = option(8, "Feature maps.", low=1, high=1_000_000, unit="maps")
    share: float = option(0.5, "Share.", low=0.0, unit="of all")
    pad: str = option("same", "Padding.", choices=("same", "none"))
    bias: bool = option(True, "Bias.")
    sizes: tuple[int, ...] = option((3, 3), "Sizes.", low=1, high=9, unit="pixels")


@pytest.mark.parametrize(
    ("field", "given", "stands"),
    [
        ("maps", 16.0, 16),
        ("maps", "16", 16),
        ("share", 1, 1.0),
        ("share", "0.25", 0.25),
        ("bias", "no", False),
        ("bias", "True", True),
        ("bias", 0, False),
        ("sizes", "3,5", (3, 5)),
        ("sizes", "3x5", (3, 5)),
        ("sizes", [3, 5.0], (3, 5)),
    ],
)
def test_a_value_becomes_its_declared_type(field: str, given: Any, stands: Any) -> None:
    value = getattr(Conv(**{field: given}), field)
    assert value == stands and type(value) is type(stands)


def test_equal_values_make_equal_options_with_one_hash() -> None:
    assert Conv(maps=8.0, share=1, sizes=[3, 3]) == Conv(maps=8, share=1.0)  # type: ignore[arg-type]
    assert hash(Conv(share=1)) == hash(Conv(share=1.0))
    assert math.copysign(1, Conv(share=-0.0).share) == 1


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("maps", 0, "maps = 0 is out of range: it must be between 1 and 1,000,000 maps."),
        ("share", -0.5, "share = -0.5 is out of range: it must be at least 0 of all."),
        ("sizes", (3, 99), "sizes = 99 is out of range: it must be between 1 and 9 pixels."),
        ("share", math.nan, "share = nan is out of range: it must be at least 0 of all."),
        ("share", math.inf, "share = inf is out of range: it must be at least 0 of all."),
        ("maps", 1.5, "maps must be a whole number, not 1.5."),
        ("maps", True, "maps must be a whole number, not True."),
        ("maps", None, "maps must be a whole number, not None."),
        ("maps", "1e999", "maps must be a whole number, not '1e999'."),
        ("share", "much", "share must be a number, not 'much'."),
        ("share", False, "share must be a number, not False."),
        ("bias", "perhaps", "bias must be true or false, not 'perhaps'."),
        ("pad", 3, "pad must be a word, not 3."),
        ("pad", "valid", "pad must be one of same, none, not 'valid'."),
        ("sizes", (), "sizes must be whole numbers with commas between them, at most 64, not ()."),
        ("sizes", {"a": 1}, "sizes must be whole numbers with commas between them, at most 64, not {'a': 1}."),
    ],
)
def test_a_wrong_value_is_refused_in_a_sentence_with_field_range_and_unit(
    field: str, value: Any, sentence: str
) -> None:
    with pytest.raises(SpecError) as caught:
        Conv(**{field: value})
    assert caught.value.field == field
    assert caught.value.message == sentence


def _bomb(depth: int) -> Any:
    value: Any = 1
    for _level in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("field", ["maps", "share", "pad", "bias", "sizes"])
@pytest.mark.parametrize("value", ["9" * 100_000, [1] * 100_000, _bomb(900), 10**5000, -(10**400)], ids=type)
def test_a_monstrous_value_is_refused_in_a_short_sentence(field: str, value: Any) -> None:
    with pytest.raises(SpecError) as caught:
        Conv(**{field: value})
    assert len(caught.value.message) < 250


def test_a_refusal_crosses_process_walls() -> None:
    error = pickle.loads(pickle.dumps(SpecError("lr", "lr is odd.")))
    assert (error.field, error.message) == ("lr", "lr is odd.")


def test_options_know_their_fields_and_what_was_changed() -> None:
    assert list(declared(Conv)) == ["maps", "share", "pad", "bias", "sizes"]
    kind, default, known = declared(Conv)["maps"]
    assert (kind, default, known.low, known.unit) == (int, 8, 1, "maps")
    assert changed(Conv(maps=9)) == {"maps": 9}
