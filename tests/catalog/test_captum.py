"""What is offered of Captum and what is not: the list is compared with captum.attr itself and with the catalog."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import captum.attr
from captum.attr import Attribution

from core.catalog.attribution._captum import NO_METHOD, NOT_OFFERED, OFFERED
from core.catalog.entries import CONTROL
from core.spec import registry


def test_every_public_name_of_captum_is_offered_or_has_a_reason_or_is_no_method() -> None:
    assert set(captum.attr.__all__) == {*OFFERED, *NOT_OFFERED, *NO_METHOD}
    assert len(captum.attr.__all__) == len(OFFERED) + len(NOT_OFFERED) + len(NO_METHOD), "each in one list"
    assert all(re.search(r"\w.*\.$", reason) for reason in NOT_OFFERED.values())


def test_what_is_no_method_explains_nothing() -> None:
    bases = {"Attribution", "GradientAttribution", "PerturbationAttribution", "LayerAttribution", "NeuronAttribution"}
    for name in NO_METHOD - bases:
        one = getattr(captum.attr, name)
        assert not (inspect.isclass(one) and issubclass(one, Attribution)), name


def test_every_method_of_the_catalog_is_a_control_or_stands_for_a_class_of_captum() -> None:
    methods = {method.name for method in registry.METHODS if method.family != CONTROL}
    assert {name for names in OFFERED.values() for name in names} == methods


def test_the_readme_does_not_claim_more() -> None:
    text = " ".join((Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8").split())
    claim = re.search(r"(\d+) of Captum's (\d+) classes of attribution", text)
    assert claim is None or tuple(map(int, claim.groups())) == (len(OFFERED), len(OFFERED) + len(NOT_OFFERED))
