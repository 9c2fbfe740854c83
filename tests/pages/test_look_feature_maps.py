"""The pages of the feature maps and of the made pictures, over the real answers of a worker."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from core.catalog.views.feature_maps import FeatureMaps
from core.catalog.views.maximise import Maximise
from core.spec import specs
from core.spec.questions import Look, Seen
from core.store import Run
from core.worker import answers
from pages.look_inside import feature_maps, maximise
from tests.pages.conftest import Made, Visit, said
from tests.pages.fake_engine import FakeEngine


def asked(fake: FakeEngine) -> Look:
    return [question for question in fake.asked if isinstance(question, Look)][-1]


def seen(run: Run, **fields: object) -> Seen:
    """The answer to a question about maps, as a worker gives it."""
    options = {name: fields.pop(name) for name in list(fields) if name in FeatureMaps.__dataclass_fields__}
    question = Look(run.id, "feature_maps", runs=str(run.path.parent), options=FeatureMaps(**options), **fields)  # type: ignore[arg-type]
    return answers.look(question, lambda *_: None)


def values(sent: dict[str, object]) -> np.ndarray:
    """What the browser makes of an array that it is sent."""
    shape, low, high = (np.array(sent[name]) for name in ("shape", "low", "high"))
    levels = np.frombuffer(base64.b64decode(str(sent["data"])), np.uint8).reshape(shape)
    return low[:, None, None] + levels / 255 * (high - low)[:, None, None]


@pytest.mark.parametrize("layer", ["conv1", "relu2", "pool2", "flatten", "head"])
def test_every_kind_of_layer_of_a_picture_is_shown(visit: Visit, made: Made, layer: str) -> None:
    at = visit("look_feature_maps", run=made("cnn").id, sample="2", layer=layer)
    assert f"{layer} makes" in said(at)
    assert not at.error


def test_a_sequence_and_its_vectors_are_shown(visit: Visit, made: Made) -> None:
    run = made("lstm", "order")
    layers = [layer.name for layer in specs.preset("lstm", "order").model.layers] or ["lstm1", "head"]
    for layer in layers:
        at = visit("look_feature_maps", run=run.id, layer=layer)
        assert "What drives" in said(at)


def test_a_sample_that_drives_a_map_becomes_the_current_one(visit: Visit, made: Made, fake: FakeEngine) -> None:
    run = made("cnn")
    options = {"map": 3, "measure": "mean"}
    best = seen(run, layer="relu1", **options).arrays["relu1/top"][3, 1]
    at = visit("look_feature_maps", run=run.id, sample="2", layer="relu1")
    at.number_input(key="look_feature_maps.map").set_value(3)
    at.selectbox(key="look_feature_maps.measure").set_value("mean").run()
    assert asked(fake).options == FeatureMaps(map=3, measure="mean")
    assert "What drives map 3 most" in said(at)
    at.button(key="maps.top.1").click().run()
    assert "".join(at.query_params["sample"]) == str(best) and asked(fake).sample == best


def test_samples_that_share_one_value_are_not_ranked(visit: Visit, made: Made) -> None:
    at = visit("look_feature_maps", run=made("lstm", "order").id, layer="embedding")
    assert "No test sample more than others: at least 8" in said(at)
    assert not [found for found in at.button if str(found.key).startswith("maps.top")]


def test_the_canvas_gets_the_maps_in_their_order(made: Made) -> None:
    answer = seen(made("cnn"), layer="norm2", by_strength=True, map=7, overlay=True)
    array = answer.arrays["norm2"]
    told = feature_maps.told(answer, array)
    json.dumps(told)  # plain values alone
    strength = np.abs(array).mean((1, 2))
    assert told["units"] == np.argsort(-strength, kind="stable").tolist()
    span = float(np.ptp(array)) / 255
    np.testing.assert_allclose(values(told["maps"]), array[told["units"]], atol=span)
    np.testing.assert_allclose(values(told["large"])[0], array[7], atol=span)
    np.testing.assert_allclose(values(told["kernel"]), answer.arrays["conv2/kernel"], atol=0.01)
    assert told["ends"] == [float(array.min()), float(array.max())]
    assert told["given"]["shape"] == [28, 28] and told["chosen"] == 7


@pytest.mark.slow
def test_many_maps_come_in_pages_and_large_ones_made_smaller(made: Made) -> None:
    run = made("cnn", **{"model.channels": (300, 2), "train.steps": 1, "train.batch_size": 4})
    answer = seen(run, layer="relu1", page=2, searched=8)
    large = answer.arrays["relu1"].repeat(3, 1).repeat(3, 2)  # of 84×84
    told = feature_maps.told(answer, large)
    assert told["units"] == list(range(256, 300)) and told["pages"] == 2
    assert told["maps"]["shape"] == [44, 42, 42] and told["large"]["shape"] == [1, 84, 84] and told["every"] == 2
    assert "page 2 of 2, 44 maps" in told["words"]["about"] and "2×2 squares" in told["words"]["about"]


def test_a_picture_is_made_for_a_class(visit: Visit, made: Made, fake: FakeEngine) -> None:
    at = visit("look_maximise", run=made("cnn").id)
    at.number_input(key="look_maximise.steps").set_value(4).run()
    assert asked(fake).options.steps == 4  # type: ignore[attr-defined]
    assert "A picture made for unit 0 of head, “0”" in said(at)
    assert "In 4 steps unit 0 of head" in said(at)


def test_the_film_gets_every_frame(made: Made, fake: FakeEngine) -> None:
    run = made("cnn")
    question = Look(run.id, "maximise", options=Maximise(), runs=str(run.path.parent))
    answer = answers.look(question, lambda *_: None)
    told = maximise.told(answer)
    json.dumps(told)
    frames = np.frombuffer(base64.b64decode(told["frames"]), np.uint8).reshape(told["shape"])
    np.testing.assert_allclose(frames / 255, answer.arrays["frames"], atol=0.003)
    assert len(told["steps"]) == len(told["values"]) == len(frames)


def test_a_run_without_pictures_says_why_nothing_is_made(visit: Visit, made: Made) -> None:
    at = visit("look_maximise", run=made("lstm", "order").id)
    assert "reads no" in said(at)
