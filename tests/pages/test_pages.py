"""What each page shows and does, with an engine in memory."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.engine.protocol import RunState
from core.spec import registry, specs
from core.spec.events import FAILED, FINISHED, PAUSED, QUEUED, RUNNING, STOPPED, Command, Event, Status
from core.spec.questions import Problem
from core.spec.specs import LayerSpec
from core.store import Store
from core.worker import answers
from pages.train import runs_table
from tests.pages.addresses import PAGES, switch
from tests.pages.conftest import SHELL, button, read, said
from tests.pages.fake_engine import FakeEngine, finished

Visit = Callable[..., AppTest]
DIGITS = specs.preset("cnn", "digits")


def stage_of(at: AppTest) -> dict[str, object]:
    """What the live stage was given."""
    parts = [json.loads(part.proto.json) for part in at.get("bidi_component")]
    return next(data for data in parts if "accuracy" in data)


def address(at: AppTest) -> dict[str, str]:
    """The address's parameters after a run."""
    return {name: value if isinstance(value, str) else value[0] for name, value in at.query_params.items()}


# ── every page ───────────────────────────────────────────────────────────────


def test_the_run_bar_says_which_page_this_is(visit: Visit) -> None:
    assert [title.value for title in visit("look_landscape").title] == ["Loss landscape"]
    assert [title.value for title in visit("explain_sanity").title] == ["Sanity check"]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_draws_without_any_run(visit: Visit, page: str) -> None:
    at = visit(page)
    assert not at.error


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(
    "link", [{"run": "zz"}, {"run": "0" * 32}, {"run": "../../x"}, {"sample": "-1"}, {"sample": "x"}]
)
def test_a_broken_link_is_told_in_a_sentence(visit: Visit, page: str, link: dict[str, str]) -> None:
    at = visit(page, **link)
    assert len(at.warning) == 1
    assert not at.error


def test_a_links_sample_that_is_too_large_is_told_with_the_largest(visit: Visit) -> None:
    (told,) = visit("look_feature_maps", sample="99999").warning
    assert read(told.value) == "The link's sample is not a number from 0 to 9,999; sample 0 is shown."


@pytest.mark.parametrize("page", PAGES)
def test_the_engines_end_is_told_in_a_sentence(visit: Visit, fake: FakeEngine, store: Store, page: str) -> None:
    run = finished(store, DIGITS)
    fake.gone = True
    at = visit(page, run=run.id)
    if page != "home":  # home shows a finished run from its folder; no engine is needed
        assert "being started again" in said(at)
    assert not at.error
    fake.gone = False
    at.run()
    assert "being started again" not in said(at)


