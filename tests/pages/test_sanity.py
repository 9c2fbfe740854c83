"""The page of the sanity check, with a worker's real answers."""

from __future__ import annotations

import numpy as np
import pytest
import streamlit as st

from pages.explain import sanity
from tests.pages.conftest import Drawn, Made, Visit, said
from tests.pages.fake_engine import FakeEngine
from tests.worker.look.conftest import ask


def test_the_slider_changes_the_map_and_the_mark_and_asks_nothing(
    visit: Visit, made: Made, drawn: Drawn, fake: FakeEngine
) -> None:
    at = visit("explain_sanity", run=made("cnn", "digits").id)
    slider = at.select_slider(key="sanity.depth")
    assert slider.value == 5 and "Randomised: head, norm2, conv2, norm1, conv1" in said(at).replace("\\", "")
    trained, last = (np.array(drawn[f"sanity.map.{name}"]["fig"].data[0].z) for name in ("trained", "changed"))
    assert not np.allclose(trained, last)
    asked = len(fake.asked)
    slider.set_value(0).run()
    assert not at.exception and len(fake.asked) == asked
    assert "nothing randomised" in said(at) and "Randomised: none" in said(at).replace("\\", "")
    np.testing.assert_array_equal(drawn["sanity.map.changed"]["fig"].data[0].z, trained)
    assert drawn["sanity.curve"]["fig"].layout.shapes[0].x0 == 0
    slider.set_value(2).run()
    assert "2 randomised, seed 0: correlation" in said(at).replace("\\", "")
    assert "Randomised: head, norm2. Still as trained: conv2, norm1, conv1" in said(at).replace("\\", "")


def test_the_verdict_is_said(visit: Visit, made: Made, drawn: Drawn) -> None:
    run = made("cnn", "digits").id
    at = visit("explain_sanity", run=run)
    at.selectbox(key="look_sanity.method").set_value("edge_filter").run()
    assert "does not depend on the model" in said(at) and not at.exception
    assert "Rank correlation" in drawn["sanity.curve"]["alt"]
    at.segmented_control(key="look.beneath").set_value("table").run()
    table = at.dataframe[0].value
    assert len(table) == 6 and (table["mean correlation"] > 0.99).all()


@pytest.mark.slow
def test_every_form_of_data_is_drawn(visit: Visit, made: Made, drawn: Drawn) -> None:
    at = visit("explain_sanity", run=made("transformer", "order").id)
    bars = drawn["sanity.map.trained"]["fig"].data[0]
    assert bars.type == "bar" and len(bars.y) == 16 and not at.exception
    at = visit("explain_sanity", run=made("mlp", "points", **{"data.samples": 200}).id)
    assert list(drawn["sanity.map.trained"]["fig"].data[0].x) == ["feature 0", "feature 1"]
    assert "too few values" in said(at)
    at = visit("explain_sanity", run=made("gru", "adding", **{"data.samples": 100, "model.hidden": 8}).id)
    assert drawn["sanity.map.trained"]["fig"].data[0].type == "heatmap" and not at.exception


@pytest.mark.slow
def test_a_depth_that_another_network_does_not_have_becomes_its_last(visit: Visit, made: Made, drawn: Drawn) -> None:
    first, other = made("cnn", "digits").id, made("lstm", "digits").id
    at = visit("explain_sanity", run=first)
    assert at.select_slider(key="sanity.depth").value == 5
    at.query_params["run"] = other
    at.run()
    assert at.select_slider(key="sanity.depth").value == 2 and not at.exception


def test_a_method_that_gives_no_map_with_some_weights_says_so(visit: Visit, made: Made, fake: FakeEngine) -> None:
    run = made("mlp", "digits")
    seen = ask(run, "sanity", method="saliency")
    seen.arrays["maps"][-1] = np.nan
    seen.arrays["correlation"][-1] = np.nan
    fake.look = lambda _question: seen
    at = visit("explain_sanity", run=run.id)
    assert "the method gives no map" in said(at) and "correlation not defined" in said(at).replace("\\", "")


def test_a_clicked_point_of_the_curve_is_its_depth() -> None:
    sanity._clicked({"customdata": 3})
    assert st.session_state["sanity.depth"] == 3
    sanity._clicked({"customdata": None})
    assert st.session_state["sanity.depth"] == 3
    del st.session_state["sanity.depth"]
