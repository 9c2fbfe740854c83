"""What the pages that look inside share: the left column, the moment, the sentences where there is nothing to show."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.catalog.entries import View
from core.spec import drawings, events, registry, specs
from core.spec.events import Snapshot
from core.spec.questions import Look, Seen
from core.spec.specs import DataSpec
from core.store import Run, Store
from pages.kit import look
from tests.pages.conftest import Made, Visit, said
from tests.pages.fake_engine import FakeEngine


@pytest.fixture
def run(made: Made) -> Run:
    """A small trained run, with the real answers of a worker."""
    return made("mlp")


def slider(at: AppTest) -> Any:
    return next(one for one in at.select_slider if one.key.startswith("look.step"))


def moment(at: AppTest) -> int:
    return int(slider(at).value)


def asked(fake: FakeEngine) -> Look:
    return [question for question in fake.asked if isinstance(question, Look)][-1]


def test_without_a_run_the_page_says_what_to_do(visit: Visit) -> None:
    assert "Choose a run above" in said(visit("look_feature_maps"))


def test_the_newest_weights_are_shown_and_the_slider_goes_back(visit: Visit, fake: FakeEngine, run: Run) -> None:
    at = visit("look_feature_maps", run=run.id, sample="3")
    assert moment(at) == 12
    assert (asked(fake).step, asked(fake).sample) == (12, 3)
    assert "step" not in at.query_params  # the newest is followed, not fixed
    slider(at).set_value(4).run()
    assert asked(fake).step == 4
    assert "".join(at.query_params["step"]) == "4"
    slider(at).set_value(12).run()
    assert "step" not in at.query_params


def test_the_best_moment_has_its_name_on_the_slider_and_stands_for_the_finished_run(
    visit: Visit, fake: FakeEngine, run: Run
) -> None:
    run.note(best_step=4)
    at = visit("look_feature_maps", run=run.id)
    assert asked(fake).step == moment(at) == 4
    assert "best, step 4" in slider(at).options and "12" in slider(at).options
    slider(at).set_value(12).run()
    assert asked(fake).step == 12
    assert "".join(at.query_params["step"]) == "12"
    slider(at).set_value(4).run()
    assert "step" not in at.query_params


def test_a_link_brings_sample_layer_and_moment(visit: Visit, fake: FakeEngine, run: Run) -> None:
    at = visit("look_feature_maps", run=run.id, sample="5", layer="head", step="2")
    assert (asked(fake).sample, asked(fake).layer, asked(fake).step) == (5, "head", 2)
    assert not at.warning


def test_a_moment_without_weights_is_answered_by_the_nearest(visit: Visit, fake: FakeEngine, run: Run) -> None:
    visit("look_feature_maps", run=run.id, step="7")
    assert asked(fake).step == 8


def test_a_link_that_makes_no_sense_is_told(visit: Visit, run: Run) -> None:
    at = visit("look_feature_maps", run=run.id, step="soon", drawn="?!")
    told = " ".join(str(warning.value) for warning in at.warning)
    assert "step is not a number" in told
    assert "drawing cannot be read" in told


def test_a_drawing_takes_the_samples_place_until_a_sample_is_chosen(visit: Visit, fake: FakeEngine, run: Run) -> None:
    picture = np.zeros((28, 28), np.uint8)
    picture[6:22, 13:16] = 255
    at = visit("look_feature_maps", run=run.id, drawn=drawings.encode(picture))
    assert asked(fake).drawing == drawings.encode(picture)
    assert "your drawing" in said(at)
    at.number_input(key="sample").set_value(2).run()
    assert (asked(fake).drawing, asked(fake).sample) == ("", 2)
    assert "drawn" not in at.query_params


def test_play_goes_from_moment_to_moment(visit: Visit, fake: FakeEngine, run: Run) -> None:
    at = visit("look_feature_maps", run=run.id)
    at.button(key="look.play").click().run()  # a tick does not come by itself in AppTest
    assert asked(fake).step == 0
    assert at.session_state["look.playing"]
    at.button(key="look.play").click().run()
    assert not at.session_state["look.playing"]


def test_a_run_without_weights_says_so(visit: Visit, store: Store, fake: FakeEngine) -> None:
    run = store.create(specs.preset("mlp", "digits"))
    fake.put(run, events.RUNNING)
    assert "keeps no weights yet" in said(visit("look_feature_maps", run=run.id))


def test_a_view_that_does_not_apply_says_which_model_would_have_it(visit: Visit, run: Run) -> None:
    text = said(visit("look_attention", run=run.id)).replace("\\", "")
    assert "transformer" in text


def test_a_failure_of_the_view_is_a_sentence_and_the_page_stands(visit: Visit, fake: FakeEngine, run: Run) -> None:
    def broken(_question: Look) -> Seen:
        raise RuntimeError("The weights of step 12 cannot be read.")

    fake.look = broken
    at = visit("look_feature_maps", run=run.id)
    assert "cannot be read" in " ".join(str(error.value) for error in at.error).replace("\\", "")
    assert moment(at) == 12  # everything else is there


def test_a_run_that_grows_is_followed(visit: Visit, fake: FakeEngine, run: Run) -> None:
    fake.put(run, events.RUNNING, 12)
    at = visit("look_feature_maps", run=run.id)
    run.save_snapshot(Snapshot(13, run.weights(12)))
    at.run()
    assert moment(at) == 13


def test_csv_has_an_index_for_every_axis_but_the_last() -> None:
    array = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    lines = look.csv(array).splitlines()
    assert lines[0] == "axis0,axis1,0,1"
    assert lines[-1] == "1,2,10,11"
    assert look.csv(np.float32(2.5).reshape(())).splitlines() == ["0", "2.5"]


def test_npz_holds_every_array(run: Run) -> None:
    seen = Seen("x", 0, 0, "", {"a/b": np.eye(2)}, {}, (), "")
    with np.load(io.BytesIO(look.npz(seen))) as found:
        np.testing.assert_array_equal(found["a/b"], np.eye(2))


@pytest.mark.parametrize("view", [view for view in registry.VIEWS if view.needs], ids=lambda view: view.name)
def test_what_a_view_needs_is_trained_at_a_press(view: View) -> None:
    """Whatever is chosen, there is a preset with it; on the same data where that has one."""
    for data in registry.DATASETS:
        experiment = look.having(view, DataSpec(data.name, data.options()))
        assert experiment is not None
        form = registry.DATASETS.get(experiment.data.name).form(experiment.data.options)
        made = registry.ARCHITECTURES.get(experiment.model.architecture)
        assert view.applies(made.layers(made.options(), form), form)


def test_a_page_offers_to_train_what_the_model_lacks(visit: Visit, store: Store, run: Run) -> None:
    """Its attention, for a network without any: by the names that the menus of Train have, on the same data."""
    at = visit("look_attention", run=run.id)
    (offer,) = [one for one in at.button if one.key == "look.train"]
    assert offer.label == "Train Transformer on handwritten digits"
    offer.click().run()
    newest = max(store.runs(), key=lambda one: one.about()["created"])
    assert newest.experiment().model.architecture == "transformer" and at.session_state["run"] == newest.id