def test_a_failing_page_says_a_code_and_the_log_has_the_traceback(
    visit: Visit, fake: FakeEngine, store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished(store, DIGITS)

    def fail(_run: str) -> None:
        raise KeyError("secret")

    monkeypatch.setattr(fake, "state", fail)
    at = visit("train", run=run.id)
    (error,) = at.error
    assert "code" in error.value
    assert "secret" not in said(at)
    assert "Traceback" in caplog.text
    assert "secret" in caplog.text


@pytest.mark.parametrize("page", ["train", "runs"])
def test_the_run_bar_names_the_run_of_the_link_and_the_address_keeps_it(visit: Visit, store: Store, page: str) -> None:
    run = finished(store, DIGITS)
    finished(store, DIGITS)
    at = visit(page, run=run.id, sample="7")
    assert at.selectbox(key="run_bar.run").value == run.id
    assert at.number_input(key="sample").value == 7
    switch(at, "train" if page == "runs" else "runs").run()  # the menu drops the address
    assert address(at)["run"] == run.id
    assert address(at)["sample"] == "7"


def test_a_run_whose_files_are_broken_is_told_in_a_sentence(visit: Visit, store: Store) -> None:
    run = finished(store, DIGITS)
    (run.path / "experiment.json").write_text("{")
    for page in PAGES:
        assert not visit(page, run=run.id).exception


# ── home ─────────────────────────────────────────────────────────────────────


def test_home_starts_the_first_network_and_shows_it(visit: Visit, store: Store) -> None:
    at = visit("home")
    assert stage_of(at)["run"] is None
    button(at, "Train your first network").click().run()
    (run,) = store.runs()
    assert stage_of(at)["run"] == run.id
    assert address(at)["run"] == run.id
    assert run.experiment().data.name == "digits"


def test_pressing_twice_is_one_run(visit: Visit, store: Store) -> None:
    at = visit("home")
    button(at, "Train your first network").click().run()
    button(at, "Train your first network").click().run()
    assert len(store.runs()) == 1


def test_home_begins_with_no_run_that_has_failed(visit: Visit, store: Store) -> None:
    """Under “Train your first network” stands what goes well, or the promise of it; also for the run that is chosen."""
    bad = finished(store, DIGITS)
    bad.set_status(Status(FAILED, 3, 30, "The loss is no longer a number."))
    assert stage_of(visit("home"))["run"] is None
    good, diverged = finished(store, DIGITS), finished(store, DIGITS)
    log = diverged.log()
    log.append([Event(31, "train/loss", float("nan"), 1e9)])
    log.close()
    assert stage_of(visit("home"))["run"] == stage_of(visit("home", run=bad.id))["run"] == good.id


def test_home_shows_a_finished_run_as_such(visit: Visit, store: Store) -> None:
    run = finished(store, DIGITS)
    at = visit("home")
    assert stage_of(at)["run"] == run.id
    assert stage_of(at)["words"]["state_finished"] == "a finished run"
    assert "run" not in at.query_params


def test_change_it_leads_to_the_form_of_this_run(visit: Visit, store: Store) -> None:
    run = finished(store, specs.assign(specs.preset("mlp", "digits"), {"model.hidden": (12, 7)}))
    at = visit("home", run=run.id)
    button(at, "Change it").click().run()
    assert at.text_input(key="model.hidden").value == "12, 7"
    assert at.number_input(key="train.steps").value == 30
    assert at.selectbox(key="run_bar.run").value == run.id


# ── train ────────────────────────────────────────────────────────────────────


def test_a_link_fills_the_form_and_trains_nothing(visit: Visit, store: Store) -> None:
    link = specs.to_link(specs.assign(specs.preset("mlp", "digits"), {"train.lr": 0.01, "train.optimizer": "sgd"}))
    at = visit("train", **link)
    assert at.selectbox(key="model").value == "mlp"
    assert at.selectbox(key="train.optimizer").value == "sgd"
    assert at.select_slider(key="train.lr").value == pytest.approx(0.01)
    assert store.runs() == []


def test_what_the_form_asks_for_is_what_starts_and_what_the_link_says(visit: Visit, store: Store) -> None:
    at = visit("train")
    at.selectbox(key="model").select("mlp").run()
    at.text_input(key="model.hidden").set_value("20, 10").run()
    at.number_input(key="train.steps").set_value(50).run()
    at.selectbox(key="train.optimizer").select("sgd").run()
    at.number_input(key="train.momentum").set_value(0.5).run()
    button(at, "Start").click().run()
    (run,) = store.runs()
    wanted = {"model.hidden": (20, 10), "train.steps": 50, "train.optimizer": "sgd", "train.momentum": 0.5}
    assert run.experiment() == specs.assign(specs.preset("mlp", "digits"), wanted)
    assert specs.from_link(address(at)) == (run.experiment(), [])


def test_augmentations_are_chosen_in_the_form_with_their_options(visit: Visit, store: Store) -> None:
    at = visit("train")
    at.multiselect(key="train.augmentation").set_value(["mixup", "shift"]).run()
    at.number_input(key="train.shift_pixels").set_value(3).run()
    at.number_input(key="train.label_noise").set_value(0.25).run()
    button(at, "Start").click().run()
    (run,) = store.runs()
    wanted = {"train.augmentation": "shift,mixup", "train.shift_pixels": 3, "train.label_noise": 0.25}
    assert run.experiment() == specs.assign(DIGITS, wanted)
    assert specs.from_link(address(at)) == (run.experiment(), [])
    again = visit("train", **address(at))
    assert again.multiselect(key="train.augmentation").value == ["shift", "mixup"]


def test_another_schedule_or_optimizer_comes_with_its_own_defaults(visit: Visit) -> None:
    at = visit("train")  # the small CNN: one cycle, whose warm-up is 0.3
    at.selectbox(key="train.schedule").select("step").run()
    assert at.number_input(key="train.warm_up").value == 0
    at.selectbox(key="train.schedule").select("one_cycle").run()
    assert at.number_input(key="train.warm_up").value == pytest.approx(0.3)
    at.selectbox(key="train.optimizer").select("muon").run()
    assert at.number_input(key="train.momentum").value == pytest.approx(0.95)


def test_a_field_that_does_not_apply_is_left_out(visit: Visit) -> None:
    at = visit("train")
    assert "train.init_gain" not in [one.key for one in at.number_input]
    at.selectbox(key="train.initialisation").select("he").run()
    assert at.number_input(key="train.init_gain").value == 1


def test_a_setting_that_the_data_cannot_use_is_told_and_cannot_be_started(visit: Visit) -> None:
    at = visit("train", model="gru", data="adding", **{"train.label_noise": "0.1"})
    assert "replaces classes, but adding asks for one number a sample" in said(at)
    assert button(at, "Start").disabled
    at.number_input(key="train.label_noise").set_value(0.0).run()
    assert not button(at, "Start").disabled


def test_the_form_is_kept_when_another_page_is_visited(visit: Visit) -> None:
    at = visit("train")
    at.number_input(key="train.steps").set_value(77).run()
    switch(at, "runs").run()
    switch(at, "train").run()
    assert at.number_input(key="train.steps").value == 77


@pytest.mark.parametrize(
    ("link", "field"),
    [
        ({"train.lr": "quick"}, "train.lr"),
        ({"model": "cmn"}, "model"),
        ({"model.kernel": "99"}, "model.kernel"),
        ({"train.colour": "red"}, "train.colour"),
        ({"layers": "["}, "layers"),
    ],
)
def test_a_malformed_link_leaves_the_default_and_names_it(visit: Visit, link: dict[str, str], field: str) -> None:
    at = visit("train", **link)
    assert any(field in read(warning.value) for warning in at.warning)
    assert not button(at, "Start").disabled


def test_a_value_out_of_range_is_answered_at_its_place(visit: Visit, store: Store) -> None:
    at = visit("train")
    at.number_input(key="train.steps").set_value(-5).run()
    assert "out of range" in said(at)
    assert button(at, "Start").disabled
    at.number_input(key="train.steps").set_value(5).run()
    assert not button(at, "Start").disabled


def test_data_that_the_preset_cannot_read_is_answered_under_the_preset(visit: Visit) -> None:
    at = visit("train", model="cnn", data="order")
    assert "small CNN reads a picture" in said(at)
    assert button(at, "Start").disabled
    at.selectbox(key="data").select("digits").run()
    assert not button(at, "Start").disabled


def test_a_problem_of_the_model_is_shown_with_its_mend(visit: Visit, fake: FakeEngine) -> None:
    fake.problems = (Problem("conv1", "conv1 needs at least 16×16, gets 14×14.", "Use a 3×3 kernel."),)
    at = visit("train")
    assert "gets 14×14" in said(at)
    assert "3×3 kernel" in said(at)
    assert button(at, "Start").disabled


@pytest.mark.parametrize("page", ["build", "data", "train"])
def test_a_draft_is_told_apart_from_the_run_of_the_bar(visit: Visit, store: Store, page: str) -> None:
    run = finished(store, specs.preset("mlp", "shapes"))
    at = visit(page, run=run.id)
    draft = "Draft" if page == "train" else "Draft, not trained yet: cnn on digits"  # the form says it right below
    assert draft in said(at).replace("*", "")
    at.button(key="draft.take").click().run()
    assert "Draft" not in said(at) and "The settings of this run" in said(at)
    assert (at.session_state["model"], at.session_state["data"]) == ("mlp", "shapes")


def test_an_own_network_is_called_so_and_not_after_its_preset(visit: Visit, store: Store) -> None:
    experiment = specs.preset("mlp", "shapes")
    form = registry.DATASETS.get("shapes").form(experiment.data.options)
    layers = registry.ARCHITECTURES.get("mlp").layers(experiment.model.options, form)
    own = replace(experiment, model=replace(experiment.model, layers=layers))
    new, old = finished(store, own), finished(store, own, name="mlp on shapes")  # as an older LayerLab called it
    offered = visit("train", run=new.id).selectbox(key="run_bar.run").options
    assert offered == [f"own network on shapes · #{run.id[:4]}" for run in (old, new)]
    assert [row["name"] for row in runs_table.rows([new, old])] == [f"#{run.id[:4]}" for run in (new, old)]


def test_other_data_under_an_own_network_offers_three_ways_on(visit: Visit, fake: FakeEngine) -> None:
    """It names the layer; the network is mended, or the data is taken back, or a preset that fits is taken."""
    fake.describe = lambda question: answers.describe(question, lambda *_: None)
    mlp = specs.preset("mlp", "digits")
    linear = registry.LAYERS.get("linear").options(features=10)
    layers = (
        LayerSpec("flatten", registry.LAYERS.get("flatten").options(), "flat"),
        LayerSpec("linear", linear, "last"),
    )
    at = visit("train", **specs.to_link(replace(mlp, model=replace(mlp.model, layers=layers))))
    assert not button(at, "Start").disabled
    at.selectbox(key="data").select("points").run()
    assert button(at, "Start").disabled and "last:" in said(at)
    at.button(key="own.back").click().run()
    assert at.selectbox(key="data").value == "digits" and not button(at, "Start").disabled
    at.selectbox(key="data").select("points").run()
    at.button(key="own.mend").click().run()
    assert at.selectbox(key="own.box").value == "own.box" and not button(at, "Start").disabled
    at.selectbox(key="data").select("order").run()
    at.button(key="own.preset").click().run()
    assert at.selectbox(key="model").value == "rnn" and not button(at, "Start").disabled


def test_a_paused_run_waits_for_resume(visit: Visit, fake: FakeEngine, store: Store) -> None:
    """The one coloured button is what one waits for."""
    run = store.create(DIGITS)
    fake.put(run, PAUSED, 3)
    at = visit("train", run=run.id)
    assert [one.label for one in at.button if one.proto.type == "primary"] == ["Resume"]
    fake.put(run, RUNNING, 3)
    assert [one.label for one in at.run().button if one.proto.type == "primary"] == ["Start"]


def test_data_is_trained_on_at_a_press(visit: Visit, store: Store) -> None:
    at = visit("data")
    at.selectbox(key="data").select("order").run()
    button(at, "Train on this").click().run()
    (run,) = store.runs()
    assert run.experiment().data.name == "order" and at.session_state["run"] == run.id


@pytest.mark.parametrize(
    ("state", "enabled"),
    [(QUEUED, {"Stop"}), (RUNNING, {"Pause", "Stop"}), (PAUSED, {"Resume", "Step", "Stop"}), (FINISHED, set())],
)
def test_only_what_can_act_is_enabled(
    visit: Visit, fake: FakeEngine, store: Store, state: str, enabled: set[str]
) -> None:
    run = store.create(DIGITS)
    fake.put(run, state, 600 if state == FINISHED else 10)
    at = visit("train", run=run.id)
    steering = [b for b in at.button if b.label in ("Pause", "Resume", "Step", "Stop")]
    assert {b.label for b in steering if not b.disabled} == enabled


def test_a_finished_run_is_offered_more_steps_with_what_its_schedule_does_then(
    visit: Visit, fake: FakeEngine, store: Store
) -> None:
    run = finished(store, specs.assign(specs.preset("cnn", "digits"), {"train.schedule": "cosine"}))
    fake.put(run, FINISHED, 30)
    at = visit("train", run=run.id)
    assert "follows cosine as for a run of 60 steps, which at step 31 makes 0.5 times" in said(at)
    at.number_input(key=f"steer.more.{run.id[:8]}.30").set_value(90).run()
    assert "to step 90" in said(at)
    at.button(key="steer.more").click().run()
    assert fake.commands[-1] == (run.id, Command("resume", {"steps": 90}))
    assert not [b for b in at.button if b.label == "Train on"], "it trains now"


def test_a_run_that_stopped_early_is_offered_more_than_was_asked_for(
    visit: Visit, fake: FakeEngine, store: Store
) -> None:
    early = specs.assign(specs.preset("mlp", "digits"), {"train.steps": 60, "train.early_stopping": 2})
    run = store.create(early)
    fake.put(run, FINISHED, 27)
    fake._states[run.id] = RunState(run.id, Status(FINISHED, 27, 27))
    at = visit("train", run=run.id)
    assert at.number_input(key=f"steer.more.{run.id[:8]}.60").value == 120
    assert "from step 27 to step 120" in said(at) and not at.button(key="steer.more").disabled


def test_steering_reaches_the_engine(visit: Visit, fake: FakeEngine, store: Store) -> None:
    run = store.create(DIGITS)
    fake.put(run, RUNNING, 10)
    at = visit("train", run=run.id)
    at.select_slider(key=f"steer.lr.{run.id[:8]}").set_value(0.02).run()
    for label in ("Pause", "Resume", "Stop"):
        button(at, label).click().run()
    assert [command.verb for _run, command in fake.commands] == ["set", "pause", "resume", "stop"]
    assert fake.commands[0][1].values == {"lr": 0.02}
    assert not at.error


def test_a_diverged_run_can_be_given_another_rate_before_it_goes_on(
    visit: Visit, fake: FakeEngine, store: Store
) -> None:
    run = store.create(DIGITS)
    fake.put(run, FAILED, 10)
    at = visit("train", run=run.id)
    at.select_slider(key=f"steer.lr.{run.id[:8]}").set_value(0.0002).run()
    button(at, "Resume").click().run()
    assert [(command.verb, command.values) for _run, command in fake.commands] == [
        ("set", {"lr": 0.0002}),
        ("resume", {}),
    ]
    assert not at.error


def test_an_experiments_file_fills_the_form(visit: Visit) -> None:
    at = visit("train")
    wanted = specs.assign(specs.preset("lenet", "digits"), {"train.seed": 9})
    at.file_uploader(key="setup.file").set_value(("e.json", json.dumps(specs.to_json(wanted)).encode(), "")).run()
    assert at.selectbox(key="model").value == "lenet"
    assert at.number_input(key="train.seed").value == 9


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"train": {"lr": "x"}}', b"\xff\xfe\x00"])
def test_a_bad_file_is_answered_in_a_sentence(visit: Visit, content: bytes) -> None:
    at = visit("train")
    at.file_uploader(key="setup.file").set_value(("e.json", content, "")).run()
    assert not at.exception
    assert "The file was left aside" in said(at)
    assert at.selectbox(key="model").value == "cnn"


