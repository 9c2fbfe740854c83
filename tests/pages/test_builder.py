"""The builder and the data page, with an engine in memory that describes models as the real one does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from core.engine.protocol import Progress
from core.spec import registry, specs
from core.spec.questions import DataPreview, ValueRange
from core.spec.specs import Experiment
from core.store import Store
from core.worker.model import build
from pages.build import stack
from pages.kit import samples
from tests.pages.addresses import switch
from tests.pages.conftest import button, said
from tests.pages.fake_engine import FakeEngine

Visit = Callable[..., AppTest]
VERBS = ("open", "up", "down", "copy", "delete", "mend", "preset")


class Bench:
    """The builder's page with the stack drawn as buttons: AppTest cannot reach into a component."""

    def __init__(self, visit: Visit) -> None:
        self.visit, self.data, self.last = visit, {}, {}  # type: ignore[var-annotated]

    def mount(self, *, key: str, data: dict[str, Any], on_act_change: Callable[[], None]) -> None:
        self.data = data

        def told(verb: str, name: str) -> None:
            self.last = {"verb": verb, "name": name}
            on_act_change()

        for name in ["", "gone", *(row["name"] for row in data["rows"])]:
            for verb in VERBS:
                st.button(f"{verb} {name}", key=f"act {verb} {name}", on_click=told, args=(verb, name))

    def open(self, **link: str) -> AppTest:
        self.at = self.visit("build", **link)
        return self.at

    def act(self, verb: str, name: str = "") -> None:
        self.at.button(key=f"act {verb} {name}").click().run()
        assert not self.at.exception

    def press(self, label: str) -> None:
        button(self.at, label).click().run()
        assert not self.at.exception

    def add(self, kind: str) -> None:
        self.at.selectbox(key="build.add").select(kind).run()
        assert not self.at.exception

    def set(self, option: str, value: Any) -> None:
        name = self.data["selected"]
        next(
            w for w in [*self.at.number_input, *self.at.toggle, *self.at.selectbox] if w.key == f"layer:{name}.{option}"
        ).set_value(value).run()
        assert not self.at.exception

    @property
    def names(self) -> list[str]:
        return [row["name"] for row in self.data["rows"]]

    def row(self, name: str) -> dict[str, Any]:
        return next(row for row in self.data["rows"] if row["name"] == name)

    def linked(self) -> Experiment:
        given = {k: v if isinstance(v, str) else v[0] for k, v in self.at.query_params.items()}
        made, notices = specs.from_link({k: v for k, v in given.items() if k not in ("layer", "sample", "run")})
        assert notices == []
        return made


