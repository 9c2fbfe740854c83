"""A network is built from nothing, broken, mended and trained; all of it can be done by the keyboard."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.browser.conftest import Site, expect, press, status, until_begun, until_step

pytestmark = pytest.mark.browser
SHAPE = ".lb-layer[data-name={name}] .lb-c2"


def until_layers(page: Any, names: list[str]) -> None:
    """Wait until the stack has just these rows, drawn by Python."""
    found = "[...document.querySelectorAll('.lb-layer')].map(row => row.dataset.name).join()"
    page.wait_for_function(f"names => {found} === names", arg=",".join(names))


def add(page: Any, words: str, names: list[str]) -> None:
    """Add a layer by typing its name, as everybody can."""
    choice = page.locator(".st-key-build-add input")
    choice.click()
    choice.fill(words)
    page.keyboard.press("Enter")
    until_layers(page, names)


def set_option(page: Any, label: str, value: int) -> None:
    """Type a number into a field of the open layer."""
    field = page.get_by_role("spinbutton", name=label)
    field.fill(str(value))
    field.press("Enter")


def shape(page: Any, name: str, wanted: str) -> None:
    """Wait until the layer's row says that this comes out of it."""
    page.locator(SHAPE.format(name=name)).get_by_text(wanted, exact=True).wait_for()


def test_build_from_nothing_break_it_mend_it_train_it(page: Any, site: Site) -> None:
    page.goto("/build-model?train.steps=1000000")
    shape(page, "conv1", "16×28×28")
    press(page, "Clear")
    page.get_by_text("Add the first layer below.").wait_for()
    expect(page.get_by_role("button", name="Train this")).to_be_disabled()
    add(page, "convolution", ["conv1"])
    add(page, "max pooling", ["conv1", "max_pool1"])
    add(page, "flatten", ["conv1", "max_pool1", "flatten1"])
    add(page, "linear", ["conv1", "max_pool1", "flatten1", "linear1"])
    page.get_by_role("button", name=re.compile("Mend it: put a ReLU and a linear layer of 10 features")).click()
    shape(page, "linear2", "10")
    page.locator(".lb-layer[data-name=conv1]").click()
    page.get_by_text("conv1 · convolution").wait_for()
    set_option(page, "kernel", 31)
    page.get_by_text(re.compile("needs at least 29×29 pixels, but gets 28×28")).wait_for()
    page.wait_for_function("!document.querySelector('[data-testid=stBaseButton-primary]:not([disabled])')")
    page.get_by_role("button", name=re.compile("Mend it: set padding to 2")).click()
    page.locator(".lb-fault").wait_for(state="detached")
    shape(page, "conv1", "16×2×2")
    page.wait_for_function("new URL(location).searchParams.get('layers')?.includes('\"kernel\":31')")
    page.reload()
    until_layers(page, ["conv1", "max_pool1", "flatten1", "linear1", "relu1", "linear2"])
    before = len(site.store.runs())
    press(page, "Train this")
    run = until_begun(page, site, before)
    until_step(page, 5)
    kinds = [layer.kind for layer in run.experiment().model.layers]
    assert kinds == ["conv", "max_pool", "flatten", "linear", "relu", "linear"]
    press(page, "Stop")
    status(page, "stopped")


def test_the_keyboard_alone_builds(page: Any, site: Site) -> None:
    page.goto("/build-model?model=mlp&layer=linear1")
    until_layers(page, ["flatten", "linear1", "relu1", "head"])
    for _press in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.classList.contains('lb-layer')"):
            break
    page.keyboard.press("ArrowDown")
    page.get_by_text("relu1 · ReLU").wait_for()
    page.keyboard.press("Alt+ArrowUp")
    until_layers(page, ["flatten", "relu1", "linear1", "head"])
    assert page.evaluate("document.activeElement.dataset.name") == "relu1"
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")  # copy
    until_layers(page, ["flatten", "relu1", "relu2", "linear1", "head"])
    page.keyboard.press("Delete")
    until_layers(page, ["flatten", "relu1", "linear1", "head"])
    picture = page.locator(".lb-picture button[aria-pressed=true]")
    picture.focus()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.get_by_text("head · linear").wait_for()
    page.wait_for_url(re.compile("layer=head"))
    press(page, "Undo")
    until_layers(page, ["flatten", "relu1", "relu2", "linear1", "head"])


@pytest.mark.slow
def test_a_deep_network_is_quick_to_walk_and_to_change(page: Any, site: Site) -> None:
    page.goto("/build-model?model=resnet110&data=digits")
    page.wait_for_function("document.querySelectorAll('.lb-layer').length === 59")
    page.locator(".lb-layer[data-name=conv1]").click()
    page.keyboard.press("End")
    page.get_by_text("head · linear").wait_for()
    page.wait_for_function(  # asked again until the stack has been drawn anew
        """() => {
          const row = document.querySelector(".lb-layer[data-name=head]")?.getBoundingClientRect();
          const stack = document.querySelector(".lb-stack")?.getBoundingClientRect();
          return row && stack && row.height > 0 && row.bottom <= stack.bottom + 1;
        }"""
    )
    page.keyboard.press("Alt+ArrowUp")
    page.locator(".lb-fault").wait_for()


@pytest.mark.slow
def test_samples_of_a_data_set_are_seen(page: Any, site: Site) -> None:
    page.goto("/build-data?data=shapes")
    page.locator(".ll-samples img").nth(23).wait_for()
    page.get_by_text(re.compile("training 1,")).or_(page.get_by_text(re.compile(r"training \d"))).first.wait_for()
    page.locator(".js-plotly-plot").wait_for()  # the class counts; it stands alone