# ── runs ─────────────────────────────────────────────────────────────────────


def test_the_list_has_every_run_newest_first(visit: Visit, fake: FakeEngine, store: Store) -> None:
    first, second = finished(store, DIGITS), store.create(specs.preset("mlp", "digits"), "my own")
    fake.put(second, RUNNING, 4)
    (table,) = visit("runs").dataframe
    shown = table.value
    assert set(shown["id"]) == {first.id, second.id}
    assert dict(zip(shown["id"], shown["state"], strict=True)) == {first.id: "finished", second.id: "training"}
    row = shown[shown["id"] == first.id].iloc[0]
    assert row["best"] == pytest.approx(90)
    assert row["test"] == pytest.approx(70)
    assert len(row["loss"]) == 30


def test_the_filter_looks_at_names_presets_data_and_states(visit: Visit, store: Store) -> None:
    finished(store, DIGITS)
    mine = finished(store, specs.preset("mlp", "digits"), name="my own")
    at = visit("runs")
    for words in ("my own", "MLP finished", f"#{mine.id[:6]}"):
        at.text_input(key="runs.filter").set_value(words).run()
        assert list(at.dataframe[0].value["id"]) == [mine.id]


def test_no_runs_yet_is_said(visit: Visit) -> None:
    assert "No runs yet" in said(visit("runs"))