@pytest.fixture
def bench(visit: Visit, fake: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(visit)
    fake.describe = build.describe
    monkeypatch.setattr(stack, "_mount", made.mount)
    monkeypatch.setattr(stack, "heard", lambda: made.last)
    return made


# ── the builder ──────────────────────────────────────────────────────────────


@pytest.mark.slow_for("resnet110", "resnet56", "resnet44", "resnet32", "resnet20", "plain20")
@pytest.mark.parametrize("preset", registry.ARCHITECTURES.names())
def test_a_preset_fills_the_builder(bench: Bench, preset: str) -> None:
    entry = registry.ARCHITECTURES.get(preset)
    data = next(d for d in registry.DATASETS if _fits(entry, d.form(d.options())))
    bench.open(model=preset, data=data.name)
    wanted = entry.layers(entry.options(), data.form(data.options()))
    assert bench.names == [layer.name for layer in wanted]
    assert bench.data["fault"] is None
    assert all(row["shape"] for row in bench.data["rows"])
    assert not button(bench.at, "Train this").disabled
    assert bench.linked().model.layers == ()  # still the preset, and its link stays short


def _fits(entry: Any, form: Any) -> bool:
    return form.kind in entry.takes and form.task in entry.tasks


def test_the_row_says_the_numbers_and_their_shares(bench: Bench) -> None:
    bench.open()
    conv, head = bench.row("conv2"), bench.row("head")
    assert conv["shape"] == "32×14×14"
    assert conv["numbers"][0] == "4,608"
    assert conv["sees"] == "8"
    assert "32 maps" in conv["says"]
    assert head["bars"][0] == 1.0
    assert sum(row["shares"][0] for row in bench.data["rows"]) == pytest.approx(1)
    assert "20,538" in said(bench.at)


def test_add_move_copy_delete_and_undo(bench: Bench) -> None:
    bench.open()
    start = bench.names
    bench.act("open", "relu1")
    bench.add("dropout")
    assert bench.names[3:5] == ["dropout1", "pool1"]
    assert bench.data["selected"] == "dropout1"
    bench.act("up", "dropout1")
    assert bench.names[2:4] == ["dropout1", "relu1"]
    bench.act("down", "dropout1")
    bench.act("copy", "conv1")
    assert bench.names[:2] == ["conv1", "conv3"]
    bench.act("delete", "conv3")
    assert bench.linked().model.layers[3].kind == "dropout"
    for _change in range(5):
        bench.press("Undo")
    assert bench.names == start
    assert bench.linked().model.layers == ()
    assert button(bench.at, "Undo").disabled


def test_at_the_ends_and_for_a_layer_that_is_gone_nothing_breaks(bench: Bench) -> None:
    bench.open()
    start = bench.names
    bench.act("up", "conv1")
    bench.act("down", "head")
    for verb in VERBS[:-2]:
        bench.act(verb, "gone")
    bench.act("mend", "conv1")
    assert bench.names == start


def test_an_option_acts_at_once_and_can_be_undone(bench: Bench) -> None:
    bench.open(layer="conv2")
    bench.set("channels", 8)
    assert bench.row("conv2")["shape"] == "8×14×14"
    bench.press("Undo")
    assert bench.row("conv2")["shape"] == "32×14×14"
    assert bench.at.number_input(key="layer:conv2.channels").value == 32


@pytest.mark.parametrize("value", [0, -5, 10**12, 10**30, None])
def test_a_value_that_cannot_be_is_answered_under_its_field(bench: Bench, value: Any) -> None:
    bench.open(layer="conv2")
    before = bench.data["rows"]
    bench.set("channels", value)
    assert "channels" in said(bench.at)
    assert bench.data["rows"] == before
    assert button(bench.at, "Train this").disabled
    bench.set("channels", 16)
    assert not button(bench.at, "Train this").disabled


def test_a_model_that_reads_the_answer_is_marked_and_mended_by_a_click(bench: Bench) -> None:
    bench.open(data="characters", model="lstm", **{"model.bidirectional": "true"})
    fault = bench.data["fault"]
    assert fault["name"] == "lstm" and "answer would be in the input" in fault["message"] and not fault["mild"]
    assert button(bench.at, "Train this").disabled
    bench.act("mend", "lstm")
    assert bench.data["fault"] is None and not button(bench.at, "Train this").disabled
    assert not bench.linked().model.layers[1].options.bidirectional  # type: ignore[attr-defined]


def test_what_a_model_would_do_badly_is_told_mildly_and_mended_by_a_click(bench: Bench) -> None:
    bench.open()
    bench.act("open", bench.names[-1])
    bench.add("relu")
    told = bench.data["fault"]
    assert told["name"] == bench.names[-1] and "never be below 0" in told["message"] and told["mild"]
    assert not button(bench.at, "Train this").disabled
    bench.act("mend", told["name"])
    assert bench.data["fault"] is None


def test_a_fault_is_marked_and_mended_by_a_click(bench: Bench) -> None:
    bench.open(layer="conv2")
    bench.set("kernel", 16)
    bench.set("padding", 0)
    fault = bench.data["fault"]
    assert fault["name"] == "conv2"
    assert "needs at least 16×16" in fault["message"]
    assert "14×14" in fault["message"]
    assert bench.row("norm2")["shape"] == ""
    assert button(bench.at, "Train this").disabled
    bench.act("mend", "conv2")
    assert bench.at.number_input(key="layer:conv2.padding").value == 1
    assert bench.data["fault"]["name"] == "pool2"  # its maps are 1×1 now
    bench.act("mend", "pool2")
    assert bench.data["fault"] is None
    assert not button(bench.at, "Train this").disabled


def test_a_preset_that_cannot_read_the_data_is_mended_by_one_that_can(bench: Bench) -> None:
    bench.open(model="cnn", data="order")
    assert "small CNN reads a picture" in bench.data["fault"]["message"]
    assert button(bench.at, "Train this").disabled
    bench.act("preset")
    assert bench.data["fault"] is None
    assert bench.linked().model.architecture == "rnn"
    bench.press("Undo")
    assert bench.linked().model.architecture == "cnn"


def test_from_nothing_to_a_network_that_trains(bench: Bench, store: Store) -> None:
    bench.open()
    bench.press("Clear")
    assert bench.names == []
    assert button(bench.at, "Train this").disabled
    assert "No layers yet" in said(bench.at)
    offered = bench.at.selectbox(key="build.add").options
    assert offered[0] == "convolution"
    assert "linear (does not fit here)" in offered
    for kind in ("conv", "relu", "flatten", "linear"):
        bench.add(kind)
    assert bench.data["fault"]["name"] == "linear1"  # 64 logits, not 10
    bench.act("mend", "linear1")
    assert bench.names == ["conv1", "relu1", "flatten1", "linear1", "relu2", "linear2"]  # its own 64 features stay
    assert bench.at.selectbox(key="own.box").value == "own.box"  # not "cnn", with which it began
    button(bench.at, "Train this").click().run()
    (run,) = store.runs()
    kinds = ["conv", "relu", "flatten", "linear", "relu", "linear"]
    assert [layer.kind for layer in run.experiment().model.layers] == kinds
    assert run.about()["name"] == "own network on digits"
    assert bench.at.session_state["run"] == run.id
    assert bench.at.selectbox(key="own.box").options[0] == "Your own network"


def test_nothing_is_not_trained_and_survives_a_reload(bench: Bench) -> None:
    bench.open(layers="[]")
    assert bench.names == []
    at = bench.visit("train", layers="[]")
    assert button(at, "Start").disabled
    assert "no layers yet" in said(at)


def test_another_preset_replaces_the_own_layers_and_undo_brings_them_back(bench: Bench) -> None:
    at = bench.open()
    bench.act("delete", "relu1")
    mine = bench.names
    at.selectbox(key="own.box").select("mlp").run()
    assert bench.names[0] == "flatten"
    assert bench.linked().model.layers == ()
    bench.press("Undo")
    assert bench.names == mine
    assert at.selectbox(key="own.box").value == "own.box"
    bench.press("Reset")
    assert "relu1" in bench.names


def test_a_link_keeps_the_layers_and_a_broken_one_is_told(bench: Bench) -> None:
    bench.open()
    bench.act("delete", "relu1")
    made = bench.linked()
    link = specs.to_link(made)
    bench.open(**link)
    assert bench.linked() == made
    for broken in ("[", "{}", "[1]", '[{"kind":"conw"}]', "[" * 500, link["layers"].replace("conv2", "conv1")):
        at = bench.open(**(link | {"layers": broken}))
        assert any("layers" in warning.value for warning in at.warning)
        assert "relu1" in bench.names
        assert not at.error


def test_a_model_too_large_for_a_link_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    at = bench.open(model="resnet20", data="cifar10")
    assert "too large for a link" not in said(at)
    before = len(bench.names)
    bench.act("copy", "conv1")
    assert len(bench.names) == before + 1
    assert "too large for a link" not in said(at)  # only what differs of a layer is written
    monkeypatch.setattr(specs, "LINK_LIMIT", 300)
    bench.act("copy", "conv1")
    assert "layers" not in at.query_params
    assert "too large for a link" in said(at)


def test_the_code_and_the_sizes_stand_beside_the_stack(bench: Bench) -> None:
    at = bench.open()
    at.segmented_control(key="build.view").set_value("code").run()
    assert "class Network(nn.Module)" in at.code[0].value
    at.segmented_control(key="build.view").set_value("sizes").run()
    chart = at.get("plotly_chart")[0]
    drawn = json.loads(chart.proto.spec)
    assert len(drawn["data"]) == 3
    assert drawn["layout"]["xaxis"]["title"]["text"] == "share (%)"
    assert "Most parameters: head" in chart.proto.alt
    assert len(at.dataframe[0].value) == 10


@pytest.mark.slow
def test_a_deep_network_stays_quick(bench: Bench) -> None:
    at = bench.open(model="resnet110", data="cifar10")
    assert len(bench.names) == 59
    assert len(at.number_input) < 12  # only the open layer has fields


def test_the_train_page_leads_back_to_the_builder(bench: Bench) -> None:
    at = bench.open()
    bench.act("delete", "relu1")
    switch(at, "train").run()
    assert at.selectbox(key="own.box").options[0] == "Your own network"
    button(at, "Edit").click().run()
    assert len(bench.names) == 9


# ── the data page ────────────────────────────────────────────────────────────


def previewed(kind: str, **more: Any) -> DataPreview:
    shape = {"picture": (2, 8, 8), "tokens": (2, 5), "sequence": (2, 6, 2), "vector": (2, 2)}[kind]
    values = np.ones(shape, dtype={"picture": np.uint8, "tokens": np.int64}.get(kind, np.float32))
    known: dict[str, Any] = {
        "kind": kind,
        "task": "classes",
        "samples": values,
        "labels": np.array([0, 1]),
        "shapes": {"train": (70, *shape[1:]), "validation": (10, *shape[1:]), "test": (20, *shape[1:])},
        "counts": {part: {"<b>one</b>": n, "two": n} for part, n in (("train", 35), ("validation", 5), ("test", 10))},
        "given": ValueRange(-1, 1, 0, 1),
        "raw": ValueRange(0, 255, 127, 60),
        "classes": ("<b>one</b>", "two"),
        "vocabulary": ("·", "<i>a</i>"),
        "source": "made here",
        "licence": "Apache-2.0",
        "notes": ("Only a part.",),
    }
    return DataPreview(**known | more)


@pytest.mark.parametrize(
    ("kind", "data"), [("picture", "digits"), ("tokens", "order"), ("sequence", "adding"), ("vector", "points")]
)
def test_samples_counts_and_facts_are_shown(visit: Visit, fake: FakeEngine, kind: str, data: str) -> None:
    fake.preview = previewed(kind)
    at = visit("data", data=data)
    shown = "".join(element.proto.body for element in at.get("html"))
    if kind == "vector":
        assert len(at.get("plotly_chart")) == 2
    else:
        assert "&lt;b&gt;one&lt;/b&gt;" in shown
        assert "<b>one" not in shown
    assert "training 70, validation 10, test 20" in said(at)
    assert "Only a part." in said(at)
    assert "training: 70 samples of 2 classes, 35 to 35 each" in at.get("plotly_chart")[-1].proto.alt
    assert len(at.dataframe[0].value) == 2
    assert fake.asked[0].data.name == data


def test_a_download_shows_progress_and_can_be_given_up(visit: Visit, fake: FakeEngine) -> None:
    fake.progress = Progress(False, 0.25, "downloading MNIST", ())
    at = visit("data", data="mnist")
    assert "downloading MNIST" in at.get("progress")[0].proto.text
    button(at, "Cancel").click().run()
    assert fake.cancelled == ["ticket 1"]
    assert "given up" in said(at)
    fake.progress, fake.preview = Progress(True, 1.0, "", ()), previewed("picture")
    button(at, "Try again").click().run()
    assert "made here" in said(at)


def test_another_choice_gives_up_what_is_under_way(visit: Visit, fake: FakeEngine) -> None:
    fake.progress = Progress(False, 0.25, "downloading", ())
    at = visit("data", data="mnist")
    at.selectbox(key="data").select("kmnist").run()
    assert fake.cancelled == ["ticket 1"]
    assert [question.data.name for question in fake.asked] == ["mnist", "kmnist"]


def test_missing_data_is_told_in_the_engines_sentence(visit: Visit, fake: FakeEngine) -> None:
    fake.progress = Progress(True, 1.0, "", (), error="MNIST is not in /x and could not be downloaded; put it there.")
    at = visit("data", data="mnist")
    assert "is not in /x" in at.error[0].value
    assert button(at, "Try again")


def test_data_lead_on_to_a_training_that_can_be(visit: Visit, fake: FakeEngine) -> None:
    fake.preview = previewed("tokens")
    at = visit("data", model="cnn", data="order")
    button(at, "Train on this").click().run()
    assert at.selectbox(key="model").value == "rnn"
    assert not button(at, "Start").disabled


def test_an_option_out_of_range_is_answered_and_not_asked(visit: Visit, fake: FakeEngine) -> None:
    fake.preview = previewed("picture")
    at = visit("data", data="shapes")
    at.number_input(key="data.samples").set_value(-1).run()
    assert "out of range" in said(at)
    assert button(at, "Train on this").disabled
    assert all(question.data.options.samples > 0 for question in fake.asked)


def test_long_answers_are_cut_and_steps_without_an_answer_left_out() -> None:
    labels = np.array([[-100, 0, 1], [1, 1, 1]])
    found = previewed("tokens", task="each_step", labels=labels, classes=("\n", "b"))
    assert samples.target(found, 0) == "↵b"
    assert samples.target(previewed("tokens", task="each_step", labels=labels, classes=("no", "\n")), 0) == "no \n"
    assert samples.target(previewed("sequence", task="number", labels=np.array([0.5, 1.0])), 0) == "0.5"
