"""The page of the attack, with a worker's real answers."""

from __future__ import annotations

import numpy as np
import pytest

from pages.explain import attack
from tests.pages.conftest import Drawn, Made, Visit, said


def test_a_picture_its_change_and_what_comes_of_it(visit: Visit, made: Made, drawn: Drawn) -> None:
    at = visit("explain_attack", run=made("cnn", "digits").id, sample="3")
    assert {"attack.sample", "attack.answers", "attack.sizes", "attack.maps"} <= set(drawn)
    original, change, attacked = drawn["attack.sample"]["fig"].data
    moved = np.array(attacked.z)[..., 0].astype(int) - np.array(original.z)[..., 0].astype(int)
    assert np.array_equal(moved, np.array(change.z)) and moved.any()
    assert change.zmax == np.abs(moved).max() == -change.zmin
    titles = [note.text for note in drawn["attack.sample"]["fig"].layout.annotations]
    assert titles[1] == f"change, {max(1.0, 127 / np.abs(moved).max()):.0f} times as strong"
    assert "grey levels turns the answer" in said(at).replace("\\", "") and "rank correlation" in said(at)
    assert drawn["attack.maps"]["fig"].data[0].zmax == drawn["attack.maps"]["fig"].data[1].zmax
    at.segmented_control(key="look.beneath").set_value("table").run()
    assert len(at.dataframe[0].value) == 10 and not at.exception


@pytest.mark.slow
def test_tokens_are_struck_through_and_have_their_own_options(visit: Visit, made: Made, drawn: Drawn) -> None:
    at = visit("explain_attack", run=made("transformer", "order", **{"train.steps": 60}).id, sample="3")
    keys = {str(widget.key) for kind in (at.number_input, at.selectbox, at.text_input) for widget in kind}
    assert "look_attack.tokens" in keys and not {"look_attack.norm", "look_attack.steps"} & keys
    html = "".join(str(block.body) for block in at.get("html"))
    assert "<del>" in html and "<ins>" in html
    assert any("→" in name for name in drawn["attack.maps"]["fig"].layout.xaxis.ticktext)


def test_points_are_bars_and_one_step_has_no_steps(visit: Visit, made: Made, drawn: Drawn) -> None:
    at = visit("explain_attack", run=made("mlp", "points", **{"data.samples": 200}).id)
    assert len(drawn["attack.sample"]["fig"].data) == 2
    at.selectbox(key="look_attack.method").set_value("fgsm").run()
    assert not any(str(one.key) == "look_attack.steps" for one in at.number_input) and not at.exception


def test_a_class_that_is_none_is_a_sentence(visit: Visit, made: Made) -> None:
    at = visit("explain_attack", run=made("mlp", "digits").id)
    at.text_input(key="look_attack.toward").set_value("cat").run()
    assert "is no class" in said(at).replace("\\", "") and not at.exception


def test_a_number_cannot_be_turned(visit: Visit, made: Made) -> None:
    at = visit("explain_attack", run=made("gru", "adding", **{"data.samples": 100, "model.hidden": 8}).id)
    assert "one class" in said(at)


def test_colours_and_long_names() -> None:
    colour = attack.pixels(np.full((3, 2, 4), 300.0))
    assert colour.shape == (2, 4, 3) and colour.dtype == np.uint8 and colour.max() == 255
    assert attack.flat(np.stack([np.ones((2, 2)), 3 * np.ones((2, 2))])).tolist() == [[2, 2], [2, 2]]
    assert attack.flat(np.zeros((5, 3))).shape == (3, 5)
    assert attack.plain_name("a" * 20) == "a" * 13 + "…"