def test_a_run_that_diverged_has_the_curve_of_what_came_before(store: Store, fake: FakeEngine) -> None:
    run = store.create(DIGITS)
    log = run.log()
    log.append(Event(step, "train/loss", value, 0.0) for step, value in ((1, 2.5), (2, 4e27), (3, float("nan"))))
    log.close()
    assert runs_table.rows([run])[0]["loss"] == [2.5, 4e27]


@pytest.mark.slow
def test_the_list_stays_quick_with_two_hundred_runs(visit: Visit, store: Store) -> None:
    made = finished(store, DIGITS, steps=600)
    for i in range(199):
        shutil.copytree(made.path, store.root / f"{i:032x}")
    at = visit("runs")
    began = time.perf_counter()
    at.run()
    assert time.perf_counter() - began < 2  # about 0.2 s on a free core
    assert len(at.dataframe[0].value) == 200


def test_a_run_is_renamed(visit: Visit, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run = finished(store, DIGITS)
    mark(monkeypatch, run.id)
    at = visit("runs")
    button(at, "Rename").click().run()
    at.text_input[-1].set_value("the good one")
    button(at, "Rename").click()  # AppTest runs the whole script, where a browser runs only the dialog
    at.button(key="rename.yes").click().run()
    assert run.about()["name"] == "the good one"


def test_deleting_is_asked_first(visit: Visit, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    run, other = finished(store, DIGITS), finished(store, DIGITS)
    mark(monkeypatch, run.id)
    at = visit("runs")
    button(at, "Delete").click().run()
    assert len(store.runs()) == 2
    button(at, "Delete").click()
    at.button(key="delete.yes").click().run()
    assert [left.id for left in store.runs()] == [other.id]


def test_a_stopped_run_is_resumed_and_opened(
    visit: Visit, fake: FakeEngine, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = store.create(DIGITS)
    fake.put(run, STOPPED, 10)
    mark(monkeypatch, run.id)
    at = visit("runs")
    button(at, "Resume").click().run()
    assert fake.commands == [(run.id, Command("resume"))]
    assert [one.value for one in at.selectbox if str(one.key).startswith("run_bar.run")] == [run.id]
    assert at.selectbox(key="model").value == "cnn"  # it is the train page


def test_marked_runs_are_laid_over_each_other_with_words_and_a_table(
    visit: Visit, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [finished(store, DIGITS), finished(store, DIGITS, steps=12)]
    mark(monkeypatch, *(run.id for run in made))
    at = visit("runs")
    (chart,) = at.get("plotly_chart")
    drawn = json.loads(chart.proto.spec)
    assert len(drawn["data"]) == 2
    assert drawn["layout"]["xaxis"]["title"]["text"] == "step"
    assert drawn["layout"]["yaxis"]["title"]["text"] == "loss (nats)"
    assert f"#{made[1].id[:4]}: from 2.3 to 0.192 at step 12" in chart.proto.alt
    assert len(at.dataframe[1].value) == 2


def mark(monkeypatch: pytest.MonkeyPatch, *ids: str) -> None:
    """As if the rows of these runs were marked: AppTest cannot mark rows."""
    draw = runs_table.table

    def table(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        draw(found)
        return [row for row in found if row["id"] in ids]

    monkeypatch.setattr(runs_table, "table", table)


# ── the wall ─────────────────────────────────────────────────────────────────

VISIT_ALL = """
import sys
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest
from pages.kit import engine as doors
from core.store import Store
from tests.pages.addresses import switch
from tests.pages.fake_engine import FakeEngine
manifest_scanner.scan_component_manifests = list  # as in conftest
store = Store(sys.argv[1])
engine = FakeEngine(store)
doors.engine, doors.store = lambda: engine, lambda: store
for page in sys.argv[2:]:
    at = AppTest.from_file("pages/shell.py", default_timeout=30).run()
    if page != "home":
        at = switch(at, page).run()
    for pressed in [b for b in at.button if b.label in ("Train your first network", "Start")]:
        at = pressed.click().run()
    assert not at.exception and not at.error
print([heavy for heavy in ("torch", "torchvision", "captum", "sklearn") if heavy in sys.modules])
"""


def test_no_page_carries_torch_into_the_web_process(store: Store) -> None:
    done = subprocess.run(
        [sys.executable, "-c", VISIT_ALL, str(store.root), *PAGES],
        cwd=SHELL.parents[1],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.strip() == "[]"


def test_a_rerun_that_left_before_another_run_was_started_does_not_choose_the_old_one(
    visit: Visit, store: Store
) -> None:
    """The picker of the bar: what was on its way brings the value of the widget before, which is gone."""
    old = finished(store, DIGITS)
    at = visit("build", run=old.id)
    picker = at.selectbox(key="run_bar.run")
    button(at, "Train this").click().run()
    started = at.session_state["run"]
    assert started != old.id
    (now,) = [one for one in at.selectbox if str(one.key).startswith("run_bar.run")]
    assert now.value == started and now.key != picker.key and now.id != picker.id
